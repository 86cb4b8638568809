"""Outside programs. The one importer of `subprocess`: argv tuples only, no shell, no leftovers on an interrupt."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import IO

from build.errors import CommandFailed, ToolMissing, WorkFailed

__all__ = [
    "PIPE",
    "Child",
    "Command",
    "Completed",
    "end",
    "run",
    "spawn",
    "start",
    "stream",
]

PIPE = subprocess.PIPE
Child = subprocess.Popen[bytes]
"""A program that was started and leads a process group of its own."""

_PATIENCE_S = 10.0
"""Seconds between asking a process group to end and killing it."""

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
    process = start(
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
            end(process)
            message = f"{argv[0]} did not end within {timeout_s:g} s"
            raise WorkFailed(message, hint=hint) from None
        except BaseException:
            end(process)
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
    process = start(argv, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, umask=umask)
    with process:
        try:
            assert process.stdout is not None
            for raw in process.stdout:
                on_line(raw.decode(errors="replace").rstrip("\r\n"))
            return process.wait()
        except BaseException:
            end(process)
            raise


def spawn(argv: tuple[str, ...], *, log: Path, env: Mapping[str, str] | None = None) -> int:
    """Start a program that outlives this one, its output appended to `log`. Returns its process id."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as sink:
        process = start(
            argv,
            cwd=None,
            env=env,
            stdout=sink,
            stderr=subprocess.STDOUT,
            bound=False,
        )
    pid = process.pid
    # It is meant to run on: without this Popen warns of a child that was never waited for.
    process.returncode = 0
    return pid


def start(  # noqa: PLR0913  (Popen's own)
    argv: tuple[str, ...],
    *,
    cwd: Path | None,
    env: Mapping[str, str] | None,
    stdout: int | IO[bytes],
    stderr: int | IO[bytes],
    stdin: int = subprocess.DEVNULL,
    bound: bool = True,
    umask: int = -1,
) -> Child:
    """Start a program in a process group of its own; unless `bound` is off it ends with this process.

    Raises:
        ToolMissing: there is no such program.
    """
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


def end(*processes: Child, patience_s: float = _PATIENCE_S) -> None:
    """End programs and the groups they lead: all are asked first, who does not heed is killed after a while.

    `patience_s` is how long they may clear up after the first request.
    """
    for number, wait_s in (
        (signal.SIGINT, patience_s),
        (signal.SIGTERM, _PATIENCE_S),
        (signal.SIGKILL, _PATIENCE_S),
    ):
        running = [one for one in processes if one.poll() is None]
        for one in running:
            with suppress(ProcessLookupError):
                os.killpg(one.pid, number)
        until = time.monotonic() + wait_s
        for one in running:
            with suppress(subprocess.TimeoutExpired):
                one.wait(max(0.0, until - time.monotonic()))
    for one in processes:
        # A child of its own that ignored the request must not outlive it.
        with suppress(ProcessLookupError):
            os.killpg(one.pid, signal.SIGKILL)
