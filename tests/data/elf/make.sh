#!/bin/sh
# Makes every binary of this folder: gcc, binutils and nvcc 13.0 (first argument, default: nvcc on PATH).
# The results are committed, so that the unit tests need no compiler. They are read and never run.
# Made again, all come out the same but rdc.o, where nvcc puts a hash of the folder it runs in.
set -eu
cd "$(dirname "$0")"
into=$PWD
NVCC=${1:-nvcc}
CC="gcc -O1 -fno-ident -fcf-protection=none -fno-asynchronous-unwind-tables -fno-stack-protector -nostdlib"
LD="-Wl,--build-id=none,--hash-style=gnu,-z,noseparate-code,--no-as-needed"
export SOURCE_DATE_EPOCH=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -R src "$work/src"
# Not beside the results: nvcc runs sh with an empty LD_LIBRARY_PATH element, which would find this folder's libc.so.6.
cd "$work"
mkdir lib

shared() { # shared OUT SONAME INPUT...
    out=$1 soname=$2
    shift 2
    # shellcheck disable=SC2086
    (cd lib && $CC -shared -fPIC $LD "-Wl,-soname,$soname" -o "$out" "$@" && strip "$out")
}
device() { # device OUT FLAG...: one object with device code
    out=$1
    shift
    "$NVCC" -c -O1 -frandom-seed=ingot --objdir-as-tempdir \
        -Xcompiler -fPIC,-fno-ident,-fcf-protection=none,-fno-asynchronous-unwind-tables,-fno-stack-protector,-fno-exceptions,-fno-threadsafe-statics \
        "$@" src/kernel.cu -o "$out"
}
object() { # object NAME FLAG...: committed as it is, for the fat binary reader
    name=$1
    shift
    device "lib/$name.o" "$@"
    strip --strip-debug --remove-section=.comment --remove-section=.note.GNU-stack "lib/$name.o"
}
cuda() { # cuda NAME "LINK FLAGS" FLAG...: a library of the sample that carries device code
    name=$1 link=$2
    shift 2
    device "$name.o" "$@"
    # shellcheck disable=SC2086
    shared "$name.so" libmini-cuda.so "../$name.o" libmini-base.so.0 libcudart.so.13 libc.so.6 $link
}

A120='arch=compute_120a,code=sm_120a'

shared ld-linux-x86-64.so.2 ld-linux-x86-64.so.2 -xc /dev/null
shared libc.so.6 libc.so.6 ../src/libc.c -Wl,--version-script,../src/libc.map ./ld-linux-x86-64.so.2
shared libc-old.so.6 libc.so.6 ../src/libc.c -Wl,--version-script,../src/libc-old.map ./ld-linux-x86-64.so.2
shared libcudart.so.13 libcudart.so.13 ../src/libcudart.c -Wl,--version-script,../src/libcudart.map libc.so.6
shared libcuda.so.1 libcuda.so.1 ../src/libcuda.c
shared libmini-base.so.0 libmini-base.so.0 ../src/base.c libc.so.6
# The loader expands it, not the shell.
# shellcheck disable=SC2016
O='-Wl,-rpath,$ORIGIN'
cuda cuda-sm120a "$O libcuda.so.1" -DWITH_VMM -gencode "$A120"
cuda cuda-novmm "$O" -gencode "$A120"
cuda cuda-novmm-needs-driver "$O libcuda.so.1" -gencode "$A120"
cuda cuda-vmm-unlinked "$O" -DWITH_VMM -gencode "$A120"
cuda cuda-sm120 "$O libcuda.so.1" -DWITH_VMM -gencode arch=compute_120,code=sm_120
cuda cuda-sm90 "$O libcuda.so.1" -DWITH_VMM -gencode arch=compute_90,code=sm_90
cuda cuda-missing "$O libcuda.so.1" -DWITH_VMM -DWITH_MISSING -gencode "$A120"
cuda cuda-runpath-stubs "-Wl,-rpath,/usr/local/cuda/lib64/stubs:\$ORIGIN libcuda.so.1" -DWITH_VMM -gencode "$A120"
cuda cuda-runpath-build "-Wl,-rpath,/build/bin::lib:\$ORIGIN libcuda.so.1" -DWITH_VMM -gencode "$A120"
cd lib
cp cuda-sm120a.so libmini-cuda.so
# shellcheck disable=SC2086
$CC -pie -fPIE $LD "$O" -Wl,--enable-new-dtags -Wl,--dynamic-linker,/lib64/ld-linux-x86-64.so.2 -o server ../src/server.c \
    libmini-base.so.0 libmini-cuda.so libc.so.6 -Wl,--allow-shlib-undefined
# shellcheck disable=SC2086
$CC -pie -fPIE $LD -Wl,--disable-new-dtags "$O" -Wl,--dynamic-linker,/lib64/ld-linux-x86-64.so.2 -o server-rpath \
    ../src/server.c libmini-base.so.0 libmini-cuda.so libc.so.6 -Wl,--allow-shlib-undefined
strip server server-rpath
rm libmini-cuda.so
cd ..

object sm120 -gencode arch=compute_120,code=sm_120
object sm120a -gencode "$A120"
object sm120a-small -compress-mode=size -gencode "$A120"
object sm120f -gencode arch=compute_120f,code=sm_120f
object ptx120a -gencode arch=compute_120a,code=compute_120a
object ptx120a-plain -no-compress -gencode arch=compute_120a,code=compute_120a
object many -gencode arch=compute_90,code=sm_90 -gencode 'arch=compute_120a,code=[compute_120a,sm_120a]'
object rdc -rdc=true -gencode "$A120"

cp lib/* "$into"
