"""What a pull request says: the bump's page, then the smoke reports, as much as fits. Pure, but for reading the pages."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from build.recipe.effective import variant_names
from build.recipe.model import Recipe
from build.recipe.naming import directory_name

__all__ = ["Offer", "body", "read_pages"]

_FENCE = re.compile(r"`{3,}")
_NOTE = 200
"""Room for the line that says that something was cut."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A branch that is to be offered for review, with its words: whole, so that any machine can do it."""

    recipe: str
    branch: str
    pinned: str
    """The commit that the recipe moves away from. Where the recipe has another, the offer is out of date."""
    title: str
    body: str


def read_pages(out: Path, recipe: Recipe) -> tuple[tuple[str, str], ...]:
    """Read the bump's page and the report of each of the recipe's images, each with its path below the artifacts."""
    images = (directory_name(recipe.name, variant) for variant in variant_names(recipe))
    paths = (f"{recipe.name}/bump.md", *(f"{name}/report.md" for name in images))
    return tuple((f"out/{path}", _text(out / path)) for path in paths)


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8").strip() if path.is_file() else ""


def body(pages: Sequence[tuple[str, str]], *, longest: int) -> str:
    """Put pages, each with its path, into one text of at most `longest` characters.

    The first ones have more right to be whole. What is cut goes by whole sections, and its place says so.
    """
    there = [(path, text.strip()) for path, text in pages if text.strip()]
    whole = "\n\n".join(text for _, text in there)
    if len(whole) <= longest:
        return whole
    found: list[str] = []
    room = longest
    for left, (path, text) in zip(range(len(there) - 1, -1, -1), there, strict=True):
        found.append(_cut(path, text, room=room - left * (_NOTE + len("\n\n"))))
        room -= len(found[-1]) + len("\n\n")
    return "\n\n".join(found)


def _cut(path: str, text: str, *, room: int) -> str:
    """Keep as many whole sections as there is room for: half a table or fence would swallow what follows."""
    if len(text) <= room:
        return text
    sections = tuple(_sections(text))
    for kept in range(len(sections) - 1, 0, -1):
        note = f"*{len(sections) - kept} of {len(sections)} sections are cut here. {path} has them.*"
        cut = "\n".join(sections[:kept]).rstrip() + f"\n\n{note}"
        if len(cut) <= room:
            return cut
    return f"*Cut here: there is no room for {path}.*"


def _sections(text: str) -> Iterator[str]:
    """Part a page before its headings of the second rank; a `## ` inside a fence is none."""
    lines: list[str] = []
    fence = ""
    for line in text.splitlines():
        mark = _FENCE.match(line)
        if fence:
            fence = "" if line.rstrip() == fence else fence
        elif mark:
            fence = mark[0]
        elif line.startswith("## ") and lines:
            yield "\n".join(lines)
            lines = []
        lines.append(line)
    yield "\n".join(lines)
