from pathlib import Path

import pytest

from build.recipe.model import Driver
from tests.layouts import elf
from tests.unit.smoke.samples import findings, results


@pytest.mark.parametrize(
    ("library", "driver", "expected"),
    [
        ("cuda-sm120a.so", Driver.LINKED, []),
        ("cuda-novmm.so", Driver.NONE, []),
        (
            "cuda-novmm.so",
            Driver.LINKED,
            ["no compiled library needs libcuda.so.1, the recipe says driver: linked"],
        ),
        (
            "cuda-sm120a.so",
            Driver.NONE,
            [
                "/app/libmini-cuda.so imports cuMemCreate, cuGetErrorString, the recipe promises driver: none",
                "/app/libmini-cuda.so needs libcuda.so.1, the recipe promises driver: none",
            ],
        ),
        (
            "cuda-novmm-needs-driver.so",
            Driver.NONE,
            ["/app/libmini-cuda.so needs libcuda.so.1, the recipe promises driver: none"],
        ),
        (
            "cuda-vmm-unlinked.so",
            Driver.NONE,
            ["/app/libmini-cuda.so imports cuMemCreate, cuGetErrorString, the recipe promises driver: none"],
        ),
        (
            "cuda-vmm-unlinked.so",
            Driver.LINKED,
            [
                "no compiled library needs libcuda.so.1, the recipe says driver: linked",
                "/app/libmini-cuda.so imports cuMemCreate and does not need libcuda.so.1",
            ],
        ),
    ],
)
def test_imports_and_needs(tmp_path: Path, library: str, driver: Driver, expected: list[str]) -> None:
    assert findings(tmp_path, "link_facts", {"app/libmini-cuda.so": elf(library)}, driver=driver) == expected


def test_evidence(tmp_path: Path) -> None:
    assert results(tmp_path, names=("link_facts",))["link_facts"].detail == {
        "driver": "linked",
        "linked": ["/app/libmini-cuda.so"],
        "imports": {"/app/libmini-cuda.so": ["cuMemCreate", "cuGetErrorString"]},
    }
