"""A device through CDI, for real: an engine of its own whose only device is a description that sets a variable."""

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from build.doors import store
from build.doors.effects import ContainerSpec, EngineHandle, GpuAccess
from build.doors.engine import DockerEngine
from build.errors import WorkFailed
from build.host.place import place_of
from build.settings import Settings
from tests.integration.conftest import Checkout

pytestmark = [pytest.mark.engine, pytest.mark.skipif(os.geteuid() != 0, reason="an engine needs root")]

DESCRIPTION = """\
cdiVersion: "0.5.0"
kind: nvidia.com/gpu
devices:
  - name: all
    containerEdits:
      env: ["HANDED_OUT=through CDI"]
"""
ASK = ContainerSpec(
    image="ingot.local/gpu-access:1", entrypoint=("/bin/sh", "-c"), args=('echo "[$HANDED_OUT]"',)
)
WANTED = replace(ASK, gpus=GpuAccess.CDI)


@pytest.fixture
def cdi(tmp_path: Path, engine: EngineHandle, settings: Settings) -> Iterator[tuple[DockerEngine, Path]]:
    """An engine that reads device descriptions from a folder that is empty at first."""
    packages = place_of(settings).packages
    if not (packages / "usr/sbin/dockerd").exists():
        pytest.skip("no engine packages are unpacked on this machine")
    devices = tmp_path / "cdi"
    devices.mkdir()
    # Sockets go here: their paths may have 104 bytes.
    short = Path(tempfile.mkdtemp(prefix="cdi-"))
    configuration = {
        "hosts": [f"unix://{short}/d.sock"], "pidfile": f"{tmp_path}/d.pid", "data-root": f"{tmp_path}/data",
        "exec-root": f"{short}/exec", "features": {"containerd-snapshotter": True, "cdi": True},
        "cdi-spec-dirs": [str(devices)], "bridge": "none", "iptables": False, "ip6tables": False,
    }  # fmt: skip
    (tmp_path / "daemon.json").write_text(json.dumps(configuration))
    path = f"{packages}/usr/sbin:{packages}/usr/bin:{os.environ['PATH']}"
    with (tmp_path / "log").open("wb") as log:
        daemon = subprocess.Popen(
            (packages / "usr/sbin/dockerd", "--config-file", tmp_path / "daemon.json"),
            env={**os.environ, "PATH": path}, stdout=log, stderr=log,
        )  # fmt: skip
    handle = EngineHandle(kind="host", name="host", docker_host=f"unix://{short}/d.sock", environment=())
    try:
        until = time.monotonic() + 60
        while not (short / "d.sock").exists() and time.monotonic() < until:
            time.sleep(0.2)
        with DockerEngine(handle) as ours:
            yield ours, devices
    finally:
        daemon.terminate()
        daemon.wait(60)
        # dockerd mounts its folder onto itself and leaves that.
        subprocess.run(("umount", tmp_path / "data"), check=False, capture_output=True)
        store.discard(short)


def test_a_described_device_reaches_the_container(cdi: tuple[DockerEngine, Path], good: Checkout) -> None:
    ours, devices = cdi
    assert ours.info().gpu_access is GpuAccess.NONE
    ours.load(good.out / "minifork" / "image", ASK.image)
    (devices / "nvidia.yaml").write_text(DESCRIPTION)
    assert ours.info().gpu_access is GpuAccess.CDI
    assert ours.run_once(WANTED).stdout == "[through CDI]\n"
    assert ours.run_once(ASK).stdout == "[]\n"


def test_a_device_that_is_described_wrongly_is_an_error(
    cdi: tuple[DockerEngine, Path], good: Checkout
) -> None:
    ours, devices = cdi
    ours.load(good.out / "minifork" / "image", ASK.image)
    (devices / "nvidia.yaml").write_text(DESCRIPTION.replace("name: all", 'name: "0"'))
    with pytest.raises(WorkFailed, match=r"unresolvable CDI devices nvidia\.com/gpu=all"):
        ours.run_once(WANTED)
