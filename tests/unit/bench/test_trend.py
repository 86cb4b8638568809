"""Each shape of a fall is found and named; what is no fall is none."""

import math
from itertools import permutations

import pytest

from build.bench.series import Series
from build.bench.trend import _chance, doubtful, falls, noise
from tests.unit.bench.made import drafting, series, timing

STEADY = (55.0, 54.4, 55.3, 54.9, 55.1, 54.7, 55.2, 54.6, 55.0, 54.8)


@pytest.mark.parametrize(
    ("speeds", "reason"),
    [
        ((55, 55, 11), "fell to 20% at run 3: 55.0 before, 11.0 from there on"),
        ((55, 55, 11, 11, 11), "fell to 20% at run 3: 55.0 before, 11.0 from there on"),
        ((55, 11, 11), "fell to 20% at run 2: 55.0 before, 11.0 from there on"),
        ((55, 33, 11), "fell to 40% at run 2: 55.0 before, 22.0 from there on"),
        (
            (55, 55, *(11.0,) * 18),
            "fell to 20% at run 3: 55.0 before, 11.0 from there on",
        ),
        ((*(55.0,) * 19, 11), "fell to 20% at run 20: 55.0 before, 11.0 from there on"),
        ((55, 55, 55, 30, 16, 9), "fell to 29% at run 4: 55.0 before, 16.0 from there on"),
        ((*STEADY[:5], *(40.0,) * 5), "fell to 73% at run 6: 55.0 before, 40.0 from there on"),
        ((50, 0, 0), "fell to 0% at run 2: 50.0 before, 0.0 from there on"),
    ],
)
def test_a_collapse_is_found_wherever_it_happens(speeds: tuple[float, ...], reason: str) -> None:
    assert falls(series(*speeds)) == (reason,)


@pytest.mark.parametrize("count", range(3, 21))
def test_the_third_run_fell_in_a_series_of_any_length(count: int) -> None:
    (reason,) = falls(series(55, 55, *(11.0,) * (count - 2)))
    assert reason.startswith("fell to 20% at run 3")


def test_a_collapse_during_the_warm_up_is_found() -> None:
    steady_ever_after = series(11, 11.2, 10.9, warm_ups=(55, 54))
    assert falls(steady_ever_after) == ("fell to 20% at run 1: 54.5 before, 11.0 from there on",)
    assert falls(series(11, 11.2, 10.9, warm_ups=(55, 11))) == (
        "fell to 20% at warm-up 2: 55.0 before, 11.0 from there on",
    )
    assert falls(series(11, 11.2, 10.9)) == (), "nothing else in it would tell"


def test_a_slow_fall_is_found() -> None:
    slow = [55 * (1 - 0.2 * place / 9) for place in range(10)]
    assert falls(series(*slow)) == ("falls steadily, by 2.4% a run and 20% over the 10 runs",)


def test_a_fall_bit_by_bit_is_found_with_too_few_runs_for_the_slope() -> None:
    assert falls(series(55, 50, 46, 42)) == (
        "the last third of the runs is at 76% of the first: 42.0 after 55.0",
    )


@pytest.mark.parametrize(
    "speeds",
    [
        (55,),
        (55, 55),
        STEADY,
        (30, 45, 55, 55, 55, 55),
        (55, 55, 11, 55, 55),
        (55, 55, 55, 11, 12, 55, 55, 55, 54, 55),
        (*(55 - 0.4 * place for place in range(10)),),
        (0, 0, 0),
    ],
    ids=["one", "two", "steady", "gets warm", "dip", "longer dip", "drift of 7 %", "nothing"],
)
def test_what_is_no_fall(speeds: tuple[float, ...]) -> None:
    assert falls(series(*speeds)) == ()


def test_slow_warm_ups_are_no_fall() -> None:
    assert falls(series(*STEADY, warm_ups=(20, 50))) == ()


def test_a_noisy_machine_is_given_way_to() -> None:
    noisy = (50.0, 70.0, 48.0, 66.0, 46.0, 64.0, 40.0, 60.0, 38.0, 41.0)
    quiet = (*(55.0,) * 8, 40.0, 40.0)
    assert noise(noisy) > 0.2
    assert falls(series(*noisy)) == ()
    assert falls(series(*quiet)) != ()


def test_noise_is_not_mistaken_for_the_fall() -> None:
    assert noise((55.0,) * 5) == 0, "too few"
    assert noise(STEADY) == pytest.approx(0.0075, abs=0.004)
    assert noise((*STEADY[:5], *(speed / 5 for speed in STEADY[5:]))) == pytest.approx(0.0075, abs=0.004)


@pytest.mark.parametrize("count", [3, 5, 6])
def test_the_chance_of_an_order_is_exact(count: int) -> None:
    falling = [
        sum(order[i] > order[j] for j in range(count) for i in range(j))
        for order in permutations(range(count))
    ]
    for pairs in range(count * (count - 1) // 2 + 1):
        share = sum(found >= pairs for found in falling) / math.factorial(count)
        assert _chance(count, pairs) == pytest.approx(share)


def test_acceptance_that_falls_to_nothing_is_found() -> None:
    assert falls(drafting(142, 140, 0)) == ("draft acceptance fell at run 3: 70% before, 0% from there on",)
    assert falls(drafting(142, 20, 21, 19)) == (
        "draft acceptance fell at run 2: 71% before, 10% from there on",
    )


def test_drafting_that_ceases_is_acceptance_of_nothing() -> None:
    ceased = Series(warm_ups=(timing(55, drafted=200, accepted=142),), runs=(timing(55), timing(55)))
    assert falls(ceased) == ("draft acceptance fell at run 1: 71% before, nothing drafted from there on",)


@pytest.mark.parametrize(
    "taken",
    [(142, 140, 138), (142, 90, 70, 60), (0, 0, 0), (4, 0, 0), (0, 140, 142)],
    ids=["steady", "falls, not to nothing", "none ever", "too few to say", "comes"],
)
def test_acceptance_that_does_not(taken: tuple[int, ...]) -> None:
    assert falls(drafting(*taken)) == ()


def test_a_fall_of_the_level_alone_is_doubtful() -> None:
    assert doubtful(series(55, 55, 11))
    assert doubtful(series(*STEADY[:5], *(40.0,) * 5))
    assert not doubtful(series(*STEADY)), "no fall"
    assert not doubtful(series(*(55 * 0.9**place for place in range(10)))), "the order says it too"
    assert not doubtful(drafting(142, 140, 0)), "the drafts say it"


def test_speed_and_acceptance_are_two_reasons() -> None:
    runs = (
        timing(55, drafted=200, accepted=142),
        timing(55, drafted=200, accepted=140),
        timing(11, drafted=200),
    )
    assert falls(Series(warm_ups=(), runs=runs)) == (
        "fell to 20% at run 3: 55.0 before, 11.0 from there on",
        "draft acceptance fell at run 3: 70% before, 0% from there on",
    )  # fmt: skip
