"""The driver's own libraries: what the container runtime injects, and what an image must therefore never hold. Pure."""

import re
from typing import Final

__all__ = ["DRIVER", "INJECTED", "driver_symbols", "is_driver_file", "provides"]

DRIVER: Final = "libcuda.so.1"

INJECTED: Final = (
    DRIVER,
    "libnvidia-ml.so.1",
    "libnvidia-nvvm.so.4",
    "libnvidia-ptxjitcompiler.so.1",
)
"""What libnvidia-container mounts for the capabilities `compute` and `utility` and a program may be linked to.

https://github.com/NVIDIA/libnvidia-container/blob/main/src/nvc_info.c
"""

_DRIVER_FILE: Final = re.compile(
    r"libcuda\.so.*|libcudadebugger\.so.*|libnvidia-.*|libnvcuvid.*|libnvoptix.*|lib(?:EGL|GLX|GLESv\w*)_nvidia.*"
    r"|nvidia-(?:smi|persistenced|debugdump|modprobe|cuda-mps-.*)|nvidia[\w-]*\.ko.*"
)
_SYMBOL: Final = re.compile(r"cu[A-Z]\w*")
_PROVIDES: Final = {DRIVER: _SYMBOL, "libnvidia-ml.so.1": re.compile(r"nvml[A-Z]\w*")}


def is_driver_file(name: str) -> bool:
    """Say whether a file name, or a SONAME, is one of the driver's."""
    return _DRIVER_FILE.fullmatch(name) is not None


def driver_symbols(names: frozenset[str]) -> tuple[str, ...]:
    """Return the driver API functions among symbol names, memory management first: what a no-vmm image must not use."""
    return tuple(
        sorted(filter(_SYMBOL.fullmatch, names), key=lambda name: (not name.startswith("cuMem"), name))
    )


def provides(library: str, symbol: str) -> bool:
    """Say whether a library that the runtime injects is where such a symbol comes from."""
    pattern = _PROVIDES.get(library)
    return pattern is not None and pattern.fullmatch(symbol) is not None
