#!/bin/sh
# collect.sh BUILD_DIR...: install what was built, keep what the executables need, sort it by rate of change.
set -eu
cuda=/usr/local/cuda/lib64
mkdir -p /install /collect/cuda /collect/kernels /collect/server/licenses

for build in "$@"; do
    cmake -DBUILD_DIR="$build" -DCMAKE_INSTALL_PREFIX=/install -DCMAKE_INSTALL_DO_STRIP=1 -P /tmp/install-built.cmake
done

is_elf() { [ "$(dd if="$1" bs=4 count=1 2>/dev/null | od -An -tx1 | tr -d ' \n')" = 7f454c46 ]; }

# A file and the links that lead to it, as they are.
copy_with_links() {
    file=$1 target=$2
    while [ -L "$file" ]; do
        cp -P "$file" "$target/"
        next=$(readlink "$file")
        case $next in /*) file=$next ;; *) file=$(dirname "$file")/$next ;; esac
    done
    cp "$file" "$target/"
}

# Executables and what stands beside them to be loaded at run time; then, again and again, what those need.
find /install/bin -maxdepth 1 \( -type f -o -type l \) 2>/dev/null | sort > /tmp/queue
: > /tmp/seen
while [ -s /tmp/queue ]; do
    : > /tmp/next
    while read -r path; do
        grep -qxF "$path" /tmp/seen && continue
        echo "$path" >> /tmp/seen
        real=$(readlink -f "$path")
        is_elf "$real" || { cp -P "$path" /collect/server/; continue; }
        case $path in
            "$cuda"/*) layer=cuda ;;
            *) if readelf -SW "$real" | grep -q '\.nv_fatbin'; then layer=kernels; else layer=server; fi ;;
        esac
        copy_with_links "$path" "/collect/$layer"
        readelf -dW "$real" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | while read -r name; do
            for place in /install/lib /install/lib64 /install/bin "$cuda"; do
                if [ -e "$place/$name" ]; then
                    echo "$place/$name" >> /tmp/next
                    break
                fi
            done
        done
    done < /tmp/queue
    sort -u /tmp/next > /tmp/queue
done

# Licences of what is shipped: the project's own, and NVIDIA's for its libraries.
find /src -maxdepth 1 -type f \( -iname 'license*' -o -iname 'copying*' -o -iname 'notice*' \) \
    -exec cp {} /collect/server/licenses/ \;
if [ -n "$(ls /collect/cuda)" ]; then
    mkdir -p /collect/cuda/licenses/nvidia
    cp /usr/local/cuda/licenses/*.txt /collect/cuda/licenses/nvidia/
fi
chmod -R u=rwX,go=rX /collect
for layer in cuda kernels server; do
    echo "collect: $layer"
    (cd "/collect/$layer" && find . ! -type d -exec ls -ld {} \; | awk '{ print "  " $5 "  " $9 " " $10 " " $11 }')
done
