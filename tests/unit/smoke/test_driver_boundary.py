from pathlib import Path
from typing import Any

import pytest

from tests.layouts import Tree, elf, symlink
from tests.unit.smoke.samples import findings, results


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            {"usr/lib/libcuda.so.580.1": b"x"},
            ["/usr/lib/libcuda.so.580.1 belongs to the driver, which the container runtime injects"],
        ),
        (
            {"usr/lib/libnvidia-ml.so.1": symlink("x")},
            ["/usr/lib/libnvidia-ml.so.1 belongs to the driver, which the container runtime injects"],
        ),
        (
            {"usr/lib/libnvcuvid.so.1": b""},
            ["/usr/lib/libnvcuvid.so.1 belongs to the driver, which the container runtime injects"],
        ),
        (
            {"usr/bin/nvidia-smi": b""},
            ["/usr/bin/nvidia-smi belongs to the driver, which the container runtime injects"],
        ),
        (
            {"app/libhelper.so": elf("libcuda.so.1")},
            ["/app/libhelper.so is the driver's libcuda.so.1 under another name"],
        ),
        (
            {"opt/stubs/libcublas.so": b""},
            ["/opt/stubs/libcublas.so lies in a folder of link-time libraries"],
        ),
        (
            {"usr/local/cuda-13.0/compat/libx.so.1": b""},
            ["/usr/local/cuda-13.0/compat/libx.so.1 lies in a folder of link-time libraries"],
        ),
        (
            {"app/libmini-cuda.so": elf("cuda-runpath-stubs.so")},
            ["/app/libmini-cuda.so: the RUNPATH element '/usr/local/cuda/lib64/stubs' leads to stubs"],
        ),
        (
            {"app/libmini-cuda.so": elf("cuda-runpath-build.so")},
            [
                "/app/libmini-cuda.so: the RUNPATH element '/build/bin' leads to a folder of the build",
                "/app/libmini-cuda.so: the RUNPATH element '' is empty, which means the current folder",
                "/app/libmini-cuda.so: the RUNPATH element 'lib' is relative to the current folder",
            ],
        ),
        (
            {"etc/ld.so.conf.d/cuda.conf": b"/usr/local/cuda/lib64/stubs\n"},
            ["/etc/ld.so.conf: '/usr/local/cuda/lib64/stubs' leads to stubs"],
        ),
        (
            {"etc/ld.so.preload": b"/x.so\n"},
            ["/etc/ld.so.preload forces libraries into every program"],
        ),
        # What only looks alike.
        ({"app/libcudart.so.14": b"", "app/compat/x.so": b"", "app/stubs/__init__.py": b""}, []),
    ],
)
def test_files_and_paths(tmp_path: Path, change: Tree, expected: list[str]) -> None:
    assert findings(tmp_path, "driver_boundary", change) == expected


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        (["LD_LIBRARY_PATH=/app:/usr/local/cuda/lib64/stubs"],
         ["LD_LIBRARY_PATH: '/usr/local/cuda/lib64/stubs' leads to stubs"]),
        (["LD_LIBRARY_PATH=/app:"], ["LD_LIBRARY_PATH: '' is empty, which means the current folder"]),
        (["LD_LIBRARY_PATH=/src/lib"], ["LD_LIBRARY_PATH: '/src/lib' leads to a folder of the build"]),
        (["LD_PRELOAD=/x/libcuda.so.1"], ["LD_PRELOAD: '/x/libcuda.so.1' belongs to the driver"]),
        (["LD_LIBRARY_PATH="], []),
        (["NVIDIA_VISIBLE_DEVICES=void"], ["NVIDIA_VISIBLE_DEVICES is 'void': no GPU would be injected"]),
        (["NVIDIA_DRIVER_CAPABILITIES=utility"],
         ["NVIDIA_DRIVER_CAPABILITIES is 'utility': without compute there is no libcuda"]),
        (["NVIDIA_REQUIRE_CUDA=cuda>=13.1 brand=tesla"],
         ["NVIDIA_REQUIRE_CUDA asks for cuda>=13.1, the image is built with CUDA 13.0"]),
        (["NVIDIA_REQUIRE_CUDA=cuda>=13.0"], []),
    ],
)  # fmt: skip
def test_variables(tmp_path: Path, env: list[str], expected: list[str]) -> None:
    config: dict[str, Any] = {"Env": env}
    assert findings(tmp_path, "driver_boundary", config=config) == expected


def test_evidence(tmp_path: Path) -> None:
    assert results(tmp_path, names=("driver_boundary",))["driver_boundary"].detail == {
        "run_paths": {"/app/libmini-cuda.so": "$ORIGIN", "/app/server": "$ORIGIN"},
        "variables": {"NVIDIA_VISIBLE_DEVICES": "all", "NVIDIA_DRIVER_CAPABILITIES": "compute,utility"},
    }
