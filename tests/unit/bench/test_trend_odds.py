"""A sample of the odds of the gate, in a second; tests/odds/ has them in full."""

import pytest

from tests.unit.bench.odds import HEALTHY, Speeds, alarms, collapses, falls_slowly

LENGTHS = (3, 6, 10, 20)


@pytest.mark.parametrize("healthy", HEALTHY, ids=lambda one: one.__name__)
def test_a_healthy_server_raises_few_alarms(healthy: Speeds) -> None:
    found = alarms(healthy, LENGTHS, 300, warmed=True)
    assert {count: part for count, part in found.items() if part > 0.02} == {}


def test_a_slow_fall_is_mostly_found() -> None:
    assert alarms(falls_slowly(0.03), (10,), 200)[10] > 0.9


def test_a_collapse_is_always_found() -> None:
    assert alarms(collapses, LENGTHS, 50) == dict.fromkeys(LENGTHS, 1)
