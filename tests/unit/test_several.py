"""Verbs side by side: answers in the order of the calls, failures kept apart."""

import sys

import pytest

from build.doors.process import Command
from build.errors import WorkFailed
from build.several import Call, SeveralFailed, together
from tests.fakes import RecordingReporter

pytestmark = pytest.mark.processes


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


@pytest.mark.parametrize(
    ("script", "message", "code"),
    [
        ('import sys; print(\'{"error": "no patch", "exit_code": 2}\'); sys.exit(2)', "buun: no patch", 2),
        ("import os; os.kill(os.getpid(), 9)", "buun: ended with status -9 and without a word", 1),
        ("import sys; sys.exit(4)", "buun: ended with status 4 and without a word", 4),
        ("print('[1')", "buun: ended with status 0 and without a word", 1),
    ],
)
def test_a_failure_keeps_its_words_and_its_code(script: str, message: str, code: int) -> None:
    calls = [call("buun", script), call("llama-cpp", FINE % "llama-cpp")]
    with pytest.raises(SeveralFailed) as failed:
        together(calls, RecordingReporter(), at_once=1)
    assert (failed.value.message, failed.value.exit_code) == (message, code)
    assert list(failed.value.failures) == ["buun"]


def test_failures_of_two_kinds_are_failed_work() -> None:
    calls = [call("a", "import sys; sys.exit(4)"), call("b", "import sys; sys.exit(2)")]
    with pytest.raises(SeveralFailed) as failed:
        together(calls, RecordingReporter(), at_once=2)
    assert failed.value.exit_code == WorkFailed.exit_code
