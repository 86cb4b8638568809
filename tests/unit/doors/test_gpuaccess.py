"""How a GPU is asked for, from what engines of several ages say of themselves."""

from pathlib import Path
from typing import Any

import pytest

from build.doors.effects import GpuAccess
from build.doors.gpuaccess import access_of, request_for

RUNTIMES = {"runc": {"path": "runc"}, "nvidia": {"path": "nvidia-container-runtime"}}


@pytest.mark.parametrize(
    ("info", "access"),
    [
        ({}, GpuAccess.NONE),
        ({"Runtimes": {"runc": {"path": "runc"}}, "CDISpecDirs": [], "DiscoveredDevices": None}, GpuAccess.NONE),
        ({"Runtimes": RUNTIMES}, GpuAccess.RUNTIME),
        ({"Runtimes": RUNTIMES, "CDISpecDirs": ["/nonexistent/cdi"]}, GpuAccess.RUNTIME),
        ({"DiscoveredDevices": [{"Source": "cdi", "ID": "nvidia.com/gpu=all"}]}, GpuAccess.CDI),
        ({"Runtimes": RUNTIMES, "DiscoveredDevices": [{"Source": "cdi", "ID": "nvidia.com/gpu=0"}]}, GpuAccess.CDI),
        ({"DiscoveredDevices": [{"Source": "cdi", "ID": "amd.com/gpu=all"}]}, GpuAccess.NONE),
    ],
)  # fmt: skip
def test_what_the_engine_says(info: dict[str, Any], access: GpuAccess) -> None:
    assert access_of(info, local=True) is access


@pytest.mark.parametrize(
    ("name", "text", "access"),
    [
        ("nvidia.yaml", "cdiVersion: 0.5.0\nkind: nvidia.com/gpu\n", GpuAccess.CDI),
        ("nvidia.json", '{"kind": "nvidia.com/gpu"}', GpuAccess.CDI),
        ("amd.json", '{"kind": "amd.com/gpu"}', GpuAccess.NONE),
        ("nvidia.yaml.bak", "kind: nvidia.com/gpu\n", GpuAccess.NONE),
    ],
)
def test_an_engine_that_only_names_its_folders(
    name: str, text: str, access: GpuAccess, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(text)
    info = {"CDISpecDirs": [str(tmp_path)]}
    assert access_of(info, local=True) is access
    assert access_of(info, local=False) is GpuAccess.NONE, "another host's folders"


def test_the_requests_are_those_of_the_docker_command() -> None:
    assert request_for(GpuAccess.CDI) == {"driver": "cdi", "device_ids": ["nvidia.com/gpu=all"]}
    assert request_for(GpuAccess.RUNTIME) == {
        "driver": "nvidia",
        "count": -1,
        "capabilities": [["gpu", "compute", "utility"]],
    }
    assert request_for(GpuAccess.NONE) is None
