#!/bin/sh
# probe.sh SOURCE DRIVER LINK_FIX: compile and link ten lines exactly as the recipe's projects will be.
set -eu
source=$1 driver=$2 link_fix=$3
build=/tmp/probe-build
if ! cmake -S "$source" -B "$build" -DPROBE_DRIVER="$driver" > /tmp/probe.log 2>&1; then
    cat /tmp/probe.log
    echo "probe: cmake cannot compile CUDA for CUDAARCHS='$CUDAARCHS' with this toolchain"
    echo "hint: compare toolchain.cuda and toolchain.architectures of the recipe"
    exit 1
fi
if ! cmake --build "$build" >> /tmp/probe.log 2>&1; then
    cat /tmp/probe.log
    if grep -q 'libcuda.so.1.*not found\|undefined reference to .cu[A-Z]' /tmp/probe.log; then
        echo "probe: an executable does not link against a library that needs libcuda.so.1 (link_fix: $link_fix)"
        echo "hint: set link_fix: stub-rpath-link in the recipe"
    else
        echo "probe: ten lines of CUDA do not compile or link with the recipe's flags"
    fi
    exit 1
fi
readelf -d "$build/libprobe-cuda.so" | grep -E 'NEEDED|RUNPATH|RPATH' || true
# What the link left behind must not lead to the stub at run time.
if readelf -d "$build/probe" "$build/libprobe-cuda.so" | grep -E 'R(UN)?PATH' | grep -E 'stub'; then
    echo "probe: the link leaves a run path to the driver stub"
    exit 1
fi
rm -rf "$build"
echo "probe: passed (driver: $driver, link_fix: $link_fix, architectures: $CUDAARCHS)"
