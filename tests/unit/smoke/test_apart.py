"""The static checks in a process of their own: its answer, and what becomes of it when either side is killed."""

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from build.doors import store
from build.errors import WorkFailed
from build.smoke.model import Outcome
from build.smoke.static.run import apart, run_static
from tests.unit.smoke.samples import EXPECT, sample

pytestmark = pytest.mark.processes

KILLED = """
import os, signal, sys
from pathlib import Path
from build.smoke.static.run import apart
from tests.unit.smoke.samples import EXPECT

with apart(Path(sys.argv[1]), EXPECT, Path(sys.argv[2])):
    os.kill(os.getpid(), signal.SIGKILL)
"""


@contextmanager
def endless(layout: Path) -> Iterator[None]:
    """Put a pipe that nobody writes to in a blob's place: who reads the image waits."""
    blob = max((layout / "blobs" / "sha256").iterdir(), key=lambda path: path.stat().st_size)
    kept = blob.with_suffix(".kept")
    blob.rename(kept)
    os.mkfifo(blob)
    try:
        yield
    finally:
        kept.rename(blob)


def running(work: Path) -> list[int]:
    """Return the processes that were given this work folder."""
    found = []
    for line in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(FileNotFoundError, ProcessLookupError):
            if str(work).encode() in line.read_bytes():
                found.append(int(line.parent.name))
    return found


def test_the_answer_is_that_of_the_same_checks_here(tmp_path: Path) -> None:
    layout = sample(tmp_path / "image")
    with apart(layout, EXPECT, tmp_path / "there") as read:
        there = read()
    here = run_static(layout, EXPECT, tmp_path / "here")
    assert [(one.name, one.outcome, one.reason) for one in there] == [
        (one.name, one.outcome, one.reason) for one in here
    ]
    assert {one.outcome for one in there} == {Outcome.PASSED}
    assert not running(tmp_path / "there")


def test_a_broken_layer_is_a_verdict(tmp_path: Path) -> None:
    layout = sample(tmp_path / "image")
    blob = max((layout / "blobs" / "sha256").iterdir(), key=lambda path: path.stat().st_size)
    blob.write_bytes(b"?")
    with apart(layout, EXPECT, tmp_path / "work") as read:
        first, *_ = read()
    assert (first.name, first.outcome) == ("layout", Outcome.FAILED)


def test_a_process_that_is_killed_is_no_verdict(tmp_path: Path) -> None:
    layout = sample(tmp_path / "image")
    with endless(layout), apart(layout, EXPECT, tmp_path / "work") as read:
        (child,) = running(tmp_path / "work")
        os.kill(child, signal.SIGKILL)
        with pytest.raises(WorkFailed, match="broke off with status -9") as caught:
            read()
    assert "memory" in caught.value.hint


def test_what_it_could_not_do_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = store.write_artifact

    def something_in_the_way(path: Path, value: object) -> None:
        write(path, value)
        (path.parent / "files").write_bytes(b"")

    monkeypatch.setattr(store, "write_artifact", something_in_the_way)
    with (
        apart(sample(tmp_path / "image"), EXPECT, tmp_path / "work") as read,
        pytest.raises(WorkFailed, match=r"broke off with status 1: .*File exists: .*/files") as caught,
    ):
        read()
    assert "Traceback" not in caught.value.message
    assert caught.value.hint == ""


def test_a_test_that_is_broken_off_leaves_neither_process_nor_files(tmp_path: Path) -> None:
    layout = sample(tmp_path / "image")
    with endless(layout), suppress(KeyboardInterrupt), apart(layout, EXPECT, tmp_path / "work"):
        assert running(tmp_path / "work")
        raise KeyboardInterrupt
    assert not running(tmp_path / "work")
    assert [path.name for path in (tmp_path / "work" / "scratch").iterdir()] == [".lock"]


def test_it_does_not_outlive_a_parent_that_was_killed(tmp_path: Path) -> None:
    """It would wait for ever here."""
    layout, work = sample(tmp_path / "image"), tmp_path / "work"
    words = (sys.executable, "-c", KILLED, str(layout), str(work))
    with endless(layout):
        done = subprocess.run(words, capture_output=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (-9, b"")
    (folder,) = (path for path in (work / "scratch").iterdir() if path.is_dir())
    with (folder / ".lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    until = time.monotonic() + 30
    while running(work):
        assert time.monotonic() < until
        time.sleep(0.05)
