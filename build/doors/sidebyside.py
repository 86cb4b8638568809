"""Programs side by side: many that only ask, each with its time, and some that work for hours and are heard line by line."""

import os
import selectors
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import IO

from build.doors.process import PIPE, Child, Command, Completed, end, start

__all__ = ["Ended", "run_all", "stream_all"]

_LOOK_S = 0.01
"""Seconds between two looks at programs that run side by side."""

_CHUNK = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How one of several programs ended."""

    number: int
    """Its place among the commands."""
    done: Completed | None
    """None: its time was up, and it was killed with its children."""
    seconds: float


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
            self._process = start(
                command.argv,
                cwd=command.cwd,
                env=command.env,
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


def stream_all(
    commands: Sequence[Command], *, at_once: int, patience_s: float, on_line: Callable[[int, str], None]
) -> tuple[Completed, ...]:
    """Run programs in their order, so many at once, and return how each ended.

    `on_line` is handed a command's place and each line of its stderr as it comes; what it writes to stdout is returned.
    An interrupt, or an exception from `on_line`, ends all of them first; each has `patience_s` to clear up.

    Raises:
        ToolMissing: there is no such program.
    """
    waiting = list(enumerate(commands))[::-1]
    done: dict[int, Completed] = {}
    with ExitStack() as stack:
        selector = stack.enter_context(selectors.DefaultSelector())
        running: list[_Working] = []
        stack.callback(lambda: _drop(running, patience_s))
        while waiting or running:
            while waiting and len(running) < at_once:
                one = _Working(*waiting.pop())
                running.append(one)
                selector.register(one.said, selectors.EVENT_READ, one)
            for key, _ in selector.select():
                working: _Working = key.data
                if not working.hear(on_line):
                    selector.unregister(working.said)
                    done[working.number] = working.ended()
                    running.remove(working)
    return tuple(done[number] for number in range(len(commands)))


def _drop(running: "list[_Working]", patience_s: float) -> None:
    """End who still works; each is waited for, so that what it leaves is settled."""
    end(*(one.process for one in running), patience_s=patience_s)
    for one in running:
        one.ended()


class _Working:
    """One of several programs. What it answers goes to a file: nobody has to read it while it runs."""

    def __init__(self, number: int, command: Command) -> None:
        self.number, self._argv = number, command.argv
        self._answer = tempfile.TemporaryFile()  # noqa: SIM115  (closed when it has ended)
        self._rest = b""
        try:
            self.process: Child = start(
                command.argv, cwd=command.cwd, env=command.env, stdout=self._answer, stderr=PIPE
            )
        except BaseException:
            self._answer.close()
            raise
        assert self.process.stderr is not None
        self.said: IO[bytes] = self.process.stderr

    def hear(self, on_line: Callable[[int, str], None]) -> bool:
        """Take what it has said since; False at its end."""
        data = os.read(self.said.fileno(), _CHUNK)
        *lines, self._rest = (self._rest + data).split(b"\n")
        if not data and self._rest:
            lines, self._rest = [self._rest], b""
        for line in lines:
            on_line(self.number, line.decode(errors="replace").rstrip("\r"))
        return bool(data)

    def ended(self) -> Completed:
        with self.process, self._answer:
            status = self.process.wait()
            self._answer.seek(0)
            answer = self._answer.read().decode(errors="replace")
        return Completed(argv=self._argv, status=status, stdout=answer, stderr="")
