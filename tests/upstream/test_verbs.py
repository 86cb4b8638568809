"""The verbs as a machine sees them: one JSON document, also when some of it failed, and an exit code."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.unit.follow.making import commit_files
from tests.unit.follow.places import FORK, HOST, TREE, Place, Shelf

ROOT = Path(__file__).parents[2]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A checkout whose recipe is one commit behind."""
    for name in ("build", "dockerfiles", "recipes/toolchains"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    made = Place(root=tmp_path, index=Shelf())
    made.write(commit_files(made.upstream, TREE))
    lines = TREE["server/server.cpp"]
    assert lines
    commit_files(made.upstream, {"server/server.cpp": lines.replace("line 9\n", "other\n")})
    return made


def run(place: Place, *words: str) -> tuple[int, Any, str]:
    env = {**os.environ, "PYTHONPATH": str(place.root), "INGOT_GIT_MIRROR": f"{HOST}={place.root}/remote/"}
    done = subprocess.run(
        (sys.executable, "-m", "build", *words, "--json"),
        cwd=place.root,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, json.loads(done.stdout), done.stderr


def test_watch(place: Place) -> None:
    code, answer, err = run(place, "watch", "*")
    assert code == 0, err
    assert [one["recipe"] for one in answer["candidates"]] == ["fork"]


def test_watch_where_some_do_not_answer(place: Place) -> None:
    text = (
        place.file.read_text()
        .replace("name: fork", "name: lost")
        .replace("repository: fork", "repository: lost")
    )
    (place.root / "recipes" / "lost.yaml").write_text(text.replace(FORK, f"{HOST}nowhere.git"))
    code, answer, err = run(place, "watch", "*")
    assert (code, answer["exit_code"]) == (1, 1)
    assert [one["recipe"] for one in answer["candidates"]] == ["fork"], "what is known is told all the same"
    assert [one["recipe"] for one in answer["failed"]] == ["lost"]
    assert answer["error"] == "not known whether there is something new for: lost"
    assert err.endswith("exit 1: the work failed\n")
    assert run(place, "watch", "lost")[0] == 4, "nobody answered"


def test_bump_with_drift(place: Place) -> None:
    code, answer, err = run(place, "bump", "fork")
    assert code == 1
    assert answer["error"] == "fork: the new pin is written, and these do not fit it: patches/fork/1.patch"
    assert [one["verdict"] for one in answer["patches"]] == ["conflict"]
    assert "fork/1.patch: conflict" in err
    assert (place.root / "out" / "fork" / "bump.md").exists()
    code, answer, _ = run(place, "bump", "fork")
    assert (code, answer["move"], answer["reason"]) == (0, None, "the pin is the head of main")


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("rebuild",), "INGOT_REGISTRY is not set: nowhere to push to"),
        (("bump", "fork", "--to", "no-such"), f"{FORK} has no branch or tag 'no-such'"),
        (("bump", "nothing"), "no recipe is named 'nothing'"),
    ],
)
def test_requests_that_are_wrong(place: Place, words: tuple[str, ...], error: str) -> None:
    code, answer, _ = run(place, *words)
    assert code == (3 if "nothing" in words else 2)
    assert answer["error"] == error


def test_a_rebuild_outside_of_a_checkout(place: Place) -> None:
    code, answer, _ = run(place, "rebuild", "--dry-run")
    assert code != 0
    assert "not a git repository" in answer["error"]
