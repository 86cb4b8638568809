"""When a candidate is tried again that failed before, and what is remembered of it. Pure; the time is told."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

__all__ = ["WAITS_H", "Record", "decide", "due", "failed", "succeeded"]

WAITS_H = (0, 0, 1, 2, 4, 8, 16, 32)
"""Hours before the next try after the first, second ... failure; the last goes for all that follow."""

Decision = Literal["try", "wait", "done"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What became of one candidate of one recipe. Another candidate, or another recipe file, starts fresh."""

    recipe: str
    fingerprint: str
    """Of the recipe's name, the candidate and everything of the recipe that a person wrote."""
    version: str
    commit: str
    outcome: Literal["failed", "done"]
    failures: int = 0
    at: str
    """When that was, RFC 3339."""
    station: str = ""
    """Where it failed."""
    message: str = ""
    branch: str = ""
    """Where the new pin is committed, once it is done."""
    pin: str = ""
    """The commit on that branch."""
    request: str = ""
    """Address of its pull request, once there is one."""


def due(record: Record) -> datetime:
    """Say when a failed candidate is tried again."""
    wait = WAITS_H[min(record.failures, len(WAITS_H)) - 1] if record.failures else 0
    return datetime.fromisoformat(record.at) + timedelta(hours=wait)


def decide(record: Record | None, fingerprint: str, now: datetime) -> Decision:
    """Say what to do about a candidate."""
    if record is None or record.fingerprint != fingerprint:
        return "try"
    if record.outcome == "done":
        return "done"
    return "wait" if now < due(record) else "try"


def failed(record: Record | None, now: Record) -> Record:
    """Count a failure on; another fingerprint starts at one."""
    before = record.failures if record and record.fingerprint == now.fingerprint else 0
    return replace(now, outcome="failed", failures=before + 1)


def succeeded(now: Record, *, branch: str, pin: str) -> Record:
    """Write down that everything passed."""
    return replace(now, outcome="done", failures=0, station="", message="", branch=branch, pin=pin)
