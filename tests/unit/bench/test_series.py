import pytest

from build.bench.series import Statistics, statistics_of
from tests.unit.bench.made import drafting, series


def test_the_figures_of_a_series() -> None:
    assert statistics_of(series(50, 55, 60, warm_ups=[1])) == Statistics(
        mean=55, low=50, high=60, sigma=5, prompt_mean=900, acceptance=None
    )


def test_acceptance_is_of_all_drafts_together() -> None:
    assert statistics_of(drafting(150, 50, 100)).acceptance == pytest.approx(0.5)


def test_one_run_has_no_spread() -> None:
    assert statistics_of(series(55)).sigma == 0
