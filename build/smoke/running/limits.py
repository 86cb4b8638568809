"""What an image may use while it is tested, all in one place. Constants: no recipe can raise them.

A server on a tiny model needs a fraction of each. Whoever needs more says so here, in a change that is reviewed.
"""

from typing import Final

__all__ = [
    "ANSWER_BYTES",
    "CHECK_S",
    "LOG_BYTES",
    "PROBE_MEMORY",
    "PROCESSES",
    "SERVER_MEMORY",
    "SHM_BYTES",
    "TMP_BYTES",
    "WHOLE_S",
    "size",
]

SERVER_MEMORY: Final = 4 << 30
"""Memory of the server under test, its tmpfs and /dev/shm included; there is no swap."""
PROBE_MEMORY: Final = 256 << 20
"""Memory of a probe beside the server: a shell and curl."""
PROCESSES: Final = 1024
"""Processes and threads of one container. llama.cpp starts a few for each core of the host."""
LOG_BYTES: Final = 8 << 20
"""What a container may print in its whole life; then it is killed. A healthy server prints some 100 KiB."""
TMP_BYTES: Final = 64 << 20
SHM_BYTES: Final = 64 << 20
ANSWER_BYTES: Final = 1 << 20
"""Of an answer over HTTP. Older curls look at it only where the length is said; then LOG_BYTES stops them."""
CHECK_S: Final = 60.0
"""Life of a container that is run for one question."""
WHOLE_S: Final = 900.0
"""All running checks of an image together."""

_UNITS: Final = (("GiB", 30), ("MiB", 20), ("KiB", 10))


def size(count: int) -> str:
    """Render a number of bytes as people say it: `4 GiB`, `1.5 MiB`, `17 bytes`."""
    for unit, power in _UNITS:
        if count >= 1 << power:
            return f"{round(count / (1 << power), 1):g} {unit}"
    return f"{count} bytes"
