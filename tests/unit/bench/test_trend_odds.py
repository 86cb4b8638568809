"""The odds of the gate, simulated: false alarms on healthy servers, and how surely a slow fall is found."""

import math
from collections.abc import Callable
from random import Random

import pytest

from build.bench.trend import steep

LENGTHS = range(3, 21)


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


@pytest.mark.parametrize(
    ("healthy", "simulated"),
    [
        (within_5_percent, 10_000),
        (sigma_2_percent, 10_000),
        (warms_up_and_throttles, 10_000),
        (drifts_within_the_noise, 3_000),
        (remembers, 3_000),
    ],
    ids=lambda one: getattr(one, "__name__", ""),
)
def test_a_healthy_server_raises_an_alarm_in_one_series_of_a_hundred_at_most(
    healthy: Callable[[Random, int], list[float]], simulated: int
) -> None:
    random = Random(20260101)
    alarms = {}
    for count in LENGTHS:
        alarms[count] = sum(
            bool(steep((random.uniform(30, 55), *healthy(random, count)), warm_ups=1))
            for _ in range(simulated)
        )
    assert {count: found for count, found in alarms.items() if found > simulated / 100} == {}


@pytest.mark.parametrize(("noise", "least"), [(0.02, 0.95), (0.03, 0.95)])
def test_a_slow_fall_of_a_fifth_over_ten_runs_is_found(noise: float, least: float) -> None:
    random = Random(20260102)
    found = sum(
        bool(steep(tuple(55 * (1 - 0.2 * run / 9) * random.gauss(1, noise) for run in range(10)), warm_ups=0))
        for _ in range(2000)
    )
    assert found / 2000 > least


def test_the_case_it_is_for_is_found_under_noise() -> None:
    random = Random(20260103)
    for count in LENGTHS:
        for _ in range(200):
            speeds = (
                *within_5_percent(random, 2),
                *(speed / 5 for speed in within_5_percent(random, count - 2)),
            )
            assert steep(speeds, warm_ups=0), speeds


def test_noise_beyond_what_can_be_told_apart_is_bounded_once_it_is_measured() -> None:
    random = Random(20260104)
    for count in range(6, 21, 2):
        alarms = sum(
            bool(steep(tuple(max(1.0, random.gauss(55, 5.5)) for _ in range(count)), warm_ups=0))
            for _ in range(1000)
        )
        assert alarms <= 40, count
