"""NVIDIA's own reader of device code, from its wheel: what ours is held to. https://docs.nvidia.com/cuda/cuda-binary-utilities"""

import re
import subprocess
import sysconfig
from collections import Counter
from pathlib import Path

import pytest

__all__ = ["targets"]

_PROGRAM = Path(sysconfig.get_path("purelib")) / "nvidia" / "cu13" / "bin" / "cuobjdump"
_ENTRY = re.compile(r"^(ELF|PTX) file +\d+: .+\.sm_(\w+)\.(?:cubin|ptx)$", re.MULTILINE)


def targets(path: Path) -> Counter[str]:
    """Count the entries of a file for each target, `sm_120a` or `compute_120a`; a family's `f` is not told."""
    if not _PROGRAM.exists():
        pytest.skip("nvidia-cuda-cuobjdump has no wheel for this platform")
    command = (str(_PROGRAM), "--all-fatbin", "--list-elf", "--list-ptx", str(path))
    said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return Counter(f"{'sm' if kind == 'ELF' else 'compute'}_{arch}" for kind, arch in _ENTRY.findall(said))
