"""Patches held against a candidate before anything is built: what became of each, hunk by hunk. Flags; repairs nothing."""

import re
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from build.doors.git import TreeIndex
from build.follow.hunks import Hunk, hunks
from build.pin.patches import PatchRefused, apply_patch
from build.recipe.model import Patch

__all__ = ["HunkVerdict", "PatchVerdict", "judge"]

CLEAN, CONFLICT, UPSTREAM, GONE = "clean", "conflict", "already upstream", "target gone"
_OFFSET = re.compile(r"succeeded at \d+ \(offset (-?\d+) lines?\)")
_MISSING = re.compile(r"error: (\S+): does not exist in index")


@dataclass(frozen=True, slots=True, kw_only=True)
class HunkVerdict:
    """What became of one place that a patch changes."""

    file: str
    line: int
    verdict: str
    """`clean`, `offset N`, `conflict`, `already upstream`, `target gone`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchVerdict:
    """What became of one patch, applied after those before it that fit."""

    file: str
    verdict: str
    fits: bool
    """It applies exactly; anything else is drift, and a person's."""
    said: str
    """What was said when it was applied; empty where it fits."""
    hint: str
    drop_when: str
    hunks: tuple[HunkVerdict, ...]


def judge(index: TreeIndex, patches: Iterable[Patch], folder: Path) -> tuple[PatchVerdict, ...]:
    """Judge the patches in their order. `folder` is patches/; the index holds the candidate's tree and is changed."""
    return tuple(_judge(index, patch, folder) for patch in patches)


def _judge(index: TreeIndex, patch: Patch, folder: Path) -> PatchVerdict:
    path = folder / patch.file
    text = path.read_bytes().decode("utf-8", errors="surrogateescape")
    # Before the patch as a whole: what fits is then in the index.
    places = tuple(_hunk(index, hunk) for hunk in hunks(text))
    said = hint = ""
    try:
        verdict = apply_patch(index, path, file=patch.file).verdict
    except PatchRefused as error:
        verdict, said, hint = _whole(places), error.message, error.hint
    return PatchVerdict(
        file=patch.file,
        verdict=verdict,
        fits=not said,
        said=said,
        hint=hint,
        drop_when=patch.drop_when,
        hunks=places,
    )


def _whole(places: tuple[HunkVerdict, ...]) -> str:
    """Put the verdicts of the hunks of a patch that does not apply into one word. Partly upstream is a conflict."""
    found = {place.verdict for place in places}
    if found == {UPSTREAM}:
        return UPSTREAM
    return GONE if GONE in found and CONFLICT not in found else CONFLICT


def _hunk(index: TreeIndex, hunk: Hunk) -> HunkVerdict:
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "hunk.patch"
        path.write_text(hunk.patch, encoding="utf-8", errors="surrogateescape", newline="")
        return HunkVerdict(file=hunk.file, line=hunk.line, verdict=_alone(index, path))


def _alone(index: TreeIndex, path: Path) -> str:
    applied, words = index.apply(path, "--check")
    if applied:
        offset = _OFFSET.search(words)
        return f"offset {offset[1]}" if offset else CLEAN
    # First: a deletion that upstream made too has no target either.
    if index.apply(path, "--check", "--reverse")[0]:
        return UPSTREAM
    return GONE if _MISSING.search(words) else CONFLICT
