"""What the recipe asks for, as it was handed over in orders.json. Pure; trusts its writer for shape and types."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["DiffOrder", "Exclusion", "FileChange", "Orders", "PatchOrder", "SetOrder", "read_orders"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileChange:
    """A file before and after, by git's name of its bytes; empty where it is not there."""

    path: str
    before: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffOrder:
    """A unified diff that was applied to the wheels' files before the build."""

    id: str
    sha256: str
    verdict: str
    why: str
    foundational: bool
    changes: tuple[FileChange, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchOrder:
    """What the recipe says of one patch of a set."""

    id: str
    why: str
    files: tuple[str, ...] = ()
    markers: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    build: str = "applied"
    start: str = "text"
    foundational: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Exclusion:
    """A patch that the set would apply and must not: the file that does it is replaced by ours."""

    id: str
    why: str
    file: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SetOrder:
    """One patch set."""

    name: str
    repo: str
    commit: str
    version: str
    place: tuple[tuple[str, str], ...]
    run: tuple[str, ...]
    registry: str = ""
    patcher: str = ""
    plugin: str = ""
    helper: str = ""
    env: tuple[tuple[str, str], ...] = ()
    requires: tuple[str, ...] = ()
    """Packages that must be installed."""
    patches: tuple[PatchOrder, ...] = ()
    exclude: tuple[Exclusion, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """Everything that is to be done to one image."""

    site: str
    diffs: tuple[DiffOrder, ...] = ()
    sets: tuple[SetOrder, ...] = ()


def read_orders(data: Mapping[str, Any]) -> Orders:
    """Read orders.json's document."""
    return Orders(
        site=data["site"],
        diffs=tuple(
            DiffOrder(**{**one, "changes": tuple(FileChange(**change) for change in one["changes"])})
            for one in data["diffs"]
        ),
        sets=tuple(_set(one) for one in data["sets"]),
    )


def _set(data: Mapping[str, Any]) -> SetOrder:
    lists = {
        "place": _pairs(data["place"]),
        "run": tuple(data["run"]),
        "env": _pairs(data["env"]),
        "requires": tuple(data["requires"]),
        "patches": tuple(PatchOrder(**{**one, **_tuples(one)}) for one in data["patches"]),
        "exclude": tuple(Exclusion(**one) for one in data["exclude"]),
    }
    return SetOrder(**{**data, **lists})


def _pairs(value: list[list[str]]) -> tuple[tuple[str, str], ...]:
    return tuple((name, text) for name, text in value)


def _tuples(one: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    return {name: tuple(one[name]) for name in ("files", "markers", "optional")}
