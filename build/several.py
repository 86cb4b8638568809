"""One thing after the other for several recipes: a failure does not stop the others, and is not forgotten."""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from build.doors.effects import Reporter
from build.errors import IngotError, WorkFailed

__all__ = ["SeveralFailed", "each"]

T = TypeVar("T")


class SeveralFailed(WorkFailed):
    """What was asked for failed, for one or several of the recipes; each said why when it happened."""

    def __init__(self, failures: dict[str, IngotError], done: Sequence[object]) -> None:
        super().__init__("; ".join(f"{name}: {error.message}" for name, error in failures.items()))
        self.failures = failures
        self.answer = {"done": list(done)}
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
