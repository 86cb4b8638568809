#!/bin/sh
# compile.sh BUILD_DIR [TARGET...]: ninja, with as many jobs as cores and memory allow.
set -eu
build=$1
shift
# One nvcc template instance takes up to 2 GiB.
memory_gib=$(awk '/^MemAvailable:/ { print int($2 / 1048576) }' /proc/meminfo)
cores=$(nproc)
jobs=$((memory_gib / 2))
[ "$jobs" -lt 1 ] && jobs=1
[ "$jobs" -gt "$cores" ] && jobs=$cores
# Only what the compile cache does not have is compiled, and only that waits for a slot.
export INGOT_SLOTS="$jobs" INGOT_SLOTS_DIR=/slots CCACHE_PREFIX="sh /tmp/slot.sh"
export CCACHE_STATSLOG=/tmp/ccache.log
: > "$CCACHE_STATSLOG"
echo "compile: $jobs jobs ($cores cores, $memory_gib GiB free)"
if [ $# -gt 0 ]; then
    cmake --build "$build" --parallel "$jobs" --target "$@"
else
    cmake --build "$build" --parallel "$jobs"
fi
# grep: the statistics of this run alone, one line that the pipeline reads back.
hits=$(grep -c '_cache_hit$' "$CCACHE_STATSLOG" || true)
misses=$(grep -c '^cache_miss$' "$CCACHE_STATSLOG" || true)
echo "ccache: hits=$hits misses=$misses"
