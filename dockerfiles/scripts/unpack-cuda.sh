#!/bin/sh
# unpack-cuda.sh WHEELS PREFIX: lay NVIDIA's CUDA wheels out as a toolkit.
set -eu
wheels=$1 prefix=$2
mkdir -p "$prefix" /tmp/unpack
for wheel in "$wheels"/nvidia_*.whl; do
    unzip -q -o "$wheel" -d /tmp/unpack
done
# One folder per CUDA major: nvidia/cu13.
cp -a /tmp/unpack/nvidia/cu*/. "$prefix/"
mkdir -p "$prefix/licenses"
find /tmp/unpack -path '*.dist-info/*' -iname 'license*' -type f | sort | while read -r file; do
    package=$(printf '%s\n' "$file" | sed 's#.*/\([a-z0-9_]*\)-[^/]*\.dist-info/.*#\1#')
    cp "$file" "$prefix/licenses/$package.txt"
done
rm -rf /tmp/unpack
find "$prefix/bin" "$prefix/nvvm/bin" -type f -exec chmod 0755 {} +
[ -e "$prefix/lib64" ] || ln -s lib "$prefix/lib64"
for library in "$prefix"/lib/lib*.so.*; do
    plain=${library%%.so.*}.so
    [ -e "$plain" ] || ln -s "${library##*/}" "$plain"
done
printf '%s\n' "$prefix/lib64" > /etc/ld.so.conf.d/cuda.conf
ldconfig
rm -f /var/cache/ldconfig/aux-cache
"$prefix/bin/nvcc" --version
