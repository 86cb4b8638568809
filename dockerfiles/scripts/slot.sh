#!/bin/sh
# slot.sh COMMAND...: run a compiler as soon as one of the machine's slots is free. Builds that run side by side share the
# slots, so together they compile as many files at once as one alone would. The lock dies with the compiler.
set -eu
while :; do
    slot=1
    while [ "$slot" -le "$INGOT_SLOTS" ]; do
        exec 9> "$INGOT_SLOTS_DIR/$slot"
        if flock --nonblock 9; then exec "$@"; fi
        slot=$((slot + 1))
    done
    # All are taken. Whichever is free first is found within a second.
    if flock --timeout 1 9; then exec "$@"; fi
done
