"""On what platform compilers run, and whether they are emulated there. Looks only; changes nothing."""

import platform
import re
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from build.doors.builders import BuilderInfo
from build.doors.effects import EngineInfo
from build.doors.platforms import TARGET, Platform, machine, platform_of
from build.errors import BadRequest
from build.settings import Settings

__all__ = [
    "Emulated",
    "Emulation",
    "Machine",
    "build_platform",
    "emulation",
    "refuse_emulation",
    "this_machine",
]

_BINFMT = Path("/proc/sys/fs/binfmt_misc")
_CPUINFO = Path("/proc/cpuinfo")
_ROSETTA = "Rosetta"
_COSTS = {
    "qemu": "compilers are 6 to 14 times slower under qemu",
    _ROSETTA: "what Rosetta costs is not measured; builds are reported to hang under it",
}


class Emulated(BadRequest):
    """Compile stages would be emulated here, and nobody asked for that: a fault of the machine, not of what is built."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What this machine says of itself; a machine that is emulated says two things."""

    machine: str
    """As `uname -m` says it."""
    cpuinfo: str = ""
    """/proc/cpuinfo, which an emulator of programs passes on from the machine below, or makes up."""
    interpreters: tuple[str, ...] = ()
    """What runs foreign programs: the names below /proc/sys/fs/binfmt_misc."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Emulation:
    """Compile stages that would not run on their own architecture."""

    wanted: Platform
    """The platform that they are for."""
    native: str
    """The platform that they would run on, or the kernel's own word for another one; empty where it is not known."""
    by: str
    """What emulates: `qemu`, `Rosetta`, or both where it cannot be seen from here."""

    def __str__(self) -> str:
        costs = "; ".join(cost for name, cost in _COSTS.items() if name in self.by)
        below = f" on {self.native}" if self.native else ""
        return f"compile stages for {self.wanted} are emulated{below} by {self.by}: {costs}"

    @property
    def mend(self) -> str:
        """What compiles natively instead."""
        if self.native not in get_args(Platform):
            return "build on an x86_64 or arm64 machine that is not emulated, or with an INGOT_BUILDER on one"
        return f"INGOT_BUILD_PLATFORM={self.native} compiles natively"


def build_platform(settings: Settings) -> Platform:
    """Return the platform that compile stages run on: what the settings say, else this machine's own.

    For a machine that no toolchain runs on it is the target's; compiling there is emulated, and refused as that.
    """
    if settings.build_platform != "auto":
        return settings.build_platform
    return platform_of(platform.machine()) or TARGET


def this_machine() -> Machine:
    """Look at this machine."""
    return Machine(
        machine=platform.machine(),
        cpuinfo=_CPUINFO.read_text(errors="replace") if _CPUINFO.exists() else "",
        interpreters=tuple(sorted(path.name for path in _BINFMT.iterdir())) if _BINFMT.is_dir() else (),
    )


def emulation(
    wanted: Platform,
    here: Machine,
    *,
    engine: EngineInfo | None = None,
    builder: BuilderInfo | None = None,
    docker_host: str,
) -> Emulation | None:
    """Say whether stages for `wanted` are emulated, and by what. Pure: what was found is handed in.

    `docker_host` is the engine's address. Without an engine this machine stands for it.
    """
    elsewhere = builder is not None and _is_elsewhere(builder, docker_host)
    local = not elsewhere and not _remote(docker_host)
    if local and (by := _machine_below(here)):
        return Emulation(wanted=wanted, native="", by=by)
    kernel = engine.architecture if engine else here.machine
    native: str = platform_of(kernel) or kernel
    if builder and elsewhere:
        native = builder.native
    if not native or native == wanted:
        return None
    return Emulation(wanted=wanted, native=native, by=_interpreter(wanted, here, local=local))


def _is_elsewhere(builder: BuilderInfo, docker_host: str) -> bool:
    """Say whether a builder is not on the engine's kernel, which else decides: a BuildKit on it may be emulated itself."""
    if builder.driver == "docker-container" and len(builder.natives) <= 1:
        return _remote(builder.endpoint) != _remote(docker_host)
    return builder.driver != "docker"


def _remote(address: str) -> str:
    """Return the address of another machine; empty for a socket of this one, of which an engine may have several."""
    return address if "://" in address and not address.startswith(("unix://", "npipe://")) else ""


def refuse_emulation(found: Emulation | None, *, allowed: bool, mend: str = "") -> str:
    """Return the warning of an emulation that the user asked for; empty where nothing is emulated.

    `mend` is what compiles natively where the platform is no choice.

    Raises:
        Emulated: it is, and nobody asked for that.
    """
    if found is None:
        return ""
    if not allowed:
        raise Emulated(str(found), hint=f"{mend or found.mend}; INGOT_EMULATE=1 compiles all the same")
    return str(found)


def _machine_below(here: Machine) -> str:
    """Find out whether all programs of this machine are emulated, by what the emulator forgets to make up."""
    if "VirtualApple" in here.cpuinfo:
        return _ROSETTA
    arm = bool(re.search(r"^CPU implementer\s*:", here.cpuinfo, re.MULTILINE))
    intel = bool(re.search(r"^vendor_id\s*:", here.cpuinfo, re.MULTILINE))
    own = platform_of(here.machine)
    if (own == "linux/amd64" and arm and not intel) or (own == "linux/arm64" and intel and not arm):
        return "qemu"
    return ""


def _interpreter(wanted: Platform, here: Machine, *, local: bool) -> str:
    if local and "rosetta" in here.interpreters and wanted == TARGET:
        return _ROSETTA
    if (local and f"qemu-{machine(wanted)}" in here.interpreters) or wanted != TARGET:
        return "qemu"
    return f"qemu or {_ROSETTA}"
