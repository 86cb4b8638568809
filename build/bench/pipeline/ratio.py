"""Comparisons: two ways to do the same, run by turns, as the ratio of their medians. Pure but for the calls it is handed.

Absolute times are one machine's on one day. What runs by turns meets the same load, so the ratio is the figure.
"""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from build.errors import IngotError, WorkFailed, from_system

__all__ = ["Compared", "Comparison", "Ratio", "Sample", "Side", "compare", "groups", "missed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One run of one side."""

    seconds: float
    peak_mib: int = 0
    """Most memory that the pipeline's process held at a time; 0 where it was not measured."""
    said: str = ""
    """What the pipeline told a person."""


Side = Callable[[int], Sample]
"""Runs once, is given the number of the round and times itself: what it prepares is not in the time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One line of the table."""

    name: str
    """What a person types."""
    title: str
    ours: Side
    theirs: Side
    limit: float
    """The ratio may be at most this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """What one comparison measured."""

    name: str
    title: str
    ours: tuple[float, ...]
    """Seconds of each run of the pipeline."""
    theirs: tuple[float, ...]
    """Seconds of each run of what it is compared with."""
    value: float
    """Median of ours over median of theirs."""
    limit: float
    peak_mib: int

    @property
    def held(self) -> bool:
        """Whether the ratio is within its limit."""
        return self.value <= self.limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What became of a group."""

    ratios: tuple[Ratio, ...]
    broken: dict[str, IngotError]
    """Name of a comparison that could not be measured to why not."""


def groups(comparisons: Sequence[Comparison]) -> tuple[tuple[Comparison, ...], ...]:
    """Put comparisons that share a side together, in their order: that side then runs once a round for all of them."""
    found: list[list[Comparison]] = []
    for one in comparisons:
        sides = {one.ours, one.theirs}
        group = next((known for known in found if any({o.ours, o.theirs} & sides for o in known)), None)
        if group is None:
            found.append([one])
        else:
            group.append(one)
    return tuple(tuple(group) for group in found)


def compare(group: Sequence[Comparison], *, runs: int, said: Callable[[str], None]) -> Compared:
    """Run all sides of a group by turns. Of a comparison the other side comes first: ours may build upon it.

    A side that breaks takes the comparisons that it is of with it, and no other.
    """
    sides = list(dict.fromkeys(side for one in group for side in (one.theirs, one.ours)))
    samples: dict[Side, list[Sample]] = {side: [] for side in sides}
    broken: dict[str, IngotError] = {}
    for number in range(runs):
        for place, side in enumerate(sides, 1):
            of = [one.name for one in group if side in {one.ours, one.theirs} and one.name not in broken]
            if not of:
                continue
            said(f"round {number + 1} of {runs}, side {place} of {len(sides)}")
            try:
                samples[side].append(side(number))
            except (IngotError, OSError) as error:
                reason = error if isinstance(error, IngotError) else from_system(error)
                broken |= dict.fromkeys(of, reason)
    whole = tuple(one for one in group if one.name not in broken)
    return Compared(
        ratios=tuple(_ratio(one, samples[one.ours], samples[one.theirs]) for one in whole), broken=broken
    )


def _ratio(one: Comparison, ours: Sequence[Sample], theirs: Sequence[Sample]) -> Ratio:
    of_ours = tuple(round(sample.seconds, 3) for sample in ours)
    of_theirs = tuple(round(sample.seconds, 3) for sample in theirs)
    return Ratio(
        name=one.name,
        title=one.title,
        ours=of_ours,
        theirs=of_theirs,
        value=round(statistics.median(of_ours) / statistics.median(of_theirs), 4),
        limit=round(one.limit, 4),
        peak_mib=max(sample.peak_mib for sample in ours),
    )


def missed(ratios: Sequence[Ratio], unmeasured: Sequence[str], answer: object) -> WorkFailed | None:
    """Return the error that names each ratio over its limit, and what could not be measured; None where all is well.

    `answer` goes with it: what was measured is known all the same.
    """
    over = [one for one in ratios if not one.held]
    if not (over or unmeasured):
        return None
    said = [f"{one.name}: {one.title} is {one.value:.3f}, at most {one.limit:.3f}" for one in over]
    error = WorkFailed(
        "; ".join((*said, *(f"{name}: not measured" for name in unmeasured))),
        hint=f"on a busy machine measure again, alone: nox -s benchmarks -- {' '.join(one.name for one in over)}"
        if over
        else "",
    )
    error.answer = answer
    return error
