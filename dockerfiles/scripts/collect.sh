#!/bin/sh
# collect.sh BUILD_DIR...: install what was built, keep what the executables need, sort it by rate of change.
set -eu
cuda=/usr/local/cuda/lib64
mkdir -p /install /collect/cuda /collect/kernels /collect/server/licenses

# What nobody asked for was not built, and `cmake --install` stops at the first such file. OPTIONAL is CMake's own word for
# "no error if it is missing"; every file that is passed over is named. The check of the finished image misses what is needed.
optional='s/^\( *file(INSTALL DESTINATION "[^"]*" TYPE [A-Z_]*\) /\1 OPTIONAL /'
for build in "$@"; do
    find "$build" -name cmake_install.cmake | sort > /tmp/scripts
    while read -r script; do
        sed -n '/^ *file(INSTALL /,/)$/p' "$script" | sed 's/.* FILES //; s/ REGEX .*//' | grep -o '"/[^"]*"' || true
    done < /tmp/scripts | tr -d '"' | sort -u | while read -r file; do
        [ -e "$file" ] || [ -L "$file" ] || echo "collect: not built, not installed: $file"
    done
    while read -r script; do sed -i "$optional" "$script"; done < /tmp/scripts
    cmake --install "$build" --prefix /install --strip
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

# Licences of what is shipped: the project's own, those it keeps of what it contains, and NVIDIA's for its libraries. All
# lie in one folder: licenses/a/MIT of the source is licenses-a-MIT.
find /src -maxdepth 1 -type f \( -iname 'license*' -o -iname 'copying*' -o -iname 'notice*' \) \
    -exec cp {} /collect/server/licenses/ \;
for folder in licenses LICENSES; do
    [ -d "/src/$folder" ] || continue
    (cd /src && find "$folder" -type f) | sort | while read -r file; do
        cp "/src/$file" "/collect/server/licenses/$(echo "$file" | tr / -)"
    done
done
if [ -n "$(ls /collect/cuda)" ]; then
    mkdir -p /collect/cuda/licenses/nvidia
    cp /usr/local/cuda/licenses/*.txt /collect/cuda/licenses/nvidia/
fi
chmod -R u=rwX,go=rX /collect
for layer in cuda kernels server; do
    echo "collect: $layer"
    (cd "/collect/$layer" && find . ! -type d -exec ls -ld {} \; | awk '{ print "  " $5 "  " $9 " " $10 " " $11 }')
done
