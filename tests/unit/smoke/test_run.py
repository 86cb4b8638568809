"""The static checks in a process of their own: its answer, and what becomes of it when either side is killed."""

import multiprocessing
import subprocess
import sys
from pathlib import Path

import pytest

from build.errors import WorkFailed
from build.smoke.model import Outcome
from build.smoke.run import apart, run_static
from tests.unit.smoke.samples import EXPECT, sample

pytestmark = pytest.mark.processes

KILLED = """
import os, signal, sys
from pathlib import Path
from build.smoke.run import apart
from tests.unit.smoke.samples import EXPECT

with apart(Path(sys.argv[1]), EXPECT, Path(sys.argv[2])):
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_answer_is_that_of_the_same_checks_here(tmp_path: Path) -> None:
    layout = sample(tmp_path / "image")
    with apart(layout, EXPECT, tmp_path / "there") as read:
        there = read()
    here = run_static(layout, EXPECT, tmp_path / "here")
    assert [(one.name, one.outcome, one.reason) for one in there] == [
        (one.name, one.outcome, one.reason) for one in here
    ]
    assert {one.outcome for one in there} == {Outcome.PASSED}


def test_a_process_that_is_killed_is_no_verdict(tmp_path: Path) -> None:
    layout = sample(tmp_path / "image")
    with apart(layout, EXPECT, tmp_path / "work") as read:
        (child,) = multiprocessing.active_children()
        child.kill()
        with pytest.raises(WorkFailed, match="ended without an answer") as caught:
            read()
    assert "memory" in caught.value.hint
    assert not multiprocessing.active_children()


def test_it_does_not_outlive_a_parent_that_was_killed(tmp_path: Path) -> None:
    """Whoever reads the errors of the killed process would wait for ever."""
    layout = sample(tmp_path / "image")
    words = (sys.executable, "-c", KILLED, str(layout), str(tmp_path / "work"))
    done = subprocess.run(words, capture_output=True, check=False, timeout=120)
    assert (done.returncode, done.stderr) == (-9, b"")
