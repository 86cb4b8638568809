"""Speeds of one server process, request after request, and the statistics of them. Pure."""

import statistics
from dataclasses import dataclass

__all__ = ["Series", "Statistics", "Timing", "statistics_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """One request, by the server's own clock."""

    per_second: float
    """Tokens generated a second."""
    prompt_per_second: float
    prompt: int
    """Tokens of the prompt that were computed."""
    predicted: int
    """Tokens generated."""
    drafted: int = 0
    """Tokens that speculative decoding proposed."""
    accepted: int = 0
    """Those of them that the model took."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Equal requests to one server, in their order."""

    warm_ups: tuple[Timing, ...]
    """They count for no statistics, but a server that falls among them has fallen."""
    runs: tuple[Timing, ...]

    @property
    def all(self) -> tuple[Timing, ...]:
        return (*self.warm_ups, *self.runs)

    @property
    def speeds(self) -> tuple[float, ...]:
        """Tokens a second of each run."""
        return tuple(run.per_second for run in self.runs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """A series in a few figures. Speeds are tokens a second."""

    mean: float
    low: float
    high: float
    sigma: float
    """Of the sample; 0 where there is one run."""
    prompt_mean: float
    acceptance: float | None
    """Accepted among drafted tokens; None where nothing was drafted."""


def statistics_of(series: Series) -> Statistics:
    """Sum up the runs; there is at least one."""
    speeds = series.speeds
    drafted = sum(run.drafted for run in series.runs)
    return Statistics(
        mean=round(statistics.fmean(speeds), 3),
        low=min(speeds),
        high=max(speeds),
        sigma=round(statistics.stdev(speeds), 3) if len(speeds) > 1 else 0.0,
        prompt_mean=round(statistics.fmean(run.prompt_per_second for run in series.runs), 3),
        acceptance=round(sum(run.accepted for run in series.runs) / drafted, 4) if drafted else None,
    )
