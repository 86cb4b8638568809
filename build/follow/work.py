"""What goes down the road and what becomes of it. Frozen, pure."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from build.recipe.model import Recipe

__all__ = ["Outcome", "Station", "Work"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One recipe with its new pin, in a checkout of its own."""

    checkout: Path
    out: Path
    recipe: Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Station:
    """One station of the road. Doing it twice does it once."""

    name: str
    do: Callable[[Work], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one recipe."""

    recipe: str
    verdict: Literal["rebuilt", "done already", "waits", "would try", "failed", "elsewhere", "a person's"]
    detail: str
    branch: str = ""
    pin: str = ""
    request: str = ""
    """Address of the pull request."""
