import pytest

from build.doors.retry import transient
from build.errors import Unreachable, WorkFailed


class Flaky:
    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "value"


def test_transient_errors_are_tried_again_with_growing_waits() -> None:
    waits: list[float] = []
    call = Flaky(Unreachable("one"), Unreachable("two"))
    assert transient(call, sleep=waits.append) == "value"
    assert call.calls == 3
    assert len(waits) == 2
    assert 0.5 <= waits[0] <= 1.0
    assert 1.0 <= waits[1] <= 1.5


def test_the_last_error_comes_out_as_it_is() -> None:
    call = Flaky(*(Unreachable(str(number)) for number in range(9)))
    with pytest.raises(Unreachable, match=r"^2$"):
        transient(call, attempts=3, sleep=lambda _: None)
    assert call.calls == 3


def test_other_errors_are_final() -> None:
    call = Flaky(WorkFailed("no"))
    with pytest.raises(WorkFailed, match=r"^no$"):
        transient(call, sleep=lambda _: None)
    assert call.calls == 1
