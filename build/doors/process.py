"""Outside programs. The one importer of `subprocess`: argv tuples only, no shell, no leftovers on an interrupt."""

import ctypes
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import IO

from build.errors import CommandFailed, ToolMissing, WorkFailed

__all__ = ["Command", "Completed", "Ended", "run", "run_all", "spawn", "stream"]

_PATIENCE_S = 10.0
"""Seconds between asking a process group to end and killing it."""

_LOOK_S = 0.01
"""Seconds between two looks at programs that run side by side."""

_PR_SET_PDEATHSIG = 1
"""https://man7.org/linux/man-pages/man2/PR_SET_PDEATHSIG.2const.html"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """What a program left behind."""

    argv: tuple[str, ...]
    status: int
    stdout: str
    stderr: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A program and how it is called."""

    argv: tuple[str, ...]
    cwd: Path | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    """Laid over this process's environment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How one of several programs ended."""

    number: int
    """Its place among the commands."""
    done: Completed | None
    """None: its time was up, and it was killed with its children."""
    seconds: float


def run(  # noqa: PLR0913  (one door, every way to call a program)
    argv: tuple[str, ...],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: bytes | None = None,
    check: bool = True,
    timeout_s: float | None = None,
    hint: str = "",
) -> Completed:
    """Run a program to its end and return what it printed.

    `env` is laid over this process's environment; without `check` a status other than 0 is an answer; after `timeout_s`
    the program and its children are ended.

    Raises:
        ToolMissing: there is no such program.
        CommandFailed: it ended with a status other than 0.
        WorkFailed: it did not end in time.
    """
    process = _start(
        argv,
        cwd=cwd,
        env=env,
        stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with process:
        try:
            out, err = process.communicate(stdin, timeout=timeout_s)
        except subprocess.TimeoutExpired:
            _end(process)
            message = f"{argv[0]} did not end within {timeout_s:g} s"
            raise WorkFailed(message, hint=hint) from None
        except BaseException:
            _end(process)
            raise
    done = Completed(
        argv=argv,
        status=process.returncode,
        stdout=out.decode(errors="replace"),
        stderr=err.decode(errors="replace"),
    )
    if check and done.status != 0:
        raise CommandFailed(argv, done.status, output=done.stderr or done.stdout, hint=hint)
    return done


def stream(
    argv: tuple[str, ...],
    *,
    on_line: Callable[[str], None],
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    umask: int = -1,
) -> int:
    """Run a program and hand over each line of its stdout and stderr as it comes. Returns its status.

    `umask` is the program's; -1: this process's.

    An interrupt, or an exception from `on_line`, ends the program and all its children first.
    """
    process = _start(
        argv,
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        umask=umask,
    )
    with process:
        try:
            assert process.stdout is not None
            for raw in process.stdout:
                on_line(raw.decode(errors="replace").rstrip("\r\n"))
            return process.wait()
        except BaseException:
            _end(process)
            raise


def run_all(commands: Sequence[Command], *, timeout_s: float, at_once: int = 128) -> Iterator[Ended]:
    """Run programs side by side and yield each as it ends; none waits for another.

    For programs that only ask: whichever is not done after `timeout_s` is killed, and so are all that still run when
    the caller stops listening or is interrupted.

    Raises:
        ToolMissing: there is no such program.
    """
    waiting = list(enumerate(commands))[::-1]
    running: list[_Asking] = []
    try:
        while waiting or running:
            while waiting and len(running) < at_once:
                number, command = waiting.pop()
                running.append(_Asking(number, command))
            ended = [one for one in running if one.is_over(timeout_s)]
            for one in ended:
                running.remove(one)
                yield one.ended()
            if not ended:
                time.sleep(_LOOK_S)
    finally:
        for one in running:
            one.kill()
            one.ended()


class _Asking:
    """One of several programs. Its output goes to files: nobody has to read it while it runs."""

    def __init__(self, number: int, command: Command) -> None:
        self._number, self._argv = number, command.argv
        self._files = ExitStack()
        self._out = self._files.enter_context(tempfile.TemporaryFile())  # noqa: SIM115  (the stack closes it)
        self._err = self._files.enter_context(tempfile.TemporaryFile())  # noqa: SIM115  (the stack closes it)
        self._begun = time.monotonic()
        self._in_time = True
        try:
            self._process = _start(
                command.argv,
                cwd=command.cwd,
                env=command.env,
                stdin=subprocess.DEVNULL,
                stdout=self._out,
                stderr=self._err,
            )
        except BaseException:
            self._files.close()
            raise

    def is_over(self, timeout_s: float) -> bool:
        if self._process.poll() is not None:
            return True
        self._in_time = time.monotonic() - self._begun < timeout_s
        if not self._in_time:
            self.kill()
        return not self._in_time

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def ended(self) -> Ended:
        with self._files:
            out, err = (_whole(sink) for sink in (self._out, self._err))
        done = Completed(argv=self._argv, status=self._process.returncode, stdout=out, stderr=err)
        seconds = time.monotonic() - self._begun
        return Ended(number=self._number, done=done if self._in_time else None, seconds=seconds)


def _whole(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


def spawn(argv: tuple[str, ...], *, log: Path, env: Mapping[str, str] | None = None) -> int:
    """Start a program that outlives this one, its output appended to `log`. Returns its process id."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as sink:
        process = _start(
            argv,
            cwd=None,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            bound=False,
        )
    pid = process.pid
    # It is meant to run on: without this Popen warns of a child that was never waited for.
    process.returncode = 0
    return pid


def _start(  # noqa: PLR0913  (Popen's own)
    argv: tuple[str, ...],
    *,
    cwd: Path | None,
    env: Mapping[str, str] | None,
    stdin: int,
    stdout: int | IO[bytes],
    stderr: int | IO[bytes],
    bound: bool = True,
    umask: int = -1,
) -> subprocess.Popen[bytes]:
    # Loaded before the fork: between fork and exec nothing may be loaded.
    _libc()
    try:
        return subprocess.Popen(  # noqa: S603  (argv tuples of our own making, never a shell)
            argv,
            cwd=cwd,
            env={**os.environ, **(env or {})},
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
            umask=umask,
            preexec_fn=_end_with_parent if bound else None,  # noqa: PLW1509  (one system call, no lock is taken)
        )
    except (FileNotFoundError, PermissionError) as error:
        message = f"cannot run {argv[0]}: {error.strerror}"
        raise ToolMissing(
            message, hint="`nox -s doctor` lists what is missing and how to install it"
        ) from error


def _end_with_parent() -> None:
    """Ask Linux to end this child when the pipeline is killed and cannot do so itself (prctl(2), PR_SET_PDEATHSIG)."""
    if sys.platform == "linux":
        _libc().prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process and the group it leads: asked first, killed after a while."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_PATIENCE_S)
            break
    # A child of its own that ignored the request must not outlive it.
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
