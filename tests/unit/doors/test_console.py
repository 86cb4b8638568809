import time
from io import StringIO
from pathlib import Path

import pytest

from build.doors.console import Console, duration, markdown_table


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"),
        (3.14, "3.1 s"),
        (9.99, "10.0 s"),
        (41.6, "42 s"),
        (125, "2 min 5 s"),
        (3720, "1 h 2 min"),
    ],
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_steps_without_a_terminal() -> None:
    sink, clock = StringIO(), Clock()
    console = Console(file=sink, clock=clock)
    with console.step("build [x]"):
        with (
            console.step("probe", parallel=True) as probe,
            console.step("compile", parallel=True) as compiling,
        ):
            clock.now += 12
            probe.verdict("cached")
            compiling.update("[1/4]")
            clock.now += 30
            compiling.update("[2/4]")
        console.note("a note [bold]")
    assert sink.getvalue() == (
        "  … compile  [2/4]  42 s\n"
        "  ✓ compile  done  42 s\n"
        "  ✓ probe  cached  42 s\n"
        "  a note [bold]\n"
        "✓ build [x]  done  42 s\n"
    )


@pytest.mark.parametrize(
    ("error", "line"),
    [(ValueError("x"), "✗ push  failed  0.0 s\n"), (KeyboardInterrupt(), "! push  interrupted  0.0 s\n")],
)
def test_a_step_that_ends_badly_says_so(error: BaseException, line: str) -> None:
    sink = StringIO()

    def push() -> None:
        with Console(file=sink, clock=Clock()).step("push") as step:
            step.verdict("pushed")
            raise error

    with pytest.raises(type(error)):
        push()
    assert sink.getvalue() == line


def test_a_silent_step_says_that_it_is_under_way_where_there_is_no_terminal() -> None:
    sink, clock = StringIO(), Clock()
    console = Console(file=sink, clock=clock, tick_s=0.001)
    with console.step("outer"), console.step("bootstrap"):
        clock.now += 31
        until = time.monotonic() + 20
        while "bootstrap" not in sink.getvalue() and time.monotonic() < until:
            time.sleep(0.001)
    assert sink.getvalue() == "  … bootstrap  31 s\n  ✓ bootstrap  done  31 s\n✓ outer  done  31 s\n"


def test_error_with_hint_and_warning() -> None:
    sink = StringIO()
    console = Console(file=sink)
    console.error("no [engine]", hint="start it")
    console.warning("slow")
    assert sink.getvalue() == "error: no [engine]\nhint: start it\nwarning: slow\n"


def test_words_of_strangers_command_no_terminal() -> None:
    sink = StringIO()
    console = Console(file=sink)
    evil = "a\x1b]0;owned\x07b"
    with console.step(evil):
        console.note(evil)
        console.output(evil)
    console.warning(evil)
    console.error(f"{evil}\nsecond line", hint=evil)
    console.summary(evil, ("what",), ((evil,),))
    assert "\x1b" not in sink.getvalue()
    assert "\x07" not in sink.getvalue()
    assert sink.getvalue().count("a\\x1b]0;owned\\x07b") == 8
    assert "error: a\\x1b]0;owned\\x07b\nsecond line\n" in sink.getvalue()


def test_github_groups() -> None:
    sink = StringIO()
    console = Console(file=sink, github=True, clock=Clock())
    with console.step("build"), console.step("compile", parallel=True):
        console.output("line")
    console.error("two\nlines 100%")
    assert sink.getvalue() == (
        "::group::build\nline\n  ✓ compile  done  0.0 s\n::endgroup::\n✓ build  done  0.0 s\n::error::two%0Alines 100%25\n"
    )


def test_colours_are_asked_for_or_refused() -> None:
    for color, coloured in ((True, True), (False, False), (None, False)):
        sink = StringIO()
        Console(file=sink, color=color).warning("w")
        assert ("\x1b[" in sink.getvalue()) is coloured


def test_a_terminal_gets_live_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    sink, clock = Terminal(), Clock()
    console = Console(file=sink, clock=clock, color=False)
    with console.step("compile") as step:
        clock.now += 65
        step.update("[42/186]")
        live = [str(line) for line in console._running().renderables]
    assert live == ["· compile  [42/186]  1 min 5 s"]
    assert "· compile" in sink.getvalue()
    assert "✓ compile  done  1 min 5 s" in sink.getvalue()


def test_summary_goes_to_the_job_page_too(tmp_path: Path) -> None:
    page, sink = tmp_path / "summary.md", StringIO()
    page.write_text("before\n")
    Console(file=sink, step_summary=page).summary("Images", ("recipe", "digest"), (("mini", "sha256:1"),))
    assert (
        page.read_text()
        == "before\n### Images\n\n| recipe | digest |\n| --- | --- |\n| mini | sha256:1 |\n\n"
    )
    assert [line.rstrip() for line in sink.getvalue().splitlines()] == [
        "Images",
        "recipe  digest",
        "mini    sha256:1",
    ]


def test_markdown_cells_cannot_break_the_table() -> None:
    assert markdown_table("T", ("a",), (("x|y\nz",),)) == "### T\n\n| a |\n| --- |\n| x\\|y<br>z |\n\n"
