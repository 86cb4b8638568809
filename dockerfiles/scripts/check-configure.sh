#!/bin/sh
# check-configure.sh LOG BUILD_DIR cuda|any [UNUSED_OK...]: did cmake understand what the recipe said?
set -eu
log=$1 build=$2 expect=$3
shift 3
failed=0

# cmake lists options that no project read: "Manually-specified variables were not used by the project:", then a name a line.
unused=$(awk '/Manually-specified variables were not used/ { on = 1; next }
              on && NF == 1 { print $1; seen = 1; next }
              on && NF > 1 { on = 0 }' "$log")
for name in $unused; do
    allowed=no
    for ok in "$@"; do [ "$ok" = "$name" ] && allowed=yes; done
    [ "$allowed" = yes ] && continue
    echo "error: the project does not know the option $name: renamed or removed upstream?"
    echo "hint: take cmake.$name out of the recipe, or say why it may be unused: {value: ..., unused_ok: ...}"
    failed=1
done

# CUDA is really on: kernels are compiled, and for the architectures that were asked for.
if [ "$expect" = cuda ]; then
    kernels=$(grep -c '^build .*\.cu\.o' "$build/build.ninja" || true)
    if [ "$kernels" -eq 0 ]; then
        echo "error: no CUDA source would be compiled: this would be a CPU-only server"
        echo "hint: has the option that turns CUDA on been renamed? See the log above"
        failed=1
    else
        echo "configure: $kernels CUDA sources"
    fi
    cached=$(sed -n 's/^CMAKE_CUDA_ARCHITECTURES:[A-Z]*=//p' "$build/CMakeCache.txt")
    if [ "$cached" != "$CUDAARCHS" ]; then
        echo "error: CMAKE_CUDA_ARCHITECTURES is '$cached' where the recipe says '$CUDAARCHS'"
        failed=1
    fi
fi
exit "$failed"
