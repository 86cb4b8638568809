"""Two ways to do the same, timed by turns: the ratio of their medians. Pure but for the clock it is handed."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Ratio", "by_turns"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """What one comparison measured. Absolute times are this machine's on this day; the ratio is the figure."""

    name: str
    ours: tuple[float, ...]
    """Seconds of each run of the pipeline."""
    theirs: tuple[float, ...]
    """Seconds of each run of what it is compared with."""
    limit: float
    """The ratio should be at most this."""
    peak_mib: int = 0
    """Most memory that ours held at a time, in MiB; 0 where it was not measured."""

    @property
    def value(self) -> float:
        """Median of ours over median of theirs."""
        return statistics.median(self.ours) / statistics.median(self.theirs)


def by_turns(
    name: str,
    ours: Callable[[int], None],
    theirs: Callable[[int], None],
    *,
    runs: int,
    limit: float,
    clock: Callable[[], float],
) -> Ratio:
    """Time two calls by turns, so that whatever else the machine does hits both. Each is given the number of the run."""
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(runs):
        for call, seconds in zip((ours, theirs), times, strict=True):
            begun = clock()
            call(number)
            seconds.append(round(clock() - begun, 3))
    return Ratio(name=name, ours=tuple(times[0]), theirs=tuple(times[1]), limit=limit)
