"""Verbs side by side: answers in the order of the calls, failures kept apart."""

import re
import sys
from pathlib import Path

import pytest

from build import several
from build.doors import container, process
from build.doors.process import Command
from build.errors import WorkFailed
from build.several import Call, SeveralFailed, together
from tests.fakes import RecordingReporter

pytestmark = pytest.mark.processes

NOXFILE = Path(__file__).parents[2] / "noxfile.py"


def call(name: str, script: str) -> Call:
    return Call(name=name, command=Command(argv=(sys.executable, "-c", script)))


FINE = "import sys; print('[{\"recipe\": \"%s\"}]'); print('done', file=sys.stderr)"


def test_answers_come_in_the_order_of_the_calls_and_lines_name_their_image() -> None:
    reporter = RecordingReporter()
    calls = [call("llama-cpp", FINE % "llama-cpp"), call("buun", FINE % "buun")]
    assert together(calls, reporter, at_once=2) == [{"recipe": "llama-cpp"}, {"recipe": "buun"}]
    assert sorted(line for kind, line in reporter.said if kind == "output") == [
        "buun      | done",
        "llama-cpp | done",
    ]


def failing(code: int) -> str:
    """Fail as a verb does: the error is on stdout, a person has read it on stderr."""
    return f'import sys; print(\'{{"error": "no patch", "exit_code": {code}}}\'); sys.exit({code})'


def test_a_failure_keeps_its_words_and_its_code_and_is_not_said_again() -> None:
    reporter = RecordingReporter()
    calls = [call("buun", failing(2)), call("llama-cpp", FINE % "llama-cpp")]
    with pytest.raises(SeveralFailed) as failed:
        together(calls, reporter, at_once=1)
    assert (failed.value.message, failed.value.exit_code) == ("buun: no patch", 2)
    assert failed.value.recap == "1 of 2 failed: buun"
    assert reporter.all("error") == []


MEMORY = (
    "  hint: most often that is for want of memory: free some, or build fewer side by side with --at-once"
)
NAMED = "  hint: if it said why, then in the last of the lines that begin with its name"


@pytest.mark.parametrize(
    ("script", "message", "hint"),
    [
        ("import os; os.kill(os.getpid(), 9)", "buun: was ended by signal 9 (Killed)", MEMORY),
        ("import os; os.kill(os.getpid(), 15)", "buun: was ended by signal 15 (Terminated)", ""),
        ("import sys; sys.exit(4)", "buun: ended with status 4 and without an answer", NAMED),
        ("print('[1')", "buun: ended with status 0 and without an answer", NAMED),
    ],
)
def test_what_became_of_one_that_says_nothing_is_said(script: str, message: str, hint: str) -> None:
    reporter = RecordingReporter()
    calls = [call("buun", script), call("llama-cpp", FINE % "llama-cpp"), call("beellama", FINE % "beellama")]
    with pytest.raises(SeveralFailed) as failed:
        together(calls, reporter, at_once=1)
    assert (failed.value.message, failed.value.exit_code) == (message, WorkFailed.exit_code)
    assert reporter.all("error") == [message + hint]
    assert failed.value.recap == "1 of 3 failed: buun"


def test_failures_of_two_kinds_are_failed_work() -> None:
    calls = [call("a", failing(4)), call("b", failing(2))]
    with pytest.raises(SeveralFailed) as failed:
        together(calls, RecordingReporter(), at_once=2)
    assert failed.value.exit_code == WorkFailed.exit_code
    assert failed.value.recap == "2 of 2 failed: a, b"


def test_of_one_alone_there_is_no_recap() -> None:
    assert SeveralFailed({"a": WorkFailed("no patch")}, []).recap == ""


class Impatient(RecordingReporter):
    """Interrupts as soon as somebody has said a word."""

    def output(self, line: str) -> None:
        super().output(line)
        raise KeyboardInterrupt


CLEARING = """
import pathlib, signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)
try: print('ready', file=sys.stderr, flush=True); time.sleep(60)
except KeyboardInterrupt: time.sleep(5); pathlib.Path({!r}).touch()
"""


def test_an_interrupted_verb_has_its_own_time_to_clear_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shown by the other end: with hardly any time it does not come to clear up."""
    monkeypatch.setattr(several, "_CLEAN_UP_S", 0.01)
    with pytest.raises(KeyboardInterrupt):
        together([call("a", CLEARING.format(str(tmp_path / "cleared")))], Impatient(), at_once=1)
    assert not (tmp_path / "cleared").exists()


def test_that_time_is_enough_for_a_container_and_less_than_nox_gives() -> None:
    found = re.search(r"^END_S = ([0-9.]+)$", NOXFILE.read_text(), re.MULTILINE)
    assert found
    assert container._REMOVE_S + container._DRAIN_S <= several._CLEAN_UP_S
    assert float(found[1]) > several._CLEAN_UP_S + process._PATIENCE_S
