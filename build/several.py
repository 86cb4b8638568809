"""The same for several recipes, one after the other or side by side: a failure does not stop the others, and is not forgotten."""

import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from build.doors.effects import Reporter
from build.doors.process import Command
from build.doors.sidebyside import stream_all
from build.errors import IngotError, WorkFailed

__all__ = ["Call", "SeveralFailed", "each", "together"]

T = TypeVar("T")


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
        except IngotError as error:
            failures[name] = error
            reporter.error(f"{name}: {error.message}", error.hint)
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
        else:
            failures[call.name] = _failure(answer, one.status)
    if failures:
        raise SeveralFailed(failures, answers)
    return answers


def _failure(answer: object, status: int) -> IngotError:
    said = answer.get("error") if isinstance(answer, dict) else None
    error = WorkFailed(str(said or f"ended with status {status} and without a word"))
    error.exit_code = status if status > 0 else WorkFailed.exit_code
    return error
