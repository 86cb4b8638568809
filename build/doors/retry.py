"""The one place that tries again, on typed transient errors only: reads and pushes, never a build or a check."""

import time
from collections.abc import Callable
from typing import TypeVar

import tenacity

from build.errors import Unreachable

__all__ = ["transient"]

T = TypeVar("T")


def transient(
    call: Callable[[], T],
    *,
    on: tuple[type[Exception], ...] = (Unreachable,),
    attempts: int = 4,
    sleep: Callable[[float], None] = time.sleep,
) -> T:
    """Call until it succeeds, `attempts` times at most, waiting longer each time; the last error is raised as it is."""
    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(on),
        stop=tenacity.stop_after_attempt(attempts),
        wait=tenacity.wait_exponential_jitter(multiplier=0.5, max=15.0, jitter=0.5),
        sleep=sleep,
        reraise=True,
    )
    return retrying(call)
