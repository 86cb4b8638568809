"""Which builds are remembered, and what this one is compared with."""

from dataclasses import replace
from datetime import UTC, datetime

from build.report.times import KEPT, BuildTimes, PhaseRow, phase_rows, remembered
from tests.unit.report.pages import AT, BUILT, HISTORY, PLAN, report

LATER = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)


def remember(history: tuple[BuildTimes, ...], **changed: object) -> tuple[BuildTimes, ...]:
    built = replace(BUILT, **changed) if changed else BUILT  # type: ignore[arg-type]
    return remembered(history, built, report(), tag=PLAN.tag, at=LATER)


def test_a_build_is_added() -> None:
    (first,) = remembered((), BUILT, None, tag=PLAN.tag, at=AT)
    assert (first.at, first.tag, first.smoke) == ("2026-11-21T02:30:00Z", PLAN.tag, {})
    assert first.seconds == BUILT.seconds


def test_the_same_build_smoke_tested_again_keeps_its_place_and_its_time() -> None:
    (first,) = remembered((), BUILT, None, tag=PLAN.tag, at=AT)
    (again,) = remember((first,))
    assert again.at == first.at
    assert again.smoke["health"] > 0


def test_another_build_of_the_same_bytes_is_another() -> None:
    history = remember(remember(()), seconds={"total": 1.0})
    assert [one.seconds["total"] for one in history] == [461.25, 1.0]


def test_only_so_many_are_kept() -> None:
    history: tuple[BuildTimes, ...] = ()
    for number in range(KEPT + 3):
        history = remember(history, seconds={"total": float(number)})
    assert len(history) == KEPT
    assert history[-1].seconds == {"total": KEPT + 2.0}


def test_two_builds_side_by_side() -> None:
    before, now = HISTORY
    now = replace(now, seconds={"collect": 3.2, "runtime": 1.0, "compile-tools": 2.0, "total": 40.0})
    rows = phase_rows(now, before)
    assert [(row.name, row.now, row.before, row.summary) for row in rows] == [
        ("probe", None, 0.5, False),
        ("configure", None, 4.0, False),
        ("compile", None, 2143.0, False),
        ("compile-tools", 2.0, None, False),
        ("collect", 3.2, 3.1, False),
        ("runtime", 1.0, None, False),
        ("export", None, 34.2, False),
        ("total", 40.0, 2190.0, True),
        ("smoke checks, summed", 14.1, 15.1, True),
    ]
    assert max(row.share_before for row in rows) == 100


def test_the_first_build_and_one_without_times() -> None:
    assert {row.before for row in phase_rows(HISTORY[1], None)} == {None}
    empty = replace(HISTORY[0], seconds={"total": 0.0}, smoke={})
    assert phase_rows(empty, None) == (
        PhaseRow(name="total", now=0.0, before=None, share=0.0, share_before=0.0, summary=True),
    )
