"""How long each build took, kept beside the artifacts and bounded, so that a report can name the build before. Pure."""

import math
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from build.image.model import BuiltImage
from build.smoke.model import SmokeReport

__all__ = ["KEPT", "BuildTimes", "PhaseRow", "expected", "phase_rows", "remembered"]

KEPT: Final = 50
"""Builds that are remembered of one image."""
_TOTAL: Final = "total"
_SMOKE: Final = "smoke checks, summed"
_FIRST: Final = ("probe", "configure", "compile")
_LAST: Final = ("collect", "runtime", "export", _TOTAL, _SMOKE)


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildTimes:
    """One build: what it made, when, and how long each phase took."""

    at: str
    """RFC 3339 in UTC: when it was first reported."""
    tag: str
    digest: str
    seconds: dict[str, float]
    compile_cache: dict[str, int]
    smoke: dict[str, float] = field(default_factory=dict)
    """Of each check; of the last smoke test where there were several."""


def remembered(
    history: tuple[BuildTimes, ...],
    built: BuiltImage,
    report: SmokeReport | None,
    *,
    tag: str,
    at: datetime,
) -> tuple[BuildTimes, ...]:
    """Add this build to the history, oldest first. The same build again, smoke-tested anew, takes its own place."""
    now = BuildTimes(
        at=at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        tag=tag,
        digest=str(built.digest),
        seconds=built.seconds,
        compile_cache=built.compile_cache,
        smoke={check.name: check.seconds for check in report.checks} if report else {},
    )
    if history and _same(history[-1], now):
        return (*history[:-1], replace(now, at=history[-1].at))
    return (*history, now)[-KEPT:]


def expected(history: tuple[BuildTimes, ...]) -> float:
    """Return the seconds that a build may take: the longest that is remembered; without any nobody knows, so no end."""
    return max((one.seconds.get(_TOTAL, 0.0) for one in history), default=math.inf)


def _same(one: BuildTimes, other: BuildTimes) -> bool:
    """Say whether these are one build: times are kept to the millisecond, two builds do not share them all."""
    return (one.digest, one.seconds, one.compile_cache) == (other.digest, other.seconds, other.compile_cache)


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseRow:
    """One phase in this build and in the one before. None: it did not run, its result came from a cache."""

    name: str
    now: float | None
    before: float | None
    share: float
    """In percent of the longest phase of this build, for the picture."""
    share_before: float
    summary: bool = False


def phase_rows(now: BuildTimes, before: BuildTimes | None) -> tuple[PhaseRow, ...]:
    """Lay two builds side by side, in the order of the road; the sums come last."""
    mine, its = _phases(now), _phases(before) if before else {}
    longest = max((*mine.values(), *its.values()), default=0.0) or 1.0
    further = [name for name in dict.fromkeys((*mine, *its)) if name not in {*_FIRST, *_LAST}]
    return tuple(
        PhaseRow(
            name=name,
            now=mine.get(name),
            before=its.get(name),
            share=100 * mine.get(name, 0.0) / longest,
            share_before=100 * its.get(name, 0.0) / longest,
            summary=name in {_TOTAL, _SMOKE},
        )
        for name in (*_FIRST, *further, *_LAST)
        if name in mine or name in its
    )


def _phases(build: BuildTimes) -> dict[str, float]:
    smoke = {_SMOKE: sum(build.smoke.values())} if build.smoke else {}
    return {**build.seconds, **smoke}
