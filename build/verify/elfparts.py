"""Two ELF files section by section: what differs, and what that tells. Device code down to the symbols of its kernels."""

import mmap
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from build.recipe.words import shown
from build.smoke.static.elf import BrokenElfError, Section, read_elf, sections
from build.smoke.static.fatbin import CodeKind, DeviceCode, UnknownLayoutError, read_device_code
from build.verify.parts import MODULE_ID, Part, module_ids, telling, without_ids

__all__ = ["compare_elf"]

_READ: Final = 256 << 20
"""Bytes of a section that are looked at; that it differs is known of all of them."""
_NAMED: Final = 8
_FATBIN: Final = ".nv_fatbin"
_BUILD_ID: Final = ".note.gnu.build-id"
_RANK: Final = {_FATBIN: 0, _BUILD_ID: 2}
"""The build id follows from whatever else differs."""
_NOTE_HEAD: Final = 16
_FACTS: Final = ("soname", "needed", "rpath", "runpath")
_DYNAMIC: Final = frozenset({".dynamic", ".dynstr"})


@dataclass(frozen=True, slots=True)
class _Side:
    path: Path
    data: mmap.mmap
    parts: dict[tuple[str, int], Section]

    def read(self, key: tuple[str, int]) -> bytes:
        part = self.parts[key]
        return self.data[part.offset : part.offset + min(part.size, _READ)]


def compare_elf(before: Path, after: Path) -> tuple[Part, ...]:
    """Say where two ELF files differ: what explains itself first, then the sections that only follow.

    Raises:
        BrokenElfError: one of them is not a whole one.
    """
    with before.open("rb") as one, after.open("rb") as other:
        left, right = (
            _Side(
                Path(file.name),
                mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ),
                _numbered(Path(file.name)),
            )
            for file in (one, other)
        )
        try:
            return tuple(_compare(left, right))
        finally:
            left.data.close()
            right.data.close()


def _numbered(path: Path) -> dict[tuple[str, int], Section]:
    seen: Counter[str] = Counter()
    found = {}
    for part in sections(path):
        found[part.name, seen[part.name]] = part
        seen[part.name] += 1
    return found


def _compare(left: _Side, right: _Side) -> Iterator[Part]:
    for parts, others, what in ((left.parts, right.parts, "removed"), (right.parts, left.parts, "added")):
        for name, number in parts:
            if (name, number) not in others:
                yield Part(section=shown(name), what=f"the section was {what}")
    differing = [key for key in left.parts if key in right.parts and _differ(left, right, key)]
    facts = list(_facts(left, right))
    yield from facts
    rest = []
    for key in sorted(differing, key=lambda key: _RANK.get(key[0], 1)):
        if facts and key[0] in _DYNAMIC:
            continue
        explained = list(_explained(left, right, key))
        yield from explained
        rest += [] if explained else [key]
    if rest:
        names = ", ".join(shown(name) for name, _ in rest[:_NAMED])
        more = f" and {len(rest) - _NAMED} more" if len(rest) > _NAMED else ""
        yield Part(section=f"{names}{more}", what="other bytes")
    elif not differing and left.parts.keys() == right.parts.keys():
        yield Part(section="headers", what="equal sections, at other places or under other headers")


def _differ(left: _Side, right: _Side, key: tuple[str, int]) -> bool:
    one, other = left.parts[key], right.parts[key]
    if one.size != other.size:
        return True
    # A view of a map would keep it from being closed; a slice is a copy, so it is taken piece by piece.
    pieces = range(0, one.size, 1 << 22)
    return any(
        left.data[one.offset + at : one.offset + min(at + (1 << 22), one.size)]
        != right.data[other.offset + at : other.offset + min(at + (1 << 22), one.size)]
        for at in pieces
    )


def _facts(left: _Side, right: _Side) -> Iterator[Part]:
    """Compare what the loader reads: a run path that leads into a build directory is seen here."""
    one, other = read_elf(left.path), read_elf(right.path)
    for name in _FACTS:
        said, says = getattr(one, name), getattr(other, name)
        if said != says:
            words = [value if isinstance(value, str) else ":".join(value) for value in (said, says)]
            yield Part(section=".dynamic", what=name.upper(), before=shown(words[0]), after=shown(words[1]))


def _explained(left: _Side, right: _Side, key: tuple[str, int]) -> Iterator[Part]:
    name, _ = key
    one, other = left.read(key), right.read(key)
    if name == _BUILD_ID:
        ids = one[_NOTE_HEAD:].hex(), other[_NOTE_HEAD:].hex()
        yield Part(section=name, what="build id", before=ids[0], after=ids[1])
    elif name == _FATBIN:
        yield from _device_code(left.path, right.path, one, other)
    elif name != ".text":  # machine code that looks like text is chance
        yield from telling(shown(name), one, other)


def _device_code(before: Path, after: Path, one: bytes, other: bytes) -> Iterator[Part]:
    try:
        codes = read_device_code(before), read_device_code(after)
    except UnknownLayoutError as error:
        yield Part(section=_FATBIN, what=f"cannot be taken apart: {error}")
        yield from telling(_FATBIN, one, other)
        return
    targets = tuple(Counter(code.target for code in side) for side in codes)
    if targets[0] != targets[1]:
        words = [
            ", ".join(f"{count} of {target}" for target, count in sorted(side.items())) for side in targets
        ]
        yield Part(section=_FATBIN, what="other entries", before=words[0], after=words[1])
        return
    pairs = [pair for pair in zip(*codes, strict=True) if pair[0].sha256 != pair[1].sha256]
    kinds = [_kind(before, after, *pair) for pair in pairs]
    for kind in sorted(set(kinds)):
        count = kinds.count(kind)
        which = pairs[kinds.index(kind)][0]
        what = f"{kind}, in {count} of {len(codes[0])} entries, the first for {which.target}"
        if kind != MODULE_ID:
            yield Part(section=_FATBIN, what=what)
            continue
        ids = module_ids(one), module_ids(other)
        left, right = (sorted(mine - its) for mine, its in (ids, ids[::-1]))
        yield Part(section=_FATBIN, what=what, before=_name(left), after=_name(right))


def _name(ids: list[bytes]) -> str:
    return shown(ids[0].decode(errors="backslashreplace")[-56:]) if ids else ""


def _kind(before: Path, after: Path, one: DeviceCode, other: DeviceCode) -> str:
    """Say what differs in one entry: nothing but nvcc's ids, or which kernels."""
    payloads = _payload(before, one), _payload(after, other)
    if one.kind is not CodeKind.SASS or one.compressed or other.compressed:
        return "other bytes"
    with (
        tempfile.TemporaryDirectory(prefix="ingot-cubin-", dir=before.parent) as folder,
        suppress(BrokenElfError),
    ):
        kernels = []
        for number, payload in enumerate(payloads):
            path = Path(folder) / str(number)
            path.write_bytes(payload)
            kernels.append(_kernels(path, payload))
        changed = sorted(
            name for name in {*kernels[0], *kernels[1]} if kernels[0].get(name) != kernels[1].get(name)
        )
        if changed:
            return f"another kernel {shown(changed[0].decode(errors='backslashreplace'))}"
        if module_ids(payloads[0]) != module_ids(payloads[1]):
            return MODULE_ID
    return "other bytes"


def _kernels(path: Path, payload: bytes) -> dict[bytes, tuple[bytes, ...]]:
    """Return the machine code and the constants of a cubin by section, names without nvcc's ids."""
    found: dict[bytes, tuple[bytes, ...]] = {}
    for part in sections(path):
        if part.name.startswith((".text.", ".nv.constant", ".nv.global")):
            name = without_ids(part.name.encode(errors="surrogateescape"))
            found[name] = (*found.get(name, ()), payload[part.offset : part.offset + part.size])
    return found


def _payload(path: Path, code: DeviceCode) -> bytes:
    with path.open("rb") as file:
        file.seek(code.offset)
        return file.read(code.size)
