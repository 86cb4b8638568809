"""A broken model file must end a server with an error, not with a crash."""

from pathlib import Path
from typing import Any

import pytest

from build.recipe.model import SmokeModel
from build.smoke.running import broken_model
from tests.unit.smoke.running.images import asked, good_server, running_image


def found(**server: Any) -> list[str]:
    image = running_image(good_server(**server), model=SmokeModel.MINI)
    findings = list(broken_model.check(image).findings)
    assert asked(image).containers == {}
    assert [spec.args[1] for spec in asked(image).specs] == [
        "/ingot/model/noise.mini",
        "/ingot/model/cut.mini",
    ]
    return findings


def test_an_error_and_an_exit_status_are_right() -> None:
    assert found() == []


@pytest.mark.parametrize(
    ("status", "says", "fault"),
    [
        (0, "bye\n", "ended with status 0, as if nothing were wrong: bye"),
        (134, "GGML_ASSERT\n", "crashed with status 134 (SIGABRT): GGML_ASSERT"),
        (139, "", "crashed with status 139 (SIGSEGV): "),
        (255, "", "crashed with status 255 (a signal): "),
        (1, " \n", "ended with status 1 and without a word"),
        (None, "waiting\n", "was killed after 60 s: waiting"),
    ],
)
def test_anything_else_is_a_fault(status: int | None, says: str, fault: str) -> None:
    assert found(broken_exit=status, broken_says=says) == [
        f"with a file of noise as its model the server {fault}",
        f"with a model that was cut short as its model the server {fault}",
    ]


def test_the_broken_models_lie_beside_the_good_one(tmp_path: Path) -> None:
    model = tmp_path / "tiny.gguf"
    model.write_bytes(b"GGUF" + bytes(896))
    broken_model.write_broken(model)
    assert (tmp_path / "cut.gguf").read_bytes() == b"GGUF" + bytes(596)
    assert len((tmp_path / "noise.gguf").read_bytes()) == 65536
    assert model.stat().st_size == 900
