"""Which way an engine hands a GPU to a container, read from its description, and the words that ask for it.

Reads the folders of device descriptions that a local engine names; must not talk to the engine. CDI is preferred: the
engine's own, without a runtime beside it. From 28.2 on an engine lists the devices that it found
(https://github.com/moby/moby/pull/49980); an older one only names the folders that it reads, which may hold none.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, assert_never

from build.doors.effects import GpuAccess

__all__ = ["access_of", "request_for"]

_KIND = "nvidia.com/gpu"
_ALL = f"{_KIND}=all"
_SPECS = ("*.yaml", "*.yml", "*.json")


def access_of(info: Mapping[str, Any], *, local: bool) -> GpuAccess:
    """Read the answer to `GET /info`; `local` says that the engine's folders are this host's."""
    if any(_KIND in str(value) for one in info.get("DiscoveredDevices") or () for value in one.values()):
        return GpuAccess.CDI
    if local and any(_described(Path(folder)) for folder in info.get("CDISpecDirs") or ()):
        return GpuAccess.CDI
    return GpuAccess.RUNTIME if GpuAccess.RUNTIME in (info.get("Runtimes") or {}) else GpuAccess.NONE


def _described(folder: Path) -> bool:
    files = [path for pattern in _SPECS for path in folder.glob(pattern)]
    return any(_KIND in path.read_text(encoding="utf-8", errors="replace") for path in files)


def request_for(access: GpuAccess) -> dict[str, Any] | None:
    """Return the device request: that of `--device nvidia.com/gpu=all`, of `--gpus all`, or None for no GPU."""
    match access:
        case GpuAccess.CDI:
            return {"driver": "cdi", "device_ids": [_ALL]}
        case GpuAccess.RUNTIME:
            # Named capabilities: without them the image would have to name them in NVIDIA_DRIVER_CAPABILITIES.
            return {"driver": "nvidia", "count": -1, "capabilities": [["gpu", "compute", "utility"]]}
        case GpuAccess.NONE:
            return None
        case _:
            assert_never(access)
