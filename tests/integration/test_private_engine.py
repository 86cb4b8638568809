"""A second private engine beside the first: its own socket, network and data; gone without a trace when it is stopped."""

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from build.doors.console import Console
from build.doors.effects import EngineHandle
from build.doors.engine import DockerEngine
from build.host import private
from build.host.place import place_of
from build.settings import Settings

pytestmark = [pytest.mark.engine, pytest.mark.skipif(os.geteuid() != 0, reason="a private engine needs root")]


def links() -> set[str]:
    return {path.name for path in Path("/sys/class/net").iterdir()}


def test_second_engine_beside_the_first(engine: EngineHandle, settings: Settings) -> None:
    second = replace(settings, engine_name="second")
    place = place_of(second)
    before = links()
    try:
        handle = private.start(second, Console())
        assert handle.docker_host != engine.docker_host
        with DockerEngine(handle) as ours, DockerEngine(engine) as first:
            assert ours.info().containerd_store
            assert first.info().containerd_store
        assert private.start(second, Console()) == handle
    finally:
        private.stop(second, Console(), purge=True)
    assert private.status(second).state == "stopped"
    assert not place.run.exists()
    assert not place.folder.exists()
    assert str(place.folder) not in Path("/proc/self/mountinfo").read_text()
    assert links() == before
    assert subprocess.run(("pgrep", "-f", str(place.run)), check=False, capture_output=True).returncode == 1


def test_killed_engine_starts_again(settings: Settings) -> None:
    third = replace(settings, engine_name="third")
    try:
        private.start(third, Console())
        pid = private.status(third).pid
        assert pid is not None
        os.kill(pid, 9)
        handle = private.start(third, Console())
        with DockerEngine(handle) as engine:
            assert engine.info().version
    finally:
        private.stop(third, Console(), purge=True)
    assert private.status(third).state == "stopped"
