"""Comparisons with sides that only move a clock: nothing is waited for."""

import errno
from collections.abc import Callable
from dataclasses import dataclass

from build.bench.pipeline.ratio import Comparison, Ratio, Sample, compare, groups, missed
from build.errors import WorkFailed


@dataclass
class Clock:
    """A clock that moves when somebody works."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now

    def works(self, *seconds: float, peak: int = 0) -> Callable[[int], Sample]:
        """Return a side that takes so long in each round, and prepares for ten seconds before."""

        def side(number: int) -> Sample:
            self.now += 10
            begun = self()
            self.now += seconds[number]
            return Sample(seconds=self() - begun, peak_mib=peak)

        return side


def comparison(
    name: str, ours: Callable[[int], Sample], theirs: Callable[[int], Sample], limit: float
) -> Comparison:
    return Comparison(name=name, title=f"{name} / bare", ours=ours, theirs=theirs, limit=limit)


def compared(*comparisons: Comparison, runs: int = 3) -> tuple[Ratio, ...]:
    return tuple(
        ratio
        for group in groups(comparisons)
        for ratio in compare(group, runs=runs, said=lambda _words: None).ratios
    )


def test_the_ratio_is_of_the_medians_and_leaves_preparations_out() -> None:
    clock = Clock()
    (ratio,) = compared(comparison("noop", clock.works(1, 9, 2, peak=70), clock.works(4, 3, 5), 0.5))
    assert (ratio.value, ratio.peak_mib, ratio.held) == (0.5, 70, True)
    assert (ratio.ours, ratio.theirs) == ((1, 9, 2), (4, 3, 5))


def test_a_slow_side_is_named_with_ratio_and_limit() -> None:
    clock = Clock()
    ratios = compared(
        comparison("noop", clock.works(3, 3, 3), clock.works(4, 4, 4), 0.5),
        comparison("cold", clock.works(100, 104, 108), clock.works(100, 100, 100), 1.05),
        comparison("warm", clock.works(6, 6, 6), clock.works(100, 100, 100), 0.05),
    )
    error = missed(ratios, ["watch"], {"ratios": 3})
    assert error is not None
    assert error.message == (
        "noop: noop / bare is 0.750, at most 0.500; warm: warm / bare is 0.060, at most 0.050; "
        "watch: not measured"
    )
    assert error.hint == "on a busy machine measure again, alone: nox -s benchmarks -- noop warm"
    assert (error.exit_code, error.answer) == (1, {"ratios": 3})


def test_nothing_is_missed_where_all_hold() -> None:
    clock = Clock()
    assert missed(compared(comparison("noop", clock.works(1), clock.works(2), 0.5), runs=1), [], None) is None


def test_sides_run_by_turns_and_a_shared_one_once_a_round() -> None:
    ran: list[str] = []

    def side(name: str) -> Callable[[int], Sample]:
        def one(number: int) -> Sample:
            ran.append(f"{name}{number}")
            return Sample(seconds=1)

        return one

    raw, cold, warm, push, first = map(side, ("raw", "cold", "warm", "push", "first"))
    table = (
        comparison("cold", cold, raw, 2),
        comparison("push", push, first, 2),
        comparison("warm", warm, cold, 2),
    )
    assert [[one.name for one in group] for group in groups(table)] == [["cold", "warm"], ["push"]]
    compared(*table, runs=2)
    assert ran == ["raw0", "cold0", "warm0", "raw1", "cold1", "warm1", "first0", "push0", "first1", "push1"]


def test_a_side_that_breaks_leaves_what_it_has_no_part_in() -> None:
    clock, ran = Clock(), list[int]()
    raw, cold, warm = clock.works(1, 1), clock.works(2, 2), clock.works(0.5, 0.5)

    def resumed(number: int) -> Sample:
        ran.append(number)
        message = "the build ended before it could be interrupted"
        raise WorkFailed(message)

    made = compare(
        (
            comparison("cold", cold, raw, 3),
            comparison("warm", warm, cold, 1),
            comparison("resumed", resumed, cold, 1),
        ),
        runs=2,
        said=lambda _words: None,
    )
    assert [(one.name, one.value) for one in made.ratios] == [("cold", 2.0), ("warm", 0.25)]
    assert {name: error.message for name, error in made.broken.items()} == {
        "resumed": "the build ended before it could be interrupted"
    }
    assert ran == [0], "it is not tried again"


def test_a_full_disk_is_the_failure_of_one_side() -> None:
    clock = Clock()

    def full(_number: int) -> Sample:
        raise OSError(errno.ENOSPC, "No space left on device", "/cache/work")

    made = compare(
        (comparison("bake", full, clock.works(1), 3), comparison("cold", clock.works(2), clock.works(1), 3)),
        runs=1,
        said=lambda _words: None,
    )
    assert [one.name for one in made.ratios] == ["cold"]
    assert made.broken["bake"].message == "/cache/work: No space left on device"


def test_what_a_broken_side_was_needed_for_is_not_measured_and_not_run() -> None:
    clock, ran = Clock(), list[int]()

    def cold(_number: int) -> Sample:
        message = "no disk"
        raise WorkFailed(message)

    def warm(number: int) -> Sample:
        ran.append(number)
        return Sample(seconds=1)

    raw = clock.works(1, 1)
    made = compare(
        (comparison("cold", cold, raw, 3), comparison("warm", warm, cold, 1)),
        runs=2,
        said=lambda _words: None,
    )
    assert (made.ratios, set(made.broken), ran) == ((), {"cold", "warm"}, [])
