"""The gate on the trend: does a server get slower while it runs? Pure.

A mean hides it. The case that this is for was 55, 55, 11 tokens a second, whose single runs and whose mean look
plausible. Four rules, each about another shape of the fall:

- step: for every place in the series, the median after it is below 0.8 of the median before it. Finds a collapse
  wherever it happens, also in the second of twenty runs, where first and last third are equally bad. A dip that recovers
  moves no median and is no trend; a dip of the last run cannot be told from a collapse and is taken for one. Warm-ups are
  part of the series here: they may be slower than the rest, so they raise no alarm, but a server that collapses while it
  is warmed up would otherwise look steady ever after.
- thirds: the median of the last third is below 0.8 of the first's; what fell in the middle of a series, bit by bit.
- slope: a slow fall. Two conditions. Statistical: the test of Mann and Kendall, exact, one-sided, at 1 %: of all orders
  in which these very numbers could have come, at most 1 % fall as consistently. It assumes nothing of the noise, so its
  false alarms are at most 1 % for noise of any size and shape; below five runs it can say nothing (4! orders), and the
  other rules stand alone. Practical: the slope (the median of all pairs' slopes in logarithms, after Theil and Sen)
  makes at least 12.5 % over the series. Without it the drift of a card that gets warm, a few percent and perfectly
  consistent, would be an alarm.
- acceptance: from some request on the tokens that speculative decoding gets accepted are below a fifth of what they
  were before. Drafting that ceases counts as acceptance of nothing. Only where at least ten accepted tokens are to be
  expected: chance alone leaves fewer than two of ten in one series of two thousand.

0.8 is four standard errors away from 1 for a difference of two single runs at 4 % noise, and out of reach for noise within
5 % either way (0.95 / 1.05 is 0.9): equal speeds under realistic noise do not meet it. From six runs on the noise is
measured (the median difference of neighbours, which neither a step nor a slow fall disturbs) and the limit of the first
two rules gives way to it, to four standard errors, but never below 0.5: nobody calls a halving noise. Below six runs
nothing can be measured, and on a machine whose noise exceeds 5 % the gate may raise a false alarm: more runs are the mend.
Where the level alone speaks (`doubtful`), whoever measures asks the same server as often again and judges the whole: noise
goes, a collapse stays. tests/odds/test_trend.py has the odds, simulated.
"""

import math
import statistics
from bisect import bisect_right, insort
from functools import cache
from itertools import combinations, pairwise

from build.bench.series import Series, Timing

__all__ = ["acceptance_lost", "doubtful", "falls", "noise", "steep"]

_LEVEL = 0.8
"""A median below this part of the one before it has fallen."""
_HALF = 0.5
_ERRORS = 4.0
_MEASURABLE = 6
"""From so many runs on their noise is measured."""
_SIGMA_OF_MEDIAN_DIFFERENCE = 1 / (0.6745 * math.sqrt(2))
_SIGNIFICANT = 0.01
_SLOW_FALL = 0.125
_NOTHING = 0.2
_EXPECTED = 10.0


def falls(series: Series, *, sigma: float = 0.0) -> tuple[str, ...]:
    """Say how the series falls, a reason for each kind of fall; empty where it does not.

    `sigma` is the noise of this machine as far as it is known from a longer series.
    """
    speeds = tuple(timing.per_second for timing in series.all)
    reasons = (steep(speeds, warm_ups=len(series.warm_ups), sigma=sigma), _acceptance(series))
    return tuple(reason for reason in reasons if reason)


def doubtful(series: Series, *, sigma: float = 0.0) -> bool:
    """Say whether a fall rests on the level of a few runs alone, which the noise of a busy machine reaches too."""
    steady = not _slope(series.speeds) and not _acceptance(series)
    return steady and bool(falls(series, sigma=sigma))


def steep(speeds: tuple[float, ...], *, warm_ups: int, sigma: float = 0.0) -> str:
    """Say how the speeds fall, of which the first ones are warm-ups; empty where they do not."""
    runs = speeds[warm_ups:]
    if min(speeds) < _LEVEL * max(speeds):  # else no median is that far below another
        sigma = max(sigma, noise(runs))
        if found := _step(speeds, warm_ups, sigma) or _thirds(runs, sigma):
            return found
    return _slope(runs)


def noise(speeds: tuple[float, ...]) -> float:
    """Estimate the relative noise of single runs; 0 where there are too few."""
    if len(speeds) < _MEASURABLE:
        return 0.0
    logs = [math.log(max(speed, 1e-9)) for speed in speeds]
    steps = [abs(after - before) for before, after in pairwise(logs)]
    return statistics.median(steps) * _SIGMA_OF_MEDIAN_DIFFERENCE


def _limit(sigma: float, before: int, after: int) -> float:
    """Return the part of the earlier median below which the later one has fallen."""
    error = sigma * math.sqrt(1 / before + 1 / after)
    return max(_HALF, min(_LEVEL, math.exp(-_ERRORS * error)))


def _step(speeds: tuple[float, ...], warm_ups: int, sigma: float) -> str:
    """Of the places where the speeds fall, tell of the one that leaves the least to be said of each side."""
    found: list[tuple[float, int, float, float]] = []
    for place in range(1, len(speeds)):
        left, right = speeds[:place], speeds[place:]
        before, after = statistics.median(left), statistics.median(right)
        if after < _limit(sigma, len(left), len(right)) * before:
            rest = sum(abs(one - before) for one in left) + sum(abs(one - after) for one in right)
            found.append((rest, place, before, after))
    if not found:
        return ""
    _, place, before, after = min(found)
    where = _place(place, warm_ups)
    return f"fell to {after / before:.0%} {where}: {before:.1f} before, {after:.1f} from there on"


def _place(at: int, warm_ups: int) -> str:
    return f"at run {at - warm_ups + 1}" if at >= warm_ups else f"at warm-up {at + 1}"


def _thirds(speeds: tuple[float, ...], sigma: float) -> str:
    size = len(speeds) // 3
    if not size:
        return ""
    first, last = statistics.median(speeds[:size]), statistics.median(speeds[-size:])
    if last >= _limit(sigma, size, size) * first:
        return ""
    return f"the last third of the runs is at {last / first:.0%} of the first: {last:.1f} after {first:.1f}"


def _slope(speeds: tuple[float, ...]) -> str:
    pairs, sorted_before = 0, list[float]()
    for speed in speeds:
        pairs += len(sorted_before) - bisect_right(sorted_before, speed)
        insort(sorted_before, speed)
    if _chance(len(speeds), pairs) > _SIGNIFICANT:
        return ""
    logs = [math.log(max(speed, 1e-9)) for speed in speeds]
    slope = statistics.median(
        (after - before) / (later - earlier)
        for (earlier, before), (later, after) in combinations(enumerate(logs), 2)
    )
    lost = 1 - math.exp(slope * (len(speeds) - 1))
    if lost < _SLOW_FALL:
        return ""
    return f"falls steadily, by {1 - math.exp(slope):.1%} a run and {lost:.0%} over the {len(speeds)} runs"


@cache
def _chance(count: int, pairs: int) -> float:
    """Return which part of all orders of so many numbers has at least so many falling pairs. Exact."""
    orders = [1]
    for size in range(2, count + 1):
        longer = [0] * (len(orders) + size - 1)
        for shift in range(size):
            for falling, ways in enumerate(orders):
                longer[falling + shift] += ways
        orders = longer
    return sum(orders[pairs:]) / sum(orders)


def _acceptance(series: Series) -> str:
    every = series.all
    for place in range(1, len(every)):
        if lost := acceptance_lost(every[:place], every[place:]):
            return f"draft acceptance fell {_place(place, len(series.warm_ups))}: {lost} from there on"
    return ""


def acceptance_lost(before: tuple[Timing, ...], after: tuple[Timing, ...]) -> str:
    """Say from what to what the acceptance fell, where it fell to nothing; empty where it did not."""
    expected = _taken(before) * sum(timing.predicted for timing in after)
    if expected < _EXPECTED or sum(timing.accepted for timing in after) >= _NOTHING * expected:
        return ""
    return f"{_rate(before)} before, {_rate(after)}"


def _taken(timings: tuple[Timing, ...]) -> float:
    """Return the accepted tokens for each generated one."""
    predicted = sum(timing.predicted for timing in timings)
    return sum(timing.accepted for timing in timings) / predicted if predicted else 0.0


def _rate(timings: tuple[Timing, ...]) -> str:
    drafted = sum(timing.drafted for timing in timings)
    return f"{sum(timing.accepted for timing in timings) / drafted:.0%}" if drafted else "nothing drafted"
