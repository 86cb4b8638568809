"""Static and running checks side by side: what becomes of the process beside."""

from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool

import pytest

from build.errors import WorkFailed
from build.smoke.model import CheckResult
from build.smoke.run import answered


def test_static_checks_that_were_killed_are_no_verdict() -> None:
    future: Future[tuple[CheckResult, ...]] = Future()
    future.set_exception(BrokenProcessPool("A process in the process pool was terminated abruptly"))
    with pytest.raises(WorkFailed, match="the process that ran the static checks was killed") as caught:
        answered(future)
    assert "memory" in caught.value.hint
