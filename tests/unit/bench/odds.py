"""Speeds as healthy and failing servers would give them, at random, and how often the gate takes them for a fall."""

import math
from collections.abc import Callable, Iterable
from random import Random

from build.bench.trend import steep

__all__ = [
    "HEALTHY",
    "Speeds",
    "alarms",
    "collapses",
    "falls_slowly",
]

Speeds = Callable[[Random, int], list[float]]
"""So many speeds."""


def within_5_percent(random: Random, count: int) -> list[float]:
    return [55 * random.uniform(0.95, 1.05) for _ in range(count)]


def sigma_2_percent(random: Random, count: int) -> list[float]:
    return [random.gauss(55, 1.1) for _ in range(count)]


def warms_up_and_throttles(random: Random, count: int) -> list[float]:
    """A cold card boosts for the first runs: 4 % are lost, and 2 % noise lies over it."""
    return [random.gauss(55, 1.1) * (1 - 0.04 * (1 - math.exp(-run / 3))) for run in range(count)]


def drifts_within_the_noise(random: Random, count: int) -> list[float]:
    """5 % are lost from the first run to the last, evenly: the hardest for a test of order."""
    return [55 * random.uniform(0.95, 1.05) * (1 - 0.05 * run / (count - 1)) for run in range(count)]


def remembers(random: Random, count: int) -> list[float]:
    """Neighbours resemble each other: what slows one run is still there in the next."""
    speeds, state = [], 0.0
    for _ in range(count):
        state = 0.6 * state + random.gauss(0, 0.016)
        speeds.append(55 * (1 + state))
    return speeds


def collapses(random: Random, count: int) -> list[float]:
    """The case that the gate is for: a fifth is left from the third run on."""
    return [
        *within_5_percent(random, 2),
        *(speed / 5 for speed in within_5_percent(random, count - 2)),
    ]


def falls_slowly(noise: float) -> Speeds:
    """A fifth is lost from the first run to the last, with noise over it."""
    return lambda random, count: [
        55 * (1 - 0.2 * run / (count - 1)) * random.gauss(1, noise) for run in range(count)
    ]


HEALTHY: tuple[Speeds, ...] = (
    within_5_percent,
    sigma_2_percent,
    warms_up_and_throttles,
    drifts_within_the_noise,
    remembers,
)


def alarms(
    speeds: Speeds, lengths: Iterable[int], simulated: int, *, warmed: bool = False
) -> dict[int, float]:
    """Simulate series of each length; returns the part of them that the gate takes for a fall.

    `warmed`: a warm-up precedes, which may be slower than the rest.
    """
    random = Random(20260101)

    def fell(count: int) -> bool:
        before = (random.uniform(30, 55),) if warmed else ()
        return bool(steep((*before, *speeds(random, count)), warm_ups=len(before)))

    return {count: sum(fell(count) for _ in range(simulated)) / simulated for count in lengths}
