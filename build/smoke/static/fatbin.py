"""Reads the device code that nvcc embeds in a host binary: one entry for each cubin and each PTX text.

The layout is undocumented; it was read off nvcc 13.0 (tests/data/elf) and is refused where it differs: an image whose
device code cannot be read is an image of which nothing is known. Pure over a file's bytes; unpacks no payload.
"""

import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import IO, Final

from build.smoke.static.elf import Section, sections

__all__ = ["CodeKind", "DeviceCode", "UnknownLayoutError", "read_device_code"]

_MAGIC: Final = 0xBA55ED50
_HEADER: Final = struct.Struct("<IHHQ")
_ENTRY: Final = struct.Struct("<HHIQIIIIQQQQ")
_ENTRY_VERSION: Final = 0x101
_CONTAINERS: Final = (".nv_fatbin", "__nv_relfatbin")
_SEGMENTS: Final = ".nvFatBinSegment"
_SEGMENT_MAGIC: Final = struct.pack("<I", 0x466243B1)
_SEGMENT_SIZE: Final = 24
_CUBIN: Final = struct.Struct("<4s14xH28xI12x")
_EM_CUDA: Final = 190
_OLDEST, _NEWEST = 50, 255

_LZ4, _ZSTD = 0x2000, 0x8000
_ARCH_SPECIFIC, _FAMILY_SPECIFIC = 0x100000, 0x200000
_BOTH: Final = _ARCH_SPECIFIC | _FAMILY_SPECIFIC
_KNOWN_FLAGS: Final = 0x1 | 0x2 | 0x10 | _LZ4 | _ZSTD | _BOTH | 0x1000000
"""64 bit, debug, Linux, two compressions, suffix a, suffix f, and the bit that every cubin from sm_100 on has."""


class UnknownLayoutError(ValueError):
    """The device code is laid out in a way that this reader has not seen."""


class CodeKind(StrEnum):
    """What an entry holds."""

    PTX = "PTX"
    """Text that the driver compiles when it is loaded."""
    SASS = "SASS"
    """Machine code of one architecture."""


_KINDS: Final = {1: CodeKind.PTX, 2: CodeKind.SASS}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceCode:
    """One entry of a fat binary."""

    kind: CodeKind
    arch: str
    """As nvcc writes it: `120a`."""
    compressed: bool
    size: int
    """Bytes as stored."""
    empty: bool
    """Holds no kernel, as the cubin that nvcc's own link step leaves. Not known of compressed code: False then."""
    sha256: str
    """Of kind, architecture, flags and the bytes as stored."""
    offset: int
    """Where those bytes begin in the file."""

    @property
    def target(self) -> str:
        """The architecture in the words of the toolkit, `sm_120a` or `compute_120a`."""
        return f"{'sm' if self.kind is CodeKind.SASS else 'compute'}_{self.arch}"


def read_device_code(path: Path) -> tuple[DeviceCode, ...]:
    """List the device code of one file, in its order; nothing when it has none.

    Raises:
        UnknownLayoutError: there is device code that this reader does not understand.
        BrokenElfError: the file is not a whole ELF file.
    """
    parts = {part.name: part for part in sections(path)}
    with path.open("rb") as file:
        containers = [
            found for name in _CONTAINERS if name in parts for found in _containers(file, parts[name])
        ]
        registered = _registered(file, parts.get(_SEGMENTS))
        if registered != len(containers):
            message = f"{len(containers)} fat binaries, {registered} of them known to the host code"
            raise UnknownLayoutError(message)
        return tuple(code for start, end in containers for code in _entries(file, start, end))


def _containers(file: IO[bytes], section: Section) -> Iterator[tuple[int, int]]:
    """Yield where the entries of each fat binary of a section begin and end."""
    position, end = section.offset, section.offset + section.size
    while position < end:
        start = _exactly(file, position, min(_HEADER.size, end - position))
        if not any(start[:8]):
            # The linker's padding between the sections of two object files.
            position += 8
            continue
        magic, version, header, size = _HEADER.unpack(start.ljust(_HEADER.size, b"\0"))
        if magic != _MAGIC or version != 1 or header != _HEADER.size or position + header + size > end:
            message = f"{section.name}+{position - section.offset:#x} is no fat binary of version 1"
            raise UnknownLayoutError(message)
        position += header + size
        yield position - size, position


def _entries(file: IO[bytes], position: int, end: int) -> Iterator[DeviceCode]:
    while position < end:
        fields = _ENTRY.unpack(_exactly(file, position, _ENTRY.size))
        kind, version, header, size, packed, _, _, arch, _, flags, _, raw = fields
        what = _refuse_unknown(fields, end - position)
        position += header
        payload = _exactly(file, position, size)
        plain = what is CodeKind.SASS and not packed
        if plain:
            _refuse_other_cubin(payload[: _CUBIN.size], arch)
        identity = f"{kind} {version} {arch} {flags:#x} {packed} {raw}\n".encode()
        yield DeviceCode(
            kind=what,
            arch=f"{arch}{_suffix(flags)}",
            compressed=bool(packed),
            size=size,
            empty=plain and b".text." not in payload,
            sha256=hashlib.sha256(identity + payload).hexdigest(),
            offset=position,
        )
        position += size


def _refuse_unknown(fields: tuple[int, ...], left: int) -> CodeKind:
    kind, version, header, size, packed, _, _, arch, _, flags, _, _ = fields
    if kind not in _KINDS or version != _ENTRY_VERSION:
        message = f"an entry of kind {kind}, version {version:#x}"
    elif header < _ENTRY.size or header + size > left or packed > size or not size:
        message = f"an entry of {header} + {size} bytes where {left} are left"
    elif flags & ~_KNOWN_FLAGS or flags & _BOTH == _BOTH:
        message = f"an entry with the flags {flags:#x}"
    elif bool(packed) != bool(flags & (_LZ4 | _ZSTD)):
        message = f"an entry with the flags {flags:#x} and {packed} compressed bytes"
    elif not _OLDEST <= arch <= _NEWEST:
        message = f"an entry for the architecture {arch}"
    else:
        return _KINDS[kind]
    raise UnknownLayoutError(message)


def _refuse_other_cubin(head: bytes, arch: int) -> None:
    """An uncompressed cubin is an ELF file, and must be for what its entry says."""
    magic, machine, flags = _CUBIN.unpack(head.ljust(_CUBIN.size, b"\0"))
    if magic != b"\x7fELF" or machine != _EM_CUDA or arch not in {flags >> 8 & 0xFF, flags & 0xFF}:
        message = f"an entry for sm_{arch} with a cubin of machine {machine}, flags {flags:#x}"
        raise UnknownLayoutError(message)


def _registered(file: IO[bytes], section: Section | None) -> int:
    """Count the fat binaries that the host code hands to the CUDA runtime."""
    if section is None:
        return 0
    data = _exactly(file, section.offset, section.size)
    magics = {data[at : at + 4] for at in range(0, len(data), _SEGMENT_SIZE)}
    if len(data) % _SEGMENT_SIZE or magics - {_SEGMENT_MAGIC}:
        message = f"{section.name} is not made of version 1 wrappers"
        raise UnknownLayoutError(message)
    return len(data) // _SEGMENT_SIZE


def _suffix(flags: int) -> str:
    return "a" if flags & _ARCH_SPECIFIC else "f" if flags & _FAMILY_SPECIFIC else ""


def _exactly(file: IO[bytes], position: int, count: int) -> bytes:
    file.seek(position)
    data = file.read(count)
    if len(data) != count:
        message = f"the file ends inside its device code, at {position:#x}"
        raise UnknownLayoutError(message)
    return data
