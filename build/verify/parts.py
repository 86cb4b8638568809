"""What is said of a part of a file, and what stands in bytes that a build should not leave there. Pure but for reading."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from build.image.stream import CHUNK
from build.recipe.words import shown

__all__ = ["MODULE_ID", "Part", "first_difference", "module_ids", "telling", "without_ids"]

MODULE_ID: Final = "module id"

_MOST: Final = 100_000
_PRINTABLE: Final = re.compile(rb"[\x20-\x7e]{6,}")
_LENGTH_OF_ID: Final = re.compile(rb"(\d{1,9})(?=(?:_INTERNAL_|_GLOBAL__N__)[0-9a-f]{8}_)")
"""A name as C++ mangles it: its length, then the name. nvcc's own ids end with a seed or a process id."""
_STATIC_ID: Final = re.compile(rb"__nv_static_(\d{1,4})__(?=[0-9a-f]{8}_)")
_WORD: Final = re.compile(rb"\w*")

_MONTH: Final = rb"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_TELLING: Final = (
    ("nvcc's name of a temporary file", re.compile(rb"tmpxft_[0-9a-f]{8}_[0-9a-f-]{8,}[\w.-]*")),
    (
        "an embedded date or time",
        re.compile(
            _MONTH
            + rb"[ ]{1,2}\d{1,2} (?:19|20)\d\d|(?<!\d)\d\d:\d\d:\d\d(?!\d)|(?<!\d)20\d\d-\d\d-\d\d(?!\d)"
        ),
    ),
    ("an embedded path", re.compile(rb"/(?:[\w.+-]{1,100}/){1,30}[\w.+-]{1,100}")),
)
"""What a build leaves of its time and place, and how it looks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of a file that differs."""

    section: str
    what: str
    before: str = ""
    after: str = ""


def module_ids(data: bytes) -> frozenset[bytes]:
    """Return the names by which nvcc keeps the static symbols of translation units apart."""
    return frozenset(islice((data[start:end] for _, start, end in _ids(data)), _MOST))


def without_ids(name: bytes) -> bytes:
    """Return a symbol's name with nvcc's ids and their lengths left out."""
    for begin, _, end in sorted(_ids(name), reverse=True):
        name = name[:begin] + b"@" + name[end:]
    return name


def _ids(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield where the length of each id begins, where the id does, and where it ends."""
    for pattern in (_LENGTH_OF_ID, _STATIC_ID):
        for found in pattern.finditer(data):
            word = _WORD.match(data, found.end(), found.end() + 1000)
            longest = len(word[0]) if word else 0
            # An id that ends with a process id runs into the length of the next: of `4545` only `45` is it.
            for begin in range(*found.span(1)):
                length = int(data[begin : found.end(1)])
                if 0 < length <= longest:
                    yield begin, found.end(), found.end() + length
                    break


def telling(section: str, before: bytes, after: bytes) -> Iterator[Part]:
    """Yield what only one of two stretches of bytes has, where it says by its looks where it comes from."""
    ids = module_ids(before), module_ids(after)
    if ids[0] != ids[1]:
        yield _only(section, MODULE_ID, *ids)
    found = False
    for what, pattern in _TELLING:
        sides = tuple(
            frozenset(islice((one[0] for one in pattern.finditer(side)), _MOST)) for side in (before, after)
        )
        if sides[0] != sides[1]:
            found = True
            yield _only(section, what, *sides)
    if not found and ids[0] == ids[1]:
        sides = tuple(
            frozenset(islice((one[0] for one in _PRINTABLE.finditer(side)), _MOST))
            for side in (before, after)
        )
        if sides[0] != sides[1]:
            yield _only(section, "another text", *sides)


def _only(section: str, what: str, before: Iterable[bytes], after: Iterable[bytes]) -> Part:
    left, right = set(before) - set(after), set(after) - set(before)
    return Part(section=section, what=what, before=_first(left), after=_first(right))


def _first(found: set[bytes]) -> str:
    if not found:
        return ""
    words = shown(min(found).decode(errors="backslashreplace"))
    return f"{words} and {len(found) - 1} more" if len(found) > 1 else words


def first_difference(before: Path, after: Path) -> Part:
    """Say where the bytes of two files differ first."""
    sizes = before.stat().st_size, after.stat().st_size
    at = 0
    with before.open("rb") as one, after.open("rb") as other:
        while (left := one.read(CHUNK)) == (right := other.read(CHUNK)) and left:
            at += len(left)
    at += next(
        (i for i, pair in enumerate(zip(left, right, strict=False)) if pair[0] != pair[1]),
        min(len(left), len(right)),
    )
    what = f"other bytes from {at:#x} on"
    if sizes[0] == sizes[1]:
        return Part(section="", what=what)
    return Part(section="", what=what, before=f"{sizes[0]} bytes", after=f"{sizes[1]} bytes")
