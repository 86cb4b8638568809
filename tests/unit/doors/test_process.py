"""Programs of the host: what comes back, and that nothing is left running."""

import os
import stat
import time
from pathlib import Path

import pytest

from build.doors import process
from build.errors import CommandFailed, ToolMissing, WorkFailed

pytestmark = pytest.mark.processes


def sh(script: str) -> tuple[str, ...]:
    return ("sh", "-c", script)


def gone(pid_file: Path) -> bool:
    """Wait until the process whose id stands in the file has ended."""
    pid = int(pid_file.read_text())
    for _ in range(200):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        time.sleep(0.01)
    return False


def test_what_a_program_printed() -> None:
    done = process.run(sh("cat; echo err >&2; echo $X"), stdin=b"in\n", env={"X": "laid over"})
    assert (done.status, done.stdout, done.stderr) == (0, "in\nlaid over\n", "err\n")


def test_without_input_there_is_none() -> None:
    assert process.run(("cat",)).stdout == ""


def test_bytes_that_are_no_text_are_shown_all_the_same() -> None:
    assert process.run(sh("printf 'a\\377b'")).stdout == "a\ufffdb"


def test_a_failure_shows_the_programs_own_words() -> None:
    with pytest.raises(CommandFailed) as failed:
        process.run(sh("echo out; echo why >&2; exit 3"), hint="do this")
    assert failed.value.message == "sh ended with status 3:\nwhy"
    assert (failed.value.hint, failed.value.status, failed.value.output) == ("do this", 3, "why\n")


def test_a_failure_may_be_an_answer() -> None:
    assert process.run(sh("exit 3"), check=False).status == 3


def test_no_shell_looks_at_the_words() -> None:
    assert process.run(("echo", "$HOME; `x` && *")).stdout == "$HOME; `x` && *\n"


def test_a_program_that_is_not_there() -> None:
    with pytest.raises(ToolMissing) as missing:
        process.run(("no-such-program",))
    assert missing.value.message == "cannot run no-such-program: No such file or directory"
    assert missing.value.exit_code == 4


def test_a_program_that_takes_too_long_is_ended_with_its_children(tmp_path: Path) -> None:
    script = f"sh -c 'trap \"\" INT; echo $$ > {tmp_path}/child; while :; do sleep 0.05; done' & wait"
    with pytest.raises(WorkFailed) as failed:
        process.run(sh(script), timeout_s=0.3, hint="be quicker")
    assert failed.value.message == "sh did not end within 0.3 s"
    assert failed.value.hint == "be quicker"
    assert gone(tmp_path / "child")


def test_lines_come_as_they_are_printed() -> None:
    lines: list[str] = []
    status = process.stream(
        sh("echo a; echo b >&2; printf 'c\\r\\n'; printf last; exit 2"), on_line=lines.append
    )
    assert (status, lines) == (2, ["a", "b", "c", "last"])


def test_an_interrupt_while_streaming_ends_the_program(tmp_path: Path) -> None:
    def interrupt(_line: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        process.stream(sh(f"echo $$ > {tmp_path}/pid; echo begun; exec sleep 60"), on_line=interrupt)
    assert gone(tmp_path / "pid")


def test_a_program_that_outlives_us_writes_its_log(tmp_path: Path) -> None:
    log = tmp_path / "new" / "log"
    pid = process.spawn(sh("echo $X; echo err >&2"), log=log, env={"X": "1"})
    os.waitpid(pid, 0)
    assert log.read_text() == "1\nerr\n"


def test_side_by_side_each_has_its_own_time(tmp_path: Path) -> None:
    left = tmp_path / "left"
    commands = [
        process.Command(argv=("sh", "-c", f"(sleep 20; touch {left}) & wait")),
        process.Command(argv=("sh", "-c", "echo out; echo err >&2; exit 3"), env={"X": "1"}),
        process.Command(argv=("sh", "-c", "echo $X; pwd"), env={"X": "1"}, cwd=tmp_path),
    ]
    begun = time.monotonic()
    ended = {one.number: one for one in process.run_all(commands, timeout_s=2.0)}
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
        process.Command(argv=("true",)),
        process.Command(argv=("sh", "-c", "sleep 30 & wait", mark)),
    ]
    for one in process.run_all(commands, timeout_s=60):
        assert one.number == 0
        break
    living = [entry for entry in Path("/proc").glob("[0-9]*/cmdline") if mark.encode() in _words(entry)]
    assert living == []


def test_no_more_than_allowed_run_at_once(tmp_path: Path) -> None:
    script = 'touch "$0/$$"; ls "$0" | wc -l; sleep 0.2; rm "$0/$$"'
    commands = [process.Command(argv=("sh", "-c", script, str(tmp_path)))] * 6
    counts = [int(one.done.stdout) for one in process.run_all(commands, timeout_s=60, at_once=2) if one.done]
    assert len(counts) == 6
    assert max(counts) <= 2


def test_a_program_of_several_that_is_not_there() -> None:
    with pytest.raises(ToolMissing, match="cannot run no-such-program"):
        list(process.run_all([process.Command(argv=("no-such-program",))], timeout_s=5))


def _words(entry: Path) -> bytes:
    try:
        return entry.read_bytes()
    except OSError:
        return b""


def test_a_program_has_the_umask_that_it_is_given(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        for umask, wanted in ((0o077, 0o600), (0o002, 0o664), (-1, 0o644)):
            process.stream(("touch", f"f{umask}"), on_line=print, cwd=tmp_path, umask=umask)
            assert stat.S_IMODE((tmp_path / f"f{umask}").stat().st_mode) == wanted
    finally:
        os.umask(before)
