#!/bin/sh
# cross.sh TOOLCHAIN_FILE: let Debian's g++ for x86_64 use the very files that the native one uses.
# It comes with copies of libc and of its own libraries that are built from other package revisions. Here amd64's own
# packages are installed too, so those are what it finds: programs then begin, end and link with the same bytes.
set -eu
version=$(x86_64-linux-gnu-gcc -dumpversion)
cross=/usr/lib/gcc-cross/x86_64-linux-gnu/$version native=/usr/lib/gcc/x86_64-linux-gnu/$version
for name in "$native"/*; do
    rm -rf "${cross:?}/${name##*/}"
    ln -s "$name" "$cross/${name##*/}"
done
# The compiler looks here before it looks where amd64's packages lie.
rm -rf /usr/x86_64-linux-gnu/lib /usr/x86_64-linux-gnu/include
mkdir -p /usr/x86_64-linux-gnu/include/c++
ln -s "/usr/include/c++/$version" "/usr/x86_64-linux-gnu/include/c++/$version"
ln -s "../../x86_64-linux-gnu/c++/$version" "/usr/include/c++/$version/x86_64-linux-gnu"
cp "$1" /opt/cross.cmake
for name in crt1.o crtbegin.o crtbeginS.o libc.so libstdc++.so libgcc.a; do
    found=$(x86_64-linux-gnu-g++ -print-file-name=$name)
    case $(readlink -f "$found") in
        /usr/lib/x86_64-linux-gnu/* | "$native"/*) ;;
        *) echo "cross: $name is $found, which is not of amd64's packages" >&2; exit 1 ;;
    esac
done
