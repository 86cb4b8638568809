"""Static libraries, member by member: order, times, owners, modes, then what each holds."""

import filecmp
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from build.image.stream import CHUNK
from build.recipe.words import shown
from build.smoke.static.elf import BrokenElfError
from build.verify.elfparts import compare_elf
from build.verify.parts import Part, first_difference

__all__ = ["BrokenArchiveError", "compare_archives"]

_HEADER: Final = 60
_MAX_MEMBERS: Final = 100_000
_INDEXES: Final = frozenset({"/", "//", "/SYM64/"})
"""The symbol table and the table of long names, which follow from the members."""


class BrokenArchiveError(ValueError):
    """The file begins as an archive and is none, or not a whole one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Member:
    name: str
    fields: tuple[tuple[str, str], ...]
    offset: int
    size: int


def compare_archives(before: Path, after: Path) -> tuple[Part, ...]:
    """Say where two archives differ. Raises BrokenArchiveError."""
    one, other = ({member.name: member for member in _members(path)} for path in (before, after))
    return tuple(_compare(before, after, one, other))


def _compare(before: Path, after: Path, one: dict[str, _Member], other: dict[str, _Member]) -> Iterator[Part]:
    for name in (*one, *(name for name in other if name not in one)):
        left, right = one.get(name), other.get(name)
        if left is None or right is None:
            yield Part(section=shown(name), what=f"the member was {'added' if left is None else 'removed'}")
            continue
        for (key, said), (_, says) in zip(left.fields, right.fields, strict=True):
            if said != says:
                yield Part(
                    section=f"{shown(name)}, {key}",
                    what="another value",
                    before=shown(said),
                    after=shown(says),
                )
        if name not in _INDEXES:
            yield from _contents(before, after, left, right)
    order = [name for name in one if name in other], [name for name in other if name in one]
    if order[0] != order[1]:
        at, names = next((at, pair) for at, pair in enumerate(zip(*order, strict=True)) if pair[0] != pair[1])
        what = f"another order of members, from the {at + 1}. on"
        yield Part(section="members", what=what, before=shown(names[0]), after=shown(names[1]))


def _contents(before: Path, after: Path, left: _Member, right: _Member) -> Iterator[Part]:
    with tempfile.TemporaryDirectory(prefix="ingot-ar-", dir=before.parent) as folder:
        copies = []
        for number, (path, member) in enumerate(((before, left), (after, right))):
            copies.append(Path(folder) / str(number))
            _copy(path, member, copies[-1])
        if filecmp.cmp(copies[0], copies[1], shallow=False):
            return
        try:
            parts = compare_elf(*copies)
        except BrokenElfError:
            parts = (first_difference(*copies),)
        for part in parts:
            section = ", ".join(word for word in (shown(left.name), part.section) if word)
            yield Part(section=section, what=part.what, before=part.before, after=part.after)


def _copy(path: Path, member: _Member, target: Path) -> None:
    with path.open("rb") as source, target.open("wb") as sink:
        source.seek(member.offset)
        left = member.size
        while left and (chunk := source.read(min(left, CHUNK))):
            sink.write(chunk)
            left -= len(chunk)


def _members(path: Path) -> Iterator[_Member]:
    size, names, seen = path.stat().st_size, b"", Counter[str]()
    with path.open("rb") as file:
        position = file.seek(8)
        for _ in range(_MAX_MEMBERS):
            header = file.read(_HEADER)
            if not header:
                return
            fields = [header[at:end].decode("latin-1").rstrip() for at, end in _FIELDS]
            position += _HEADER
            if (
                len(header) < _HEADER
                or header[58:] != b"`\n"
                or not _is_number(fields[5])
                or position + int(fields[5]) > size
            ):
                break
            name, length = fields[0], int(fields[5])
            if name == "//":
                names = file.read(length)
            elif name.startswith("/") and _is_number(name[1:]):
                name = names[int(name[1:]) :].partition(b"\n")[0].decode(errors="backslashreplace")
            plain = name if name in _INDEXES else name.removesuffix("/")
            seen[plain] += 1
            yield _Member(
                name=f"{plain} ({seen[plain]})" if seen[plain] > 1 else plain,
                fields=tuple(zip(("time", "user", "group", "mode"), fields[1:5], strict=True)),
                offset=position,
                size=length,
            )
            position = file.seek(position + length + length % 2)
    message = f"a damaged header at {position:#x}"
    raise BrokenArchiveError(message)


def _is_number(text: str) -> bool:
    """Say whether `int` takes it: `isdigit` alone lets a superscript pass."""
    return text.isascii() and text.isdigit()


_FIELDS: Final = ((0, 16), (16, 28), (28, 34), (34, 40), (40, 48), (48, 58))
"""Name, time, user, group, mode, size."""
