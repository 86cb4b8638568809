"""The reader of device code against NVIDIA's own, on binaries that nvcc made."""

from collections import Counter
from pathlib import Path

import pytest

from build.image.rootfs import ELF_MAGIC
from build.smoke.static.fatbin import read_device_code
from tests.cuobjdump import targets

ELF = Path(__file__).parents[2] / "data" / "elf"
BINARIES = sorted(path for path in ELF.iterdir() if path.is_file() and path.read_bytes()[:4] == ELF_MAGIC)


@pytest.mark.processes
@pytest.mark.parametrize("path", BINARIES, ids=lambda path: path.name)
def test_every_entry_is_read_as_nvidia_reads_it(path: Path) -> None:
    ours = Counter(code.target.removesuffix("f") for code in read_device_code(path))
    assert ours == targets(path)


@pytest.mark.processes
def test_there_is_something_to_compare() -> None:
    found = sum((targets(path) for path in BINARIES), Counter())
    assert {"sm_90", "sm_120", "sm_120a", "compute_120a"} <= set(found)
