"""The same for several recipes, one after the other or side by side: a failure does not stop the others, and is not forgotten."""

import json
import signal
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from build.doors.effects import Reporter
from build.doors.process import Command
from build.doors.sidebyside import stream_all
from build.errors import IngotError, WorkFailed, from_system

__all__ = ["Call", "SeveralFailed", "each", "together"]

T = TypeVar("T")

_CLEAN_UP_S = 45.0
"""Seconds that an interrupted verb has for its clean-up: to remove a container may take 30, its last words 15. Below what
noxfile.py grants this process, which has to end first."""


class SeveralFailed(WorkFailed):
    """What was asked for failed, for one or several of the recipes; each said why when it happened."""

    def __init__(self, failures: dict[str, IngotError], done: Sequence[object]) -> None:
        super().__init__("; ".join(f"{name}: {error.message}" for name, error in failures.items()))
        self.failures = failures
        self.done = list(done)
        self.answer = {"done": self.done}
        # One recipe's own code where all agree; else the work as a whole failed.
        codes = {error.exit_code for error in failures.values()}
        self.exit_code = codes.pop() if len(codes) == 1 else WorkFailed.exit_code

    @property
    def recap(self) -> str:
        """Say in one line which of them failed; empty where only one was asked for."""
        asked = len(self.failures) + len(self.done)
        return f"{len(self.failures)} of {asked} failed: {', '.join(self.failures)}" if asked > 1 else ""


def each(names: Iterable[tuple[str, Callable[[], T]]], reporter: Reporter) -> list[T]:
    """Do one thing after the other.

    Raises:
        SeveralFailed: at least one failed.
    """
    done: list[T] = []
    failures: dict[str, IngotError] = {}
    for name, call in names:
        try:
            done.append(call())
        except (IngotError, OSError) as error:
            failures[name] = failure = error if isinstance(error, IngotError) else from_system(error)
            reporter.error(f"{name}: {failure.message}", failure.hint)
    if failures:
        raise SeveralFailed(failures, done)
    return done


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A verb of ours for one recipe, as a program of its own that is asked for `--json`."""

    name: str
    command: Command


def together(calls: Sequence[Call], reporter: Reporter, *, at_once: int) -> list[Any]:
    """Run verbs side by side, so many at once, and return their answers in the order of the calls.

    Each is a process: what one of them breaks, or is killed for, the others do not notice.

    Raises:
        SeveralFailed: at least one failed.
    """
    width = max((len(call.name) for call in calls), default=0)
    ended = stream_all(
        [call.command for call in calls],
        at_once=at_once,
        patience_s=_CLEAN_UP_S,
        on_line=lambda number, line: reporter.output(f"{calls[number].name:{width}} | {line}"),
    )
    answers: list[Any] = []
    failures: dict[str, IngotError] = {}
    for call, one in zip(calls, ended, strict=True):
        answer: Any = None
        with suppress(ValueError):
            answer = json.loads(one.stdout)
        if one.status == 0 and isinstance(answer, list):
            answers += answer
        elif isinstance(answer, dict) and answer.get("error"):
            failures[call.name] = error = WorkFailed(str(answer["error"]))
            error.exit_code = one.status if one.status > 0 else WorkFailed.exit_code
        else:
            failures[call.name] = error = _silent(one.status)
            reporter.error(f"{call.name}: {error.message}", error.hint)
    if failures:
        raise SeveralFailed(failures, answers)
    return answers


def _silent(status: int) -> WorkFailed:
    """Say what became of a verb that did not say it itself."""
    if status >= 0:
        message = f"ended with status {status} and without an answer"
        return WorkFailed(
            message, hint="if it said why, then in the last of the lines that begin with its name"
        )
    message = f"was ended by signal {-status} ({signal.strsignal(-status)})"
    memory = "most often that is for want of memory: free some, or build fewer side by side with --at-once"
    return WorkFailed(message, hint=memory if -status == signal.SIGKILL else "")
