"""The odds of the gate in full: tens of thousands of series of every length, too many for the unit tests."""

import pytest

from tests.unit.bench.odds import HEALTHY, Speeds, alarms, collapses, falls_slowly

LENGTHS = range(3, 21)


@pytest.mark.parametrize(
    ("healthy", "simulated"),
    list(zip(HEALTHY, (10_000, 10_000, 10_000, 3_000, 3_000), strict=True)),
    ids=lambda one: getattr(one, "__name__", ""),
)
def test_a_healthy_server_raises_an_alarm_in_one_series_of_a_hundred_at_most(
    healthy: Speeds, simulated: int
) -> None:
    found = alarms(healthy, LENGTHS, simulated, warmed=True)
    assert {count: part for count, part in found.items() if part > 0.01} == {}


@pytest.mark.parametrize("noise", [0.02, 0.03])
def test_a_slow_fall_of_a_fifth_over_ten_runs_is_found(noise: float) -> None:
    assert alarms(falls_slowly(noise), (10,), 2000)[10] > 0.95


def test_the_case_it_is_for_is_found_under_noise() -> None:
    assert alarms(collapses, LENGTHS, 200) == dict.fromkeys(LENGTHS, 1)


def test_noise_beyond_what_can_be_told_apart_is_bounded_once_it_is_measured() -> None:
    found = alarms(
        lambda random, count: [max(1.0, random.gauss(55, 5.5)) for _ in range(count)], range(6, 21, 2), 1000
    )
    assert {count: part for count, part in found.items() if part > 0.04} == {}
