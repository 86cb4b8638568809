"""What a measurement was made on: processor, cores, memory, and what else the machine was doing."""

import os
import platform
import re
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Machine", "machine"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """One machine at one moment."""

    processor: str
    cores: int
    memory_gib: int
    system: str
    load: float
    """Processes that wanted to run, over the last minute."""


def machine() -> Machine:
    """Look at this one (Linux)."""
    processors = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    found = re.search(r"^model name\s*: (.+)$", processors, re.MULTILINE)
    return Machine(
        processor=found[1].strip() if found else platform.machine(),
        cores=len(os.sched_getaffinity(0)),
        memory_gib=round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        system=platform.freedesktop_os_release().get("PRETTY_NAME", platform.system()),
        load=round(os.getloadavg()[0], 1),
    )
