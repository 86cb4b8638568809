"""When a candidate is tried again."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from build.follow.backoff import WAITS_H, Record, decide, due, failed, succeeded

AT = datetime(2026, 6, 1, 12, tzinfo=UTC)
RECORD = Record(
    recipe="fork",
    fingerprint="f1",
    version="b8",
    commit="c",
    outcome="failed",
    at=AT.isoformat(),
    station="build",
)


def test_waits_grow_and_stop_growing() -> None:
    record, waits = None, []
    for _ in range(10):
        record = failed(record, RECORD)
        waits.append((due(record) - AT) / timedelta(hours=1))
    assert waits == [0, 0, 1, 2, 4, 8, 16, 32, 32, 32]
    assert tuple(waits[:8]) == WAITS_H


@pytest.mark.parametrize(
    ("failures", "mark", "minutes", "decision"),
    [
        (0, "f1", 0, "try"),
        (1, "f1", 0, "try"),
        (2, "f1", 0, "try"),
        (3, "f1", 59, "wait"),
        (3, "f1", 60, "try"),
        (8, "f1", 32 * 60 - 1, "wait"),
        (8, "f1", 32 * 60, "try"),
        (8, "f2", 0, "try"),
    ],
)
def test_decisions(failures: int, mark: str, minutes: int, decision: str) -> None:
    record = replace(RECORD, failures=failures) if failures else None
    assert decide(record, mark, AT + timedelta(minutes=minutes)) == decision


def test_another_candidate_starts_fresh() -> None:
    worn = replace(RECORD, failures=7)
    assert failed(worn, RECORD).failures == 8
    assert failed(worn, replace(RECORD, fingerprint="f2")).failures == 1


def test_done_is_done() -> None:
    done = succeeded(replace(RECORD, failures=3), branch="bump/fork", pin="p")
    assert (done.outcome, done.failures, done.station, done.message) == ("done", 0, "", "")
    assert decide(done, "f1", AT) == "done"
    assert decide(done, "f2", AT) == "try"
