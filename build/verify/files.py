"""Two files of one path taken apart as far as their kind is known: ELF, ar, gzip, Python bytecode, text, or only bytes."""

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from build.doors.jsonvalues import MalformedError
from build.image.stream import CHUNK, Budget, Gunzip, Hashing
from build.recipe.words import shown
from build.smoke.static.elf import BrokenElfError
from build.verify.ararchive import BrokenArchiveError, compare_archives
from build.verify.elfparts import compare_elf
from build.verify.packing import gzip_header
from build.verify.parts import Part, first_difference

__all__ = ["explain"]

_TEXT_MAX: Final = 4 << 20
_ELF: Final = b"\x7fELF"
_AR: Final = b"!<arch>\n"
_GZIP: Final = b"\x1f\x8b"
_PYC: Final = struct.Struct("<4sIII")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pair:
    before: Path
    after: Path

    def heads(self, count: int) -> tuple[bytes, bytes]:
        return _head(self.before, count), _head(self.after, count)


def explain(before: Path, after: Path, name: str) -> tuple[Part, ...]:
    """Say where two files differ. `name` is the one in the image, whose suffix tells what nothing else does."""
    pair = _Pair(before=before, after=after)
    heads = pair.heads(8)
    found: tuple[Part, ...] = ()
    try:
        if all(head.startswith(_ELF) for head in heads):
            found = compare_elf(before, after)
        elif all(head == _AR for head in heads):
            found = compare_archives(before, after)
    except (BrokenElfError, BrokenArchiveError) as error:
        found = (Part(section="", what=f"cannot be taken apart: {error}"),)
    if all(head.startswith(_GZIP) for head in heads):
        found = _gzip(pair)
    elif name.endswith(".pyc"):
        found = _bytecode(pair)
    return found or _text(pair) or (first_difference(before, after),)


def _gzip(pair: _Pair) -> tuple[Part, ...]:
    left, right = (gzip_header(head) for head in pair.heads(10))
    try:
        digests = [_inflated(path) for path in (pair.before, pair.after)]
    except MalformedError as error:
        return (Part(section="gzip", what=f"cannot be taken apart: {error}"),)
    found = (
        [Part(section="gzip header", what="another value", before=left, after=right)] if left != right else []
    )
    if digests[0] != digests[1]:
        found.append(
            Part(section="content", what="other bytes once unpacked", before=digests[0], after=digests[1])
        )
    return tuple(found) or (Part(section="gzip", what="equal content, packed otherwise"),)


def _inflated(path: Path) -> str:
    with path.open("rb") as file:
        stream = Hashing(Gunzip(file), Budget())
        while stream.read(CHUNK):
            pass
        return str(stream.digest())


def _bytecode(pair: _Pair) -> tuple[Part, ...]:
    """Compare the 16 bytes before the code: magic number, flags, then time and size of the source, or its hash."""
    heads = pair.heads(_PYC.size)
    if any(len(head) < _PYC.size for head in heads):
        return ()
    one, other = (_PYC.unpack(head) for head in heads)
    found = []
    if one[0] != other[0]:
        found.append(
            Part(section="pyc header", what="another Python", before=one[0].hex(), after=other[0].hex())
        )
    if one[1] != other[1]:
        found.append(Part(section="pyc header", what="other flags", before=str(one[1]), after=str(other[1])))
    if one[2:] != other[2:]:
        timed = not one[1] and not other[1]
        what = "another time of the source" if timed and one[3] == other[3] else "another source"
        found.append(Part(section="pyc header", what=what, before=str(one[2]), after=str(other[2])))
    if _crc(pair.before, _PYC.size) != _crc(pair.after, _PYC.size):
        found.append(Part(section="code", what="other bytes"))
    return tuple(found)


def _crc(path: Path, start: int) -> int:
    value = 0
    with path.open("rb") as file:
        file.seek(start)
        while chunk := file.read(CHUNK):
            value = zlib.crc32(chunk, value)
    return value


def _text(pair: _Pair) -> tuple[Part, ...]:
    """Name the first line that differs, where both are text."""
    lines = []
    for path in (pair.before, pair.after):
        if path.stat().st_size > _TEXT_MAX:
            return ()
        try:
            text = path.read_bytes().decode()
        except UnicodeDecodeError:
            return ()
        if "\0" in text:
            return ()
        lines.append(text.splitlines(keepends=True))
    one, other = lines
    number = next(
        (at for at, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]),
        min(map(len, lines)),
    )
    left, right = (side[number].rstrip("\n") if number < len(side) else "" for side in lines)
    return (Part(section=f"line {number + 1}", what="another text", before=shown(left), after=shown(right)),)


def _head(path: Path, count: int) -> bytes:
    file: IO[bytes]
    with path.open("rb") as file:
        return file.read(count)
