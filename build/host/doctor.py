"""What this host has and what it lacks, each with the command that mends it. Looks only; changes nothing."""

import os
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from build.doors import process
from build.doors.nvidia import gpus
from build.errors import IngotError, Unavailable
from build.host import private
from build.host.engine import HostEngine, look_at_host
from build.host.platforms import Machine, build_platform, emulation, this_machine
from build.settings import Settings

__all__ = ["Finding", "doctor", "parse_meminfo"]

_GIB = 1 << 30
_DISK_GIB = 20
"""A toolchain image, its wheels and one build."""
_MEMORY_GIB = 6
"""One nvcc of ggml's largest kernels takes up to 3 GB; below two of them a build crawls."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the doctor's report."""

    name: str
    ok: bool
    found: str
    mend: str = ""


_DROPS_MOUNTS = Finding(
    name="compile cache",
    ok=True,
    found="the builder's garbage collection may drop it two days after its last use",
    mend="docs/builders.md has the lines of daemon.json that keep it",
)


def doctor(settings: Settings) -> tuple[Finding, ...]:
    """Examine the host."""
    host = look_at_host(settings)
    return (
        _python(sys.version_info[:3]),
        _git(settings),
        *engine_findings(settings, host, private_state(settings)),
        _disk(settings.cache),
        _memory(),
        Finding(name="cores", ok=True, found=str(os.cpu_count() or 1)),
        _bootstrap(settings),
        emulation_finding(settings, this_machine(), host),
        _gpu(),
    )


def private_state(settings: Settings) -> str:
    """Say what the private engine is doing, in the status's own word."""
    return private.status(settings).state


def engine_findings(settings: Settings, host: HostEngine, state: str) -> tuple[Finding, ...]:
    """Report which engine would be used. Pure: what was found is handed in."""
    version = f"Docker {host.info.version}" if host.info else "none"
    if not host.lacks:
        assert host.builder is not None
        store = (
            "containerd image store" if host.builder.containerd_store else f"{host.builder.driver} builder"
        )
        return (
            Finding(name="engine", ok=True, found=f"{version}, the host's"),
            Finding(name="OCI export", ok=True, found=store),
            Finding(name="buildx", ok=True, found=host.buildx),
            *((_DROPS_MOUNTS,) if host.builder.drops_mounts else ()),
        )
    stands_in = settings.engine != "host" and (state == "running" or os.geteuid() == 0)
    found = f"{version}; {host.lacks}"
    if stands_in:
        used = f"the private engine {settings.engine_name} ({state}) is used"
        return (
            Finding(name="engine", ok=True, found=used),
            Finding(name="host's engine", ok=True, found=found, mend=host.mend),
        )
    return (Finding(name="engine", ok=False, found=found, mend=host.mend),)


def _python(version: tuple[int, ...]) -> Finding:
    text = ".".join(map(str, version))
    return Finding(
        name="python",
        ok=version >= (3, 11),
        found=text,
        mend="" if version >= (3, 11) else "install Python 3.11 or newer",
    )


def _git(settings: Settings) -> Finding:
    try:
        said = process.run(("git", "--version"), env={"PATH": settings.path}).stdout.strip()
    except IngotError:
        return Finding(name="git", ok=False, found="none", mend="apt-get install git")
    return Finding(name="git", ok=True, found=said.removeprefix("git version "))


def _disk(cache: Path) -> Finding:
    there = next(folder for folder in (cache, *cache.parents) if folder.exists())
    free = shutil.disk_usage(there).free / _GIB
    found = f"{free:.0f} GiB free at {there}"
    if free >= _DISK_GIB:
        return Finding(name="disk", ok=True, found=found)
    return Finding(
        name="disk", ok=False, found=found, mend=f"free {_DISK_GIB} GiB, or set INGOT_CACHE to another disk"
    )


def parse_meminfo(text: str) -> int | None:
    """Find MemTotal in /proc/meminfo, in bytes."""
    found = re.search(r"^MemTotal:\s+(\d+) kB$", text, re.MULTILINE)
    return int(found.group(1)) * 1024 if found else None


def _memory() -> Finding:
    file = Path("/proc/meminfo")
    total = parse_meminfo(file.read_text()) if file.exists() else None
    if total is None:
        return Finding(name="memory", ok=True, found="unknown")
    found = f"{total / _GIB:.1f} GiB"
    if total >= _MEMORY_GIB * _GIB:
        return Finding(name="memory", ok=True, found=found)
    return Finding(
        name="memory",
        ok=False,
        found=found,
        mend=f"{_MEMORY_GIB} GiB or more; until then compiles run one job at a time",
    )


def _bootstrap(settings: Settings) -> Finding:
    found = next(
        (name for name in ("mmdebstrap", "debootstrap") if shutil.which(name, path=settings.path)), None
    )
    if found:
        return Finding(name="base bootstrap", ok=True, found=found)
    mend = "apt-get install mmdebstrap"
    return Finding(
        name="base bootstrap",
        ok=True,
        found="none; needed where the base's registry cannot be reached",
        mend=mend,
    )


def emulation_finding(settings: Settings, here: Machine, host: HostEngine) -> Finding:
    """Report whether compilers would be emulated. Pure: what was found is handed in."""
    wanted = build_platform(settings)
    used = not host.lacks and settings.engine != "private"
    found = emulation(
        wanted,
        here,
        engine=host.info if used else None,
        builder=host.builder if used or settings.builder else None,
        docker_host=host.handle.docker_host if used else "",
    )
    if found:
        mend = found.mend if settings.emulate else f"{found.mend}; INGOT_EMULATE=1 compiles all the same"
        return Finding(name="native compilers", ok=settings.emulate, found=str(found), mend=mend)
    others = ", ".join(name for name in here.interpreters if name.startswith(("qemu-", "rosetta")))
    can = f"; foreign programs run by {others}" if others else ""
    return Finding(name="native compilers", ok=True, found=f"compilers run on {wanted}{can}")


def _gpu() -> Finding:
    try:
        found = "; ".join(map(str, gpus()))
    except Unavailable as error:
        found = f"{error.message}; checks that need one are skipped"
    return Finding(name="gpu", ok=True, found=found)
