"""Calls that cannot be ended from outside, each in a thread of its own, which nobody waits for once its time is up."""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from build.errors import Unreachable

__all__ = ["Aside"]

T = TypeVar("T")


class Aside(Generic[T]):
    """A call that has begun. Its thread dies with the process, whatever it waits for."""

    def __init__(self, call: Callable[[], T]) -> None:
        self._call = call
        self._done: list[T] = []
        self._error: BaseException | None = None
        self._begun = time.monotonic()
        self.seconds = 0.0
        """What the answer took."""
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._done.append(self._call())
        except BaseException as error:  # noqa: BLE001  (raised again where the answer is asked for)
            self._error = error
        self.seconds = time.monotonic() - self._begun

    def result(self, timeout_s: float, what: str) -> T:
        """Wait until `timeout_s` after the beginning, and return what the call did.

        Raises:
            Unreachable: its time is up. `what` says who did not answer.
        """
        self._thread.join(max(0.0, self._begun + timeout_s - time.monotonic()))
        if self._thread.is_alive():
            message = f"{what}: no answer within {timeout_s:g} s"
            raise Unreachable(message, hint="try again, or give it longer: --timeout")
        if self._error is not None:
            raise self._error
        return self._done[0]
