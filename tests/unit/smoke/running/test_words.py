"""What foreign programs print is shown, and commands nothing."""

import pytest

from build.doors.effects import RunResult
from build.smoke.running.words import answer, fate, plain, plain_detail, stopped, tail


def result(code: int = 0, *, oom: bool = False, late: bool = False, flooded: bool = False) -> RunResult:
    return RunResult(
        exit_code=code, stdout="out", stderr="err", timed_out=late, oom_killed=oom, seconds=60.04, flooded=flooded
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[31mb", r"a\x1b[31mb"),
        ("\x07\x00\x9b2J", r"\x07\x00\x9b2J"),
        ("\u202eabc", r"\u202eabc"),
        ("a\tb\r\nc", "a b\nc"),
        ("a\x0bb\x85c\u2028d", "a\nb\nc\nd"),
        ("grün \ufffd", "grün \ufffd"),
        ("x" * 2002, "x" * 2000 + "... 2 more characters"),
        ("y\n" * 203, "y\n" * 200 + "... 3 more lines"),
    ],
)
def test_only_what_may_be_printed_is_left(text: str, shown: str) -> None:
    assert plain(text) == shown


def test_what_was_made_plain_stays_as_it_is() -> None:
    assert plain(tail("\x1b" + "x" * 402)) == r"\x1b" + "x" * 399 + "... 3 more characters"


def test_the_tail_is_the_last_lines() -> None:
    assert tail("\n".join(map(str, range(20))) + "\n\n", 2) == "18\n19"
    assert tail("\x1b[2J") == r"\x1b[2J"


def test_evidence_is_bounded_in_width_and_depth() -> None:
    deep: list[object] = []
    for _ in range(50):
        deep = [deep]
    shown = plain_detail({"a\x1b": ["\x07", 1, None, True], "deep": deep, "many": list(range(1000))})
    assert isinstance(shown, dict)
    assert shown[r"a\x1b"] == [r"\x07", 1, None, True]
    assert len(shown["many"]) == 200
    assert "..." in str(shown["deep"])


@pytest.mark.parametrize(
    ("ended", "said", "by_a_limit"),
    [
        (result(), "ended with status 0", False),
        (result(3), "ended with status 3", False),
        (result(137, oom=True), "was killed for memory", True),
        (result(0, oom=True), "ended with status 0", False),
        (result(137, late=True), "was killed after 60 s", True),
        (result(137, flooded=True), "was killed when it had printed 8 MiB", True),
    ],
)
def test_how_a_container_ended(ended: RunResult, said: str, *, by_a_limit: bool) -> None:
    assert fate(ended) == said
    assert stopped(ended) is by_a_limit


def test_an_answer() -> None:
    assert answer(result()) == "out"
    assert answer(result(22)) == "outerr"
    assert answer(result(137, late=True)) == "the probe was killed after 60 s\n"
    assert answer(result(137, flooded=True)) == (
        "the probe was killed when it had printed 8 MiB: the answer does not end\n"
    )
