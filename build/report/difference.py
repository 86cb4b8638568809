"""How two images differ, as types. Pure."""

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Area", "Change", "Difference", "Kind"]


class Area(StrEnum):
    """What a change is about, in the order in which people read it."""

    UPSTREAM = "upstream"
    PATCHES = "patches"
    TOOLCHAIN = "toolchain"
    FLAGS = "flags"
    VALUES = "values"
    DEFAULTS = "defaults"
    KERNELS = "kernels"
    LAYERS = "layers"
    SIZE = "size"
    LABELS = "labels"


class Kind(StrEnum):
    """What happened to the thing."""

    GONE = "gone"
    NEW = "new"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One thing that is not the same on both sides."""

    area: Area
    name: str
    """The flag, the library, the layer ... that changed."""
    kind: Kind
    before: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Everything in which two images differ, and what could not be compared."""

    left: str
    right: str
    changes: tuple[Change, ...]
    same: tuple[str, ...] = ()
    """What was compared and found equal, in words: `kernels: all 3 libraries`."""
    unknown: tuple[str, ...] = ()
    """What could not be compared, each with its reason."""
    parts: tuple[str, ...] = ()
    """Where two images of one plan differ, and should not: layer, file, section, what. Only `diff` of two folders looks."""
