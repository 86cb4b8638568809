"""ELF files as facts: what the loader reads of them, and their symbols. The one importer of pyelftools."""

import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import IO, Any, Final, TypeVar

from elftools.common.exceptions import ELFError
from elftools.construct import ConstructError
from elftools.elf.dynamic import DynamicSegment
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerDefSection, GNUVerNeedSection

__all__ = [
    "BrokenElfError",
    "Elf",
    "ElfKind",
    "Section",
    "Symbols",
    "VersionNeed",
    "read_elf",
    "read_symbols",
    "sections",
]

_BROKEN: Final = (
    ELFError,
    ConstructError,
    struct.error,
    ValueError,
    KeyError,
    IndexError,
    TypeError,
    AttributeError,
    AssertionError,
    OverflowError,
    OSError,
    RecursionError,
    MemoryError,
)
"""What pyelftools raises on files that are not what they should be (tried with cut and overwritten libraries)."""
T = TypeVar("T")

_WEAK: Final = 2
_BINDING_WEAK: Final = 2
_UNDEFINED: Final = 0
_BITS: Final = 64
_64_BIT_LITTLE: Final = b"\x02\x01"
_FILE_HEADER: Final = struct.Struct("<32xQQ6xHHHH2x")
_SEGMENT: Final = struct.Struct("<8xQ16xQ16x")
_SYMBOL: Final = struct.Struct("<IBBHQQ")


class BrokenElfError(ValueError):
    """The file begins as an ELF file and is none, or not a whole one."""


_SECTION_TYPE = struct.Struct("<4xI")
_VERDEF, _VERNEED = 0x6FFFFFFD, 0x6FFFFFFE
"""SHT_GNU_verdef, SHT_GNU_verneed."""


class ElfKind(StrEnum):
    """What the file is for."""

    PROGRAM = "program"
    """Can be run: names its loader, or has a fixed address."""
    LIBRARY = "library"
    OBJECT = "object"
    """Not linked, or without a dynamic section: the loader has nothing to do with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionNeed:
    """A symbol version that a file wants of a library."""

    library: str
    version: str
    weak: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Elf:
    """What the dynamic loader reads of a file."""

    kind: ElfKind
    machine: str
    """Architecture and word size, as `EM_X86_64/64`."""
    loader: str = ""
    """PT_INTERP."""
    soname: str = ""
    needed: tuple[str, ...] = ()
    rpath: tuple[str, ...] = ()
    runpath: tuple[str, ...] = ()
    needs: tuple[VersionNeed, ...] = ()
    defines: frozenset[str] = frozenset()
    """Symbol versions that it provides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Symbols:
    """Dynamic symbols by name."""

    defined: frozenset[str]
    undefined: frozenset[str]
    """That must be found, or the file does not load."""
    weak: frozenset[str]
    """That may be missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Where a section lies in the file."""

    name: str
    offset: int
    size: int


def read_elf(path: Path) -> Elf:
    """Read the facts of one file. Raises BrokenElfError."""
    with path.open("rb") as file:
        return _guarded(file, _facts)


def read_symbols(path: Path) -> Symbols:
    """Read the dynamic symbols of one 64-bit file. Raises BrokenElfError."""
    with path.open("rb") as file:
        return _guarded(file, _symbols)


def sections(path: Path) -> tuple[Section, ...]:
    """List the sections of one file. Raises BrokenElfError."""
    with path.open("rb") as file:
        return _guarded(
            file,
            lambda elf, _file: tuple(
                Section(name=part.name, offset=part["sh_offset"], size=part["sh_size"])
                for part in elf.iter_sections()
                if part["sh_type"] != "SHT_NOBITS"
            ),
        )


def _guarded(file: IO[bytes], read: Callable[[Any, IO[bytes]], T]) -> T:
    try:
        _refuse_cut(file)
        return read(ELFFile(file), file)
    except BrokenElfError:
        raise
    except _BROKEN as error:
        message = f"not a readable ELF file: {type(error).__name__}: {error}"
        raise BrokenElfError(message) from error


def _refuse_cut(file: IO[bytes]) -> None:
    """A file that ends before its own headers and segments do was cut while it was copied. 64-bit files alone."""
    size = os.fstat(file.fileno()).st_size
    head = file.read(_FILE_HEADER.size)
    if len(head) < _FILE_HEADER.size:
        message = f"cut: {size} bytes, its header alone has {_FILE_HEADER.size}"
        raise BrokenElfError(message)
    if head[4:6] != _64_BIT_LITTLE:
        file.seek(0)
        return
    programs, names, program_size, program_count, name_size, name_count = _FILE_HEADER.unpack(head)
    ends = [programs + program_size * program_count, names + name_size * name_count]
    if max(ends) <= size and program_size == _SEGMENT.size:
        file.seek(programs)
        ends += [
            start + count for start, count in _SEGMENT.iter_unpack(file.read(program_size * program_count))
        ]
    if max(ends) > size:
        message = f"cut: {size} bytes, its headers speak of {max(ends)}"
        raise BrokenElfError(message)
    file.seek(0)


def _facts(elf: Any, file: IO[bytes]) -> Elf:  # noqa: ANN401
    machine = f"{elf['e_machine']}/{elf.elfclass}"
    loader = next((part.get_interp_name() for part in elf.iter_segments("PT_INTERP")), "")
    dynamic = next(iter(elf.iter_segments("PT_DYNAMIC")), None)
    if not isinstance(dynamic, DynamicSegment):
        return Elf(kind=ElfKind.OBJECT, machine=machine)
    tags: dict[str, list[str]] = {}
    for tag in dynamic.iter_tags():
        name = tag.entry.d_tag
        if name in {"DT_NEEDED", "DT_SONAME", "DT_RPATH", "DT_RUNPATH"}:
            tags.setdefault(name, []).append(getattr(tag, name.removeprefix("DT_").lower()))
    program = elf["e_type"] == "ET_EXEC" or (bool(loader) and "DT_SONAME" not in tags)
    return Elf(
        kind=ElfKind.PROGRAM if program else ElfKind.LIBRARY,
        machine=machine,
        loader=loader,
        soname=next(iter(tags.get("DT_SONAME", ())), ""),
        needed=tuple(tags.get("DT_NEEDED", ())),
        rpath=_elements(tags.get("DT_RPATH", ())),
        runpath=_elements(tags.get("DT_RUNPATH", ())),
        needs=tuple(_needs(elf, file)),
        defines=frozenset(_defines(elf, file)),
    )


def _elements(paths: Any) -> tuple[str, ...]:  # noqa: ANN401
    return tuple(element for path in paths for element in path.split(":"))


def _sections_of_type(elf: Any, file: IO[bytes], number: int) -> Iterator[Any]:  # noqa: ANN401
    """Read the types by struct: pyelftools builds every section to find one, and an image has tens of thousands."""
    if elf.elfclass != _BITS or not elf.little_endian:
        yield from elf.iter_sections()
        return
    file.seek(elf["e_shoff"])
    table = file.read(elf["e_shentsize"] * elf["e_shnum"])
    for index in range(elf["e_shnum"]):
        if _SECTION_TYPE.unpack_from(table, index * elf["e_shentsize"])[0] == number:
            yield elf.get_section(index)


def _needs(elf: Any, file: IO[bytes]) -> Iterator[VersionNeed]:  # noqa: ANN401
    for section in _sections_of_type(elf, file, _VERNEED):
        if isinstance(section, GNUVerNeedSection):
            for library, versions in section.iter_versions():
                for version in versions:
                    yield VersionNeed(
                        library=str(library.name),
                        version=version.name,
                        weak=bool(version.entry.vna_flags & _WEAK),
                    )


def _defines(elf: Any, file: IO[bytes]) -> Iterator[str]:  # noqa: ANN401
    for section in _sections_of_type(elf, file, _VERDEF):
        if isinstance(section, GNUVerDefSection):
            for _, names in section.iter_versions():
                yield next(iter(names)).name


def _symbols(elf: Any, file: IO[bytes]) -> Symbols:  # noqa: ANN401
    """Read .dynsym by struct: pyelftools takes a second for what takes a hundredth."""
    table, names = elf.get_section_by_name(".dynsym"), elf.get_section_by_name(".dynstr")
    if table is None or names is None or elf.elfclass != _BITS or not elf.little_endian:
        message = "no dynamic symbol table that can be read"
        raise BrokenElfError(message)
    file.seek(names["sh_offset"])
    strings = file.read(names["sh_size"])
    file.seek(table["sh_offset"])
    defined, undefined, weak = set(), set(), set()
    for start, info, _other, section, _value, _size in _SYMBOL.iter_unpack(file.read(table["sh_size"])):
        name = strings[start : strings.index(b"\0", start)].decode(errors="backslashreplace")
        if not name or info >> 4 == 0:
            continue
        if section != _UNDEFINED:
            defined.add(name)
        elif info >> 4 == _BINDING_WEAK:
            weak.add(name)
        else:
            undefined.add(name)
    return Symbols(defined=frozenset(defined), undefined=frozenset(undefined), weak=frozenset(weak))
