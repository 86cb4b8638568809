#!/bin/sh
# compile.sh BUILD_DIR [TARGET...]: ninja with a job for each core; slot.sh, beside it, weighs memory before each compiler.
set -eu
build=$1
shift
here=$(dirname "$0")
jobs=$(nproc)
memory_gib=$(awk '/^MemAvailable:/ { print int($2 / 1048576) }' /proc/meminfo)
# Only what the compile cache does not have is compiled, and only that waits for a slot.
export INGOT_SLOTS="$jobs" INGOT_SLOTS_DIR=/slots CCACHE_PREFIX="sh $here/slot.sh"
export CCACHE_STATSLOG="$here/ccache.log"
: > "$CCACHE_STATSLOG"
echo "compile: $jobs jobs ($jobs cores, $memory_gib GiB free, 2 GiB for each that compiles)"
if [ $# -gt 0 ]; then
    cmake --build "$build" --parallel "$jobs" --target "$@"
else
    cmake --build "$build" --parallel "$jobs"
fi
# grep: the statistics of this run alone, one line that the pipeline reads back.
hits=$(grep -c '_cache_hit$' "$CCACHE_STATSLOG" || true)
misses=$(grep -c '^cache_miss$' "$CCACHE_STATSLOG" || true)
echo "ccache: hits=$hits misses=$misses"
