#!/bin/sh
# Install one layer's wheels into an environment: exactly what the requirements name, by hash, from a folder and nowhere else.
#   install-wheels.sh <name of the layer> <folder of pip's wheel> <folder of wheels> <requirements> <patterns> <environment>
set -eu
layer=$1
installer=$2
wheels=$3
requirements=$4
left_out=$5
venv=$6

# A layer without packages, in a small recipe.
[ -s "$requirements" ] || exit 0

# Nothing of pip's own stays: no cache, no byte code of it or of Debian's modules.
export PYTHONDONTWRITEBYTECODE=1 PIP_CONFIG_FILE=/dev/null PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 HOME=/tmp
touch /tmp/before
"$venv/bin/python" "$(ls "$installer"/pip-*.whl)/pip" install --quiet --root-user-action=ignore \
    --no-index --find-links "$wheels" --require-hashes --no-deps --no-compile --requirement "$requirements"

# Files that nothing in this image can load; the recipe says why.
site=$(echo "$venv"/lib/python3.*/site-packages)
while read -r pattern; do
    find "$site" -type f -cnewer /tmp/before -path "$site/$pattern" -delete
done < "$left_out"

# Only what is new: rewriting an earlier layer's byte code would ship it twice. Some packages carry files that are no
# Python of this version (templates, tests); nothing imports those, and they get no byte code.
# compileall itself takes files one after the other.
find "$site" -name '*.py' -cnewer /tmp/before | LC_ALL=C sort > /tmp/new
xargs -r -d '\n' -n 200 -P "$(nproc)" "$venv/bin/python" -m compileall -qq --invalidation-mode checked-hash < /tmp/new ||
    echo "some files are no Python of this version and have no byte code"
echo "$layer: $(wc -l < /tmp/new) modules"
