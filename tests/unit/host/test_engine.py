import os
from pathlib import Path

import pytest

from build.doors.console import Console
from build.errors import Unavailable
from build.host.engine import ensure_engine, look_at_host
from build.host.registry import _folder as registry_folder
from build.settings import from_env


def test_no_docker_at_all(tmp_path: Path) -> None:
    host = look_at_host(from_env({"PATH": str(tmp_path)}, tmp_path))
    assert (host.present, host.lacks) == (False, "there is no docker command")


@pytest.mark.processes
def test_an_engine_that_does_not_run_is_named_with_its_mend(tmp_path: Path) -> None:
    docker = tmp_path / "docker"
    docker.write_text("#!/bin/sh\nexit 1\n")
    docker.chmod(0o755)
    env = {"PATH": f"{tmp_path}:{os.defpath}", "INGOT_ENGINE": "host", "DOCKER_HOST": f"unix://{tmp_path}/s"}
    with pytest.raises(Unavailable) as caught:
        ensure_engine(from_env(env, tmp_path), Console())
    assert caught.value.message == (
        f"the host's engine cannot be used: the engine at unix://{tmp_path}/s does not answer: there is no such socket"
    )
    assert caught.value.hint == (
        "start it (`systemctl start docker`), let this user reach it (group docker), or INGOT_ENGINE=private as root"
    )


@pytest.mark.processes
@pytest.mark.parametrize("asked", [{"DOCKER_HOST": "unix:///nowhere/s"}, {"INGOT_BUILDER": "farm"}])
def test_what_was_asked_for_by_name_is_never_replaced_in_silence(
    tmp_path: Path, asked: dict[str, str]
) -> None:
    docker = tmp_path / "docker"
    docker.write_text("#!/bin/sh\nexit 1\n")
    docker.chmod(0o755)
    env = {"PATH": f"{tmp_path}:{os.defpath}", **asked}
    with pytest.raises(
        Unavailable, match=r"was asked for and cannot be used: no engine answers|cannot be used: the engine"
    ):
        ensure_engine(from_env(env, tmp_path), Console())


def test_each_engine_has_a_registry_of_its_own(tmp_path: Path) -> None:
    one, two = (registry_folder(from_env({"INGOT_ENGINE_NAME": name}, tmp_path)) for name in ("one", "two"))
    assert one != two
