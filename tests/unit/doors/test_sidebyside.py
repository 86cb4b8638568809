"""Programs side by side: each has its own time and its own end, and nothing outlives who listens."""

import sys
import time
from pathlib import Path

import pytest

from build.doors.process import Command
from build.doors.sidebyside import run_all, stream_all
from build.errors import ToolMissing

pytestmark = pytest.mark.processes


def sh(script: str, *words: str) -> Command:
    return Command(argv=("sh", "-c", script, *words))


def living(mark: str) -> list[Path]:
    """List who is still there; a process that was killed may need a moment to go."""
    until = time.monotonic() + 10
    while found := [
        entry for entry in Path("/proc").glob("[0-9]*/cmdline") if mark.encode() in _words(entry)
    ]:
        if time.monotonic() > until:
            break
    return found


def test_side_by_side_each_has_its_own_time(tmp_path: Path) -> None:
    left = tmp_path / "left"
    commands = [
        Command(argv=("sh", "-c", f"(sleep 20; touch {left}) & wait")),
        Command(argv=("sh", "-c", "echo out; echo err >&2; exit 3"), env={"X": "1"}),
        Command(argv=("sh", "-c", "echo $X; pwd"), env={"X": "1"}, cwd=tmp_path),
    ]
    begun = time.monotonic()
    ended = {one.number: one for one in run_all(commands, timeout_s=2.0)}
    assert time.monotonic() - begun < 15
    assert ended[0].done is None
    assert ended[1].done
    assert (ended[1].done.status, ended[1].done.stdout, ended[1].done.stderr) == (3, "out\n", "err\n")
    assert ended[2].done
    assert ended[2].done.stdout == f"1\n{tmp_path}\n"
    assert list(ended)[-1] == 0, "who was done first was handed over first"


def test_who_stops_listening_ends_the_others(tmp_path: Path) -> None:
    mark = f"ingot-test-{tmp_path.name}"
    commands = [
        Command(argv=("true",)),
        Command(argv=("sh", "-c", "sleep 30 & wait", mark)),
    ]
    for one in run_all(commands, timeout_s=60):
        assert one.number == 0
        break
    assert living(mark) == []


def test_no_more_than_allowed_run_at_once(tmp_path: Path) -> None:
    script = 'touch "$0/$$"; ls "$0" | wc -l; sleep 0.2; rm "$0/$$"'
    commands = [Command(argv=("sh", "-c", script, str(tmp_path)))] * 6
    counts = [int(one.done.stdout) for one in run_all(commands, timeout_s=60, at_once=2) if one.done]
    assert len(counts) == 6
    assert max(counts) <= 2


def test_a_program_of_several_that_is_not_there() -> None:
    with pytest.raises(ToolMissing, match="cannot run no-such-program"):
        list(run_all([Command(argv=("no-such-program",))], timeout_s=5))


def test_every_line_is_heard_and_every_answer_returned() -> None:
    heard: list[tuple[int, str]] = []
    done = stream_all(
        [sh("echo {}; echo one >&2; printf 'two\\r\\nthree' >&2"), sh("echo only >&2; exit 3")],
        at_once=2,
        patience_s=5,
        on_line=lambda number, line: heard.append((number, line)),
    )
    assert [(one.status, one.stdout) for one in done] == [(0, "{}\n"), (3, "")]
    assert [line for number, line in heard if number == 0] == ["one", "two", "three"]
    assert [line for number, line in heard if number == 1] == ["only"]


def test_workers_begin_in_their_order() -> None:
    heard: list[str] = []
    commands = [sh("echo $0 >&2", str(number)) for number in range(5)]
    stream_all(commands, at_once=1, patience_s=5, on_line=lambda _number, line: heard.append(line))
    assert heard == ["0", "1", "2", "3", "4"]


def test_no_more_workers_than_allowed_at_once(tmp_path: Path) -> None:
    script = 'touch "$0/$$"; ls "$0" | wc -l; sleep 0.1; rm "$0/$$"'
    done = stream_all([sh(script, str(tmp_path))] * 5, at_once=2, patience_s=5, on_line=lambda *_: None)
    assert max(int(one.stdout) for one in done) <= 2


def test_an_interrupt_asks_all_of_them_at_once(tmp_path: Path) -> None:
    mark = f"ingot-test-{tmp_path.name}"
    # Each needs a moment to clear up. A shell could not heed what whoever started the tests has it ignore.
    script = (
        "import os, pathlib, signal, sys, time\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "try: print('ready', file=sys.stderr, flush=True); time.sleep(60)\n"
        "except KeyboardInterrupt: time.sleep(1); pathlib.Path(sys.argv[1], str(os.getpid())).touch()\n"
    )
    commands = [Command(argv=(sys.executable, "-c", script, str(tmp_path), mark))] * 3
    ready: list[str] = []

    def interrupt(_number: int, line: str) -> None:
        ready.append(line)
        if len(ready) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stream_all(commands, at_once=3, patience_s=60, on_line=interrupt)
    assert len(list(tmp_path.iterdir())) == 3, "each has cleared up"
    assert living(mark) == []


def test_a_worker_that_is_not_there_ends_the_others(tmp_path: Path) -> None:
    mark = f"ingot-test-{tmp_path.name}"
    with pytest.raises(ToolMissing, match="cannot run no-such-program"):
        stream_all(
            [sh("sleep 60", mark), Command(argv=("no-such-program",))],
            at_once=2,
            patience_s=5,
            on_line=lambda *_: None,
        )
    assert living(mark) == []


def _words(entry: Path) -> bytes:
    try:
        return entry.read_bytes()
    except OSError:
        return b""
