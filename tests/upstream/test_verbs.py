"""The verbs as a machine sees them: one JSON document, also when some of it failed, and an exit code."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from build.doors.statebranch import StateBranch
from build.follow.state import BRANCH, State
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
    assert (
        answer["error"]
        == "fork: the new pin is written, and these do not fit it: patches/fork/1.patch (conflict)"
    )
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


@pytest.fixture
def state(place: Place) -> State:
    """What runs wrote down, in a clone and in the remote that it shares."""
    for root, words in ((place.root, ("init", "-q")), (place.root / "shared.git", ("init", "-q", "--bare"))):
        root.mkdir(exist_ok=True)
        subprocess.run(("git", *words), cwd=root, check=True)
    subprocess.run(
        ("git", "remote", "add", "origin", str(place.root / "shared.git")), cwd=place.root, check=True
    )
    return State(branch=StateBranch(repository=place.root / ".git", branch=BRANCH), holder="me")


def test_overdue_asks_the_clone_or_the_remote(place: Place, state: State) -> None:
    now = datetime.now(UTC)
    state.succeeded(["fork"], now - timedelta(days=20))
    code, answer, err = run(place, "overdue", "--days", "14")
    assert code == 1
    assert answer["error"].startswith("no successful run within 14 days: fork since ")
    assert run(place, "overdue", "--days", "21")[0] == 0
    code, answer, err = run(place, "overdue", "--remote", "origin", "--days", "14")
    assert (code, answer[0]["days"]) == (0, None), "nothing was written down there"
    assert "fork: no run has succeeded yet" in err
    there = replace(state, branch=replace(state.branch, remote=str(place.root / "shared.git")))
    there.succeeded(["fork"], now - timedelta(days=15))
    code, answer, err = run(place, "overdue", "fork", "--remote", "origin", "--days", "14")
    assert (code, answer["exit_code"]) == (1, 1)
    assert "(15 days)" in answer["error"]
    assert "exit 1: the work failed" in err
    there.succeeded(["fork"], now)
    assert run(place, "overdue", "fork", "--remote", "origin", "--days", "14")[0] == 0


def test_overdue_of_a_remote_that_does_not_answer(place: Place, state: State) -> None:
    state.succeeded(["fork"], datetime.now(UTC))
    code, answer, _ = run(place, "overdue", "--remote", "https://me:hunter2@127.0.0.1:9/x.git")
    assert code == 4
    assert answer["error"].startswith("cannot reach 127.0.0.1 for https://127.0.0.1:9/x.git: ")
    assert "hunter2" not in answer["error"]


def test_overdue_asks_one_place(place: Place) -> None:
    env = {**os.environ, "PYTHONPATH": str(place.root)}
    argv = (sys.executable, "-m", "build", "overdue", "--remote", "origin", "--state", "file")
    done = subprocess.run(argv, cwd=place.root, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "not allowed with argument" in done.stderr
