"""Series as servers would give them, from plain numbers."""

from collections.abc import Iterable

from build.bench.series import Series, Timing

__all__ = ["drafting", "series", "timing"]


def timing(per_second: float, *, drafted: int = 0, accepted: int = 0) -> Timing:
    return Timing(
        per_second=per_second, prompt_per_second=900.0, prompt=2000, predicted=256, drafted=drafted, accepted=accepted
    )  # fmt: skip


def series(*speeds: float, warm_ups: Iterable[float] = ()) -> Series:
    return Series(warm_ups=tuple(map(timing, warm_ups)), runs=tuple(map(timing, speeds)))


def drafting(*accepted: int, drafted: int = 200) -> Series:
    """Steady speed, with so many drafted tokens accepted."""
    return Series(warm_ups=(), runs=tuple(timing(55, drafted=drafted, accepted=taken) for taken in accepted))
