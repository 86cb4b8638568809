"""What is found in one area of a comparison, and the comparisons that several areas need. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from build.report.difference import Area, Change, Kind

__all__ = ["Part", "kind_of", "pairs", "share"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What was found in one area."""

    changes: tuple[Change, ...] = ()
    same: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


def pairs(area: Area, left: Mapping[str, str], right: Mapping[str, str]) -> tuple[Change, ...]:
    """Compare two maps, name by name."""
    return tuple(
        Change(
            area=area,
            name=name,
            kind=kind_of(before=name in left, after=name in right),
            before=left.get(name, ""),
            after=right.get(name, ""),
        )
        for name in dict.fromkeys((*left, *right))
        if left.get(name) != right.get(name)
    )


def kind_of(*, before: bool, after: bool) -> Kind:
    """Say what happened to a thing, by where it is."""
    if before and after:
        return Kind.CHANGED
    return Kind.GONE if before else Kind.NEW


def share(what: str, equal: int, total: int, unit: str = "") -> str:
    """Say how much of something is the same: `kernels: 2 of 3 libraries`."""
    count = f"all {total}" if equal == total else f"{equal} of {total}"
    return f"{what}: {count} {unit}".rstrip()
