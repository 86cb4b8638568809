"""Upstreams asked side by side, over real git: some answer, some refuse, some never say a word."""

import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from build.doors.git import GitMirrors
from build.doors.packageindex import IndexFile
from build.errors import Unreachable
from build.follow.candidates import Candidate, Verdict
from build.follow.watch import Incomplete, Question, Report, Watch, by_pin
from build.recipe.model import Recipe
from tests.fakes import RecordingReporter
from tests.unit.follow.making import OLD, commit_files, git_recipe, sdist_recipe

_FLAGS = Path("/sys/class/net/lo/flags")
_DOWN = _FLAGS.exists() and not int(_FLAGS.read_text(), 16) & 1
loopback = pytest.mark.skipif(_DOWN, reason="loopback is down")
pytestmark = pytest.mark.processes

HOST = "https://git.example.org/"
NOW = datetime(2026, 6, 1, tzinfo=UTC)


class FakeIndex:
    """A package index with one package; it may never answer."""

    def __init__(self, *versions: str, wait: threading.Event | None = None) -> None:
        self._versions, self._wait = versions, wait

    def files(self, package: str) -> Iterable[IndexFile]:
        if self._wait:
            self._wait.wait(60)
        return [
            IndexFile(url=f"https://files.example.org/{package}-{version}.tar.gz", sha256="a" * 64)
            for version in self._versions
        ]

    def download(self, url: str) -> Iterable[bytes]:
        raise AssertionError(url)


def watch(
    tmp_path: Path,
    *,
    timeout_s: float = 30.0,
    index: FakeIndex | None = None,
    aged: timedelta | None = None,
    places: Mapping[str, str] | None = None,
) -> Watch:
    """A watch in a world where each of `places` stands for a repository, the others for local folders."""
    replacements = tuple((f"{HOST}{name}.git", place) for name, place in (places or {}).items())
    return Watch(
        mirrors=GitMirrors(
            root=tmp_path / "git", replacements=(*replacements, (HOST, f"{tmp_path}/remote/"))
        ),
        index=index or FakeIndex(),
        reporter=RecordingReporter(),
        timeout_s=timeout_s,
        now=NOW,
        pinned_at=lambda: {} if aged is None else {OLD: NOW - aged},
    )


def recipe(name: str, **more: Any) -> Recipe:
    return git_recipe(name=name, repo=f"{HOST}{name}.git", **(more or {"branch": "main"}))


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """A server that takes every connection and never says anything."""
    with socket.create_server(("127.0.0.1", 0), backlog=20) as listener:
        yield listener


@pytest.fixture
def closed() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def looked(one: Watch, recipes: list[Recipe], questions: tuple[Question, ...] = ()) -> Report:
    """Look, and return the report of a look that was incomplete too."""
    try:
        return one.look(recipes, questions)
    except Incomplete as error:
        return cast("Report", error.answer)


def test_candidates_and_reasons(tmp_path: Path) -> None:
    head = commit_files(tmp_path / "remote" / "ahead.git", {"a": "1"})
    same = commit_files(tmp_path / "remote" / "same.git", {"a": "2"})
    report = watch(tmp_path).look(
        [
            recipe("ahead"),
            git_recipe(name="same", repo=f"{HOST}same.git", commit=same, branch="main"),
            git_recipe(name="resting", enabled=False, reason="done"),
        ]
    )
    assert [(one.recipe, one.commit) for one in report.candidates] == [("ahead", head)]
    assert [(one.recipe, one.reason) for one in report.nothing] == [
        ("same", "the pin is the head of main"),
        ("resting", "not followed: done"),
    ]
    assert (report.failed, report.asked, report.answered) == ((), 2, 2)


def test_one_upstream_of_several_recipes_is_asked_once(tmp_path: Path) -> None:
    commit_files(tmp_path / "remote" / "shared.git", {"a": "1"})
    both = [git_recipe(name=name, repo=f"{HOST}shared.git", branch="main") for name in ("one", "two")]
    report = watch(tmp_path).look(both)
    assert [one.recipe for one in report.candidates] == ["one", "two"]
    assert (report.asked, report.answered) == (1, 1)


def test_no_mirror_is_made(tmp_path: Path) -> None:
    commit_files(tmp_path / "remote" / "ahead.git", {"a": "1"})
    watch(tmp_path).look([recipe("ahead")])
    assert [path.name.partition("-")[0] for path in (tmp_path / "git").iterdir()] == ["ingot"]


def test_a_schedule_holds_candidates_back(tmp_path: Path) -> None:
    commit_files(tmp_path / "remote" / "ahead.git", {"a": "1"})
    weekly = recipe("ahead", branch="main", schedule="weekly")
    (held,) = watch(tmp_path, aged=timedelta(days=1)).look([weekly]).nothing
    assert held.reason.endswith("waits 6 d: weekly, and the pin is 24 h old")
    assert watch(tmp_path, aged=timedelta(days=8)).look([weekly]).candidates


@loopback
def test_one_that_hangs_hides_and_delays_nobody(tmp_path: Path, silent: socket.socket, closed: int) -> None:
    port = silent.getsockname()[1]
    for name in ("one", "two"):
        commit_files(tmp_path / "remote" / f"{name}.git", {"a": name})
    hanging = {
        f"stuck{number}": f"{scheme}://127.0.0.1:{port}/x"
        for number, scheme in enumerate(("git", "http", "git"))
    }
    refusing = {
        f"closed{number}": f"{scheme}://127.0.0.1:{closed}/x" for number, scheme in enumerate(("git", "http"))
    }
    names = ["one", *hanging, *refusing, "two"]
    begun = time.monotonic()
    report = looked(
        watch(tmp_path, timeout_s=5.0, places={**hanging, **refusing}), [recipe(name) for name in names]
    )
    took = time.monotonic() - begun
    assert [one.recipe for one in report.candidates] == ["one", "two"]
    assert [one.recipe for one in report.failed] == [*hanging, *refusing]
    said = {one.recipe: one.message for one in report.failed}
    for name in hanging:
        assert said[name] == f"cannot reach 127.0.0.1 for {HOST}{name}.git: no answer within 5 s"
    for name in refusing:
        assert "unable to connect" in said[name] or "Failed to connect" in said[name]
    assert took < 3 * 5.0, "they were waited for one after the other"
    assert report.answered == 2
    until = time.monotonic() + 10
    while (
        gits(str(port)) and time.monotonic() < until
    ):  # what was killed is listed until somebody has waited for it
        time.sleep(0.1)
    assert gits(str(port)) == [], "git, its helpers, or the shell in front live on"


def gits(mark: str) -> list[str]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if f"127.0.0.1:{mark}/" in words and int(entry.name) != os.getpid():
            found.append(words)
    return found


def test_exit_codes(tmp_path: Path) -> None:
    commit_files(tmp_path / "remote" / "ahead.git", {"a": "1"})
    with pytest.raises(Incomplete) as some:
        watch(tmp_path).look([recipe("ahead"), recipe("missing")])
    assert some.value.exit_code == 1
    assert some.value.message == "not known whether there is something new for: missing"
    with pytest.raises(Incomplete) as none:
        watch(tmp_path).look([recipe("missing")])
    assert none.value.exit_code == 4


def test_archives_are_asked_about_too(tmp_path: Path) -> None:
    (found,) = watch(tmp_path, index=FakeIndex("1.9", "1.10")).look([sdist_recipe()]).candidates
    assert (found.ref, found.pinned) == ("1.10", "1.9")


def test_an_index_that_never_answers_is_an_error_of_its_own(tmp_path: Path) -> None:
    commit_files(tmp_path / "remote" / "ahead.git", {"a": "1"})
    forever = threading.Event()
    index = FakeIndex("1.9", wait=forever)
    report = looked(watch(tmp_path, timeout_s=2.0, index=index), [sdist_recipe(), recipe("ahead")])
    forever.set()
    assert [one.message for one in report.failed] == ["archive: no answer within 2 s"]
    assert [one.recipe for one in report.candidates] == ["ahead"]


def test_a_lock_that_cannot_be_judged(tmp_path: Path) -> None:
    def lost() -> Verdict:
        message = "registry.example.org cannot be reached"
        raise Unreachable(message)

    fine = Candidate(recipe="cuda-13.0", ref="", commit="", version="13.0.3", pinned="13.0.2", why="")
    questions = (Question(name="debian", ask=lost), Question(name="cuda-13.0", ask=lambda: fine))
    report = looked(watch(tmp_path), [], questions)
    assert report.candidates == (fine,)
    assert [(one.recipe, one.message) for one in report.failed] == [
        ("debian", "registry.example.org cannot be reached")
    ]


def test_an_answer_that_makes_no_sense(tmp_path: Path) -> None:
    sha256 = tmp_path / "remote" / "sha256.git"
    sha256.mkdir(parents=True)
    commands = (
        ("git", "init", "--quiet", "--object-format=sha256", "-b", "main", "."),
        ("git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "--allow-empty", "-m", "x"),
    )
    for command in commands:
        subprocess.run(command, cwd=sha256, check=True)
    commit_files(tmp_path / "remote" / "ahead.git", {"a": "1"})
    report = looked(watch(tmp_path), [recipe("sha256"), recipe("ahead")])
    (wrong,) = report.failed
    assert "what is no list of commits" in wrong.message or "object format" in wrong.message
    assert [one.recipe for one in report.candidates] == ["ahead"]


def test_pins_in_lines() -> None:
    when = {"commit: " + "a" * 40: NOW, "sdist: llama-cpp-python==0.3.24": NOW, "commit: short": NOW}
    assert by_pin(when) == {"a" * 40: NOW, "llama-cpp-python==0.3.24": NOW}
