"""Layers of two images by position: how they are packed, then every entry of their tars in order."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tarfile import TarFile, TarInfo
from typing import IO, Final

from build.doors import store
from build.doors.jsonvalues import MalformedError
from build.image.layout import Layout, open_layer
from build.image.members import clean, each_member
from build.image.stream import CHUNK, Budget
from build.image.tree import printable
from build.recipe.words import shown
from build.verify.files import explain
from build.verify.model import Difference
from build.verify.packing import packing

__all__ = ["compare_layers"]

_MAX_ENTRIES: Final = 500_000
_LOOKED_INTO: Final = 40
"""Files of one layer that are taken apart; of the rest it is said that they differ."""
_MAX_LOOKED_INTO: Final = 4 << 30
"""Bytes of all of them."""
_FIELDS: Final = ("kind", "mode", "owner", "mtime", "link", "size", "extra")
_KINDS: Final = {
    b"0": "file", b"\0": "file", b"1": "hard link", b"2": "symbolic link", b"3": "device", b"4": "device", b"5": "folder",
    b"6": "pipe",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class TarEntry:
    """One entry of a layer's tar, as text to compare."""

    kind: str
    mode: str
    owner: str
    mtime: str
    link: str
    size: str
    extra: str
    """Extended attributes and whatever else the header says."""
    sha256: str


def compare_layers(before: Layout, after: Layout, scratch: Path) -> Iterator[Difference]:
    """Compare the layers of two images."""
    budgets = Budget(), Budget()
    for index in range(max(len(before.layers), len(after.layers))):
        number = index + 1
        if index >= len(before.layers) or index >= len(after.layers):
            there = (before if index < len(before.layers) else after).layers[index]
            what = "removed" if index < len(before.layers) else "added"
            yield Difference(
                layer=number, file="", section="", what=f"the layer was {what}: {shown(there.what)}"
            )
            continue
        one, other = before.layers[index], after.layers[index]
        if one.diff_id != other.diff_id:
            yield from _entries(before, after, index, scratch, budgets)
            continue
        packed = (
            (one.digest, one.size, before.packing[index]),
            (other.digest, other.size, after.packing[index]),
        )
        if packed[0] != packed[1]:
            # What a layer unpacks to is only claimed so far; reading it to its end refuses a false claim.
            for layout, budget in zip((before, after), budgets, strict=True):
                with open_layer(layout, index, budget):
                    pass
            yield from packing(before, after, index)


def _entries(
    before: Layout, after: Layout, index: int, scratch: Path, budgets: tuple[Budget, Budget]
) -> Iterator[Difference]:
    number = index + 1
    one, other = (
        _read(layout, index, budget) for layout, budget in zip((before, after), budgets, strict=True)
    )
    found = False
    for path in (*one, *(path for path in other if path not in one)):
        left, right = one.get(path), other.get(path)
        if left is None or right is None:
            found = True
            kind = (left or right or _NOTHING).kind
            what = f"the {kind} was {'added' if left is None else 'removed'}"
            yield Difference(layer=number, file=_shown(path), section="", what=what)
        elif left != right:
            found = True
            yield from _fields(number, path, left, right)
    changed = [path for path in one if path in other and one[path].sha256 != other[path].sha256]
    yield from _contents((before, after), index, changed, scratch)
    common = [path for path in one if path in other]
    if common != [path for path in other if path in one]:
        found = True
        yield _order(number, common, [path for path in other if path in one])
    if not found:
        yield Difference(
            layer=number, file="", section="tar", what="equal entries, in other headers or with other padding"
        )


def _order(number: int, one: list[str], other: list[str]) -> Difference:
    at, (left, right) = next(
        (at, pair) for at, pair in enumerate(zip(one, other, strict=True)) if pair[0] != pair[1]
    )
    return Difference(
        layer=number, file="", section="tar", what=f"another order of entries, from the {at + 1}. on",
        before=_shown(left), after=_shown(right),
    )  # fmt: skip


def _fields(number: int, path: str, one: TarEntry, other: TarEntry) -> Iterator[Difference]:
    for name in _FIELDS:
        left, right = getattr(one, name), getattr(other, name)
        follows = name == "size" and one.sha256 != other.sha256
        if left != right and not follows:
            yield Difference(
                layer=number,
                file=_shown(path),
                section=name,
                what="another value",
                before=shown(left),
                after=shown(right),
            )


def _read(layout: Layout, index: int, budget: Budget) -> dict[str, TarEntry]:
    """List a layer's entries by path, in order; a path that is there more than once is numbered."""
    found: dict[str, TarEntry] = {}
    seen: Counter[str] = Counter()

    def take(tar: TarFile, member: TarInfo) -> None:
        name = clean(member.name)
        seen[name] += 1
        if len(found) >= _MAX_ENTRIES:
            message = f"more than {_MAX_ENTRIES} entries"
            raise MalformedError(message)
        found[f"{name} ({seen[name]})" if seen[name] > 1 else name] = _entry(tar, member)

    with open_layer(layout, index, budget) as stream:
        each_member(stream, take)
    return found


def _entry(tar: TarFile, member: TarInfo) -> TarEntry:
    digest = ""
    if member.isreg() and (file := tar.extractfile(member)):
        digest = _sha256(file)
    beside = {
        key: value
        for key, value in member.pax_headers.items()
        if key not in {"path", "linkpath", "size", "mtime"}
    }
    device = f"{member.devmajor}:{member.devminor}" if member.isdev() else ""
    return TarEntry(
        kind=_KINDS.get(member.type, f"type {member.type!r}"),
        mode=f"{member.mode:04o}",
        owner=f"{member.uid}:{member.gid} {member.uname}:{member.gname}",
        mtime=str(member.mtime),
        link=member.linkname,
        size=str(member.size),
        extra=" ".join((*(f"{key}={value}" for key, value in sorted(beside.items())), device)).strip(),
        sha256=digest,
    )


_NOTHING = TarEntry(kind="entry", mode="", owner="", mtime="", link="", size="", extra="", sha256="")


def _sha256(file: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while chunk := file.read(CHUNK):
        digest.update(chunk)
    return digest.hexdigest()


def _contents(
    layouts: tuple[Layout, Layout], index: int, changed: list[str], scratch: Path
) -> Iterator[Difference]:
    """Take apart the files whose bytes differ."""
    wanted = changed[:_LOOKED_INTO]
    with store.scratch(scratch) as folder:
        copies = [_copies(layout, index, wanted, folder / str(side)) for side, layout in enumerate(layouts)]
        for path in changed:
            if path not in copies[0] or path not in copies[1]:
                yield Difference(
                    layer=index + 1, file=_shown(path), section="", what="other bytes, not looked into"
                )
                continue
            for part in explain(copies[0][path], copies[1][path], path):
                yield Difference(
                    layer=index + 1, file=_shown(path), section=part.section, what=part.what,
                    before=part.before, after=part.after,
                )  # fmt: skip


def _copies(layout: Layout, index: int, wanted: list[str], folder: Path) -> Mapping[str, Path]:
    """Copy files of a layer out, to numbers."""
    found: dict[str, Path] = {}
    seen: Counter[str] = Counter()
    left = _MAX_LOOKED_INTO
    folder.mkdir()

    def take(tar: TarFile, member: TarInfo) -> None:
        nonlocal left
        name = clean(member.name)
        seen[name] += 1
        name = f"{name} ({seen[name]})" if seen[name] > 1 else name
        if name not in wanted or not member.isreg() or member.size > left:
            return
        source = tar.extractfile(member)
        assert source is not None
        left -= member.size
        found[name] = folder / str(len(found))
        with found[name].open("wb") as sink:
            while chunk := source.read(CHUNK):
                sink.write(chunk)

    with open_layer(layout, index, Budget()) as stream:
        each_member(stream, take)
    return found


def _shown(path: str) -> str:
    return printable(path).lstrip("/")
