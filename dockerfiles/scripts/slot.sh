#!/bin/sh
# slot.sh COMMAND...: run a compiler as soon as there is a core and memory for it. Builds that run side by side share the
# slots, so together they compile as many files at once as one alone would. The lock dies with the compiler.
set -eu

# One nvcc template instance takes up to 2 GiB, so slot n is for a machine that has n times that: free, or held by this
# build's own processes. Another build's cannot be seen from here, nor a limit on the engine. Slot 1 asks for no memory:
# one compiler always runs.
try() {
    slots=$(cat /proc/meminfo /proc/[0-9]*/status 2> /dev/null | awk '
        /^MemAvailable:/ { free = $2 }
        /^RssAnon:/ { held += $2 }
        END { print (free < 2097152 ? 1 : int((free + held) / 2097152)) }')
    [ "$slots" -lt "$INGOT_SLOTS" ] || slots=$INGOT_SLOTS
    slot=0
    while [ "$slot" -lt "$slots" ]; do
        slot=$((slot + 1))
        # "<>": the folder is shared with builds that may put a link or a pipe there; this neither empties nor waits.
        exec 9<> "$INGOT_SLOTS_DIR/$slot"
        if flock --nonblock 9; then exec "$@" 8>&-; fi
    done
}

try "$@"
# All are taken. Whoever is first in the queue looks once a second; the others sleep until they are.
exec 8<> "$INGOT_SLOTS_DIR/queue"
flock 8
while :; do
    try "$@"
    if flock --timeout 1 9; then exec "$@" 8>&-; fi
done
