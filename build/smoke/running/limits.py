"""What an image may use while it is tested, all in one place. Constants: no recipe can raise them.

A server on a tiny model needs a fraction of each. Whoever needs more says so here, in a change that is reviewed.
"""

from dataclasses import dataclass
from typing import Final

from build.recipe.model import Family

__all__ = [
    "ANSWER_BYTES",
    "LIMITS",
    "LOG_BYTES",
    "PROBE_MEMORY",
    "PROBE_S",
    "PROCESSES",
    "Limits",
    "size",
]

PROBE_MEMORY: Final = 256 << 20
"""Memory of a probe beside the server: a shell and curl."""
PROBE_S: Final = 60.0
PROCESSES: Final = 1024
"""Processes and threads of one container. llama.cpp starts a few for each core of the host."""
LOG_BYTES: Final = 8 << 20
"""What a container may print in its whole life; then it is killed. A healthy server prints some 100 KiB."""
ANSWER_BYTES: Final = 1 << 20
"""Of an answer over HTTP. Older curls look at it only where the length is said; then LOG_BYTES stops them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What differs between the families."""

    memory: int
    """Memory of a container, its tmpfs and /dev/shm included; there is no swap."""
    tmp: int
    shm: int
    check_s: float
    """Life of a container that is run for one question."""
    whole_s: float
    """All running checks of an image together."""


LIMITS: Final = {
    Family.LLAMA_CPP: Limits(memory=4 << 30, tmp=64 << 20, shm=64 << 20, check_s=60.0, whole_s=900.0),
    # Importing torch and vLLM takes half a GiB and from four seconds to two minutes, where others use the machine too.
    Family.PYTHON: Limits(memory=4 << 30, tmp=512 << 20, shm=256 << 20, check_s=600.0, whole_s=3600.0),
}

_UNITS: Final = (("GiB", 30), ("MiB", 20), ("KiB", 10))


def size(count: int) -> str:
    """Render a number of bytes as people say it: `4 GiB`, `1.5 MiB`, `17 bytes`."""
    for unit, power in _UNITS:
        if count >= 1 << power:
            return f"{round(count / (1 << power), 1):g} {unit}"
    return f"{count} bytes"
