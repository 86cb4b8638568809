"""The checks of a smoke report as people read them: outcome, evidence, and what each keeps the user from. Pure."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from build.report.evidence import evidence
from build.smoke.model import CheckResult, SmokeReport
from build.smoke.running import suite as running
from build.smoke.static import suite as static

__all__ = ["CheckRow", "Ended", "check_rows", "count"]


class Ended(StrEnum):
    """How a check ended, in the order in which people want to see them."""

    FAILED = "failed"
    NOT_RUN = "not run"
    SKIPPED = "skipped"
    PASSED = "passed"


_PROTECTS: Final = {
    name: sentence.replace("`", "") for name, sentence in {**static.PROTECTS, **running.PROTECTS}.items()
}
_ORDER: Final = tuple(Ended)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRow:
    """One check."""

    name: str
    ended: Ended
    required: bool
    """No push without it."""
    seconds: float = 0.0
    protects: str
    """What would have gone wrong for the user, in one sentence."""
    evidence: str = ""
    findings: tuple[str, ...] = ()
    """What is wrong, one after the other; of a failed check."""
    reason: str = ""
    """Why it was skipped or not run."""


def check_rows(
    report: SmokeReport | None, required: tuple[str, ...], names: tuple[str, ...]
) -> tuple[CheckRow, ...]:
    """List every check, the failed ones first; those of `names` that the report does not have are said not to have run."""
    results = report.checks if report else ()
    seen = {result.name for result in results}
    rows = [_row(result, required=result.name in required) for result in results]
    rows += [
        CheckRow(
            name=name,
            ended=Ended.NOT_RUN,
            required=name in required,
            protects=_PROTECTS[name],
            reason="this smoke test left it out" if report else "the image was not smoke-tested",
        )
        for name in names
        if name not in seen
    ]
    return tuple(sorted(rows, key=lambda row: _ORDER.index(row.ended)))


def count(rows: tuple[CheckRow, ...]) -> str:
    """Say how many ended how: `1 failed, 15 passed`."""
    told = (Ended.FAILED, Ended.PASSED, Ended.SKIPPED, Ended.NOT_RUN)
    counts = ((ended, sum(row.ended is ended for row in rows)) for ended in told)
    return ", ".join(f"{number} {ended}" for ended, number in counts if number)


def _row(result: CheckResult, *, required: bool) -> CheckRow:
    ended = Ended(result.outcome.value)
    return CheckRow(
        name=result.name,
        ended=ended,
        required=required,
        seconds=result.seconds,
        protects=_PROTECTS.get(result.name, ""),
        # Its words say what was right; what is wrong is said by the findings.
        evidence=evidence(result.name, result.detail) if ended is Ended.PASSED else "",
        findings=_findings(result.reason) if ended is Ended.FAILED else (),
        reason=result.reason if ended is Ended.SKIPPED else "",
    )


def _findings(reason: str) -> tuple[str, ...]:
    """Keep the lines of one finding together: a log's tail follows a line that ends in a colon."""
    lines = [line for line in reason.splitlines() if line.strip()]
    for number, line in enumerate(lines):
        if line.rstrip().endswith(":"):
            return (*lines[:number], "\n".join(lines[number:]))
    return tuple(lines)
