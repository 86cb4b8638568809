"""The dynamic loader's search, as ld.so(8) describes it, over an image's files. Pure; nothing is loaded.

https://man7.org/linux/man-pages/man8/ld.so.8.html
"""

import fnmatch
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from build.image.tree import Entry, Kind, Rootfs, printable
from build.smoke.static.elf import Elf, ElfKind

__all__ = ["Loaded", "Loader", "configured_folders"]

_DEFAULTS: Final = (
    "/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64", "/lib", "/usr/lib",
)  # fmt: skip
_CACHE_MAGIC: Final = b"glibc-ld.so.cache1.1"
_CACHE_HEADER: Final = struct.Struct("<20sII20x")
_CACHE_ENTRY: Final = struct.Struct("<iIIIQ")
_INCLUDE_DEPTH: Final = 8


@dataclass(slots=True, kw_only=True)
class Loaded:
    """A file in a process, and what it brought in."""

    path: str
    origin: str
    """Folder that it was found in: what $ORIGIN stands for. Not that of the file which a link there points to."""
    elf: Elf
    parent: "Loaded | None" = None
    needs: dict[str, "Loaded"] = field(default_factory=dict)
    """What was found, by the name that was asked for."""
    injected: list[str] = field(default_factory=list)
    """What the container runtime will bring."""
    resident: dict[str, str] = field(default_factory=dict)
    """What is in the process already, and the path it was loaded from."""
    missing: dict[str, str] = field(default_factory=dict)
    """What was not found, and why."""

    def everything(self) -> Iterator["Loaded"]:
        """Yield this file and all that it brought in, in load order, each once."""
        queue, seen = [self], {id(self)}
        while queue:
            one = queue.pop(0)
            yield one
            fresh = [need for need in one.needs.values() if id(need) not in seen]
            seen.update(map(id, fresh))
            queue.extend(fresh)


@dataclass(slots=True, kw_only=True)
class Loader:
    """Finds libraries in one image."""

    rootfs: Rootfs
    elves: Mapping[str, Elf]
    broken: Mapping[str, str]
    library_path: tuple[str, ...]
    """LD_LIBRARY_PATH of the image, split."""
    workdir: str
    injected: tuple[str, ...]
    _cache: dict[str, list[str]] | None = field(init=False)
    _configured: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        self._cache = _read_cache(self.rootfs)
        self._configured = configured_folders(self.rootfs)

    def load(self, path: str, resident: Mapping[str, Loaded] | None = None) -> Loaded:
        """Load a program or a library and, breadth first, all that it needs.

        Args:
            path: of the file.
            resident: what is in the process already, by SONAME: the loader takes it for a name that it finds nowhere.
        """
        root = Loaded(path=path, origin=f"/{path}".rpartition("/")[0], elf=self.elves[path])
        known = {path.rpartition("/")[2]: root} | ({root.elf.soname: root} if root.elf.soname else {})
        queue = [root]
        while queue:
            one = queue.pop(0)
            for name in one.elf.needed:
                old = known.get(name)
                found = old or self._find(name, one)
                if isinstance(found, str):
                    if resident and name in resident:
                        one.needs[name] = known[name] = resident[name]
                        one.resident[name] = resident[name].path
                    elif name in self.injected:
                        one.injected.append(name)
                    else:
                        one.missing[name] = found
                    continue
                one.needs[name] = known[name] = known.setdefault(found.elf.soname or name, found)
                if old is None and known[name] is found:
                    queue.append(found)
        return root

    def _find(self, name: str, asker: Loaded) -> "Loaded | str":
        """Return the file that the loader would take, or why there is none."""
        passed_over = ""
        for candidate in self._candidates(name, asker):
            entry = self.rootfs.resolve(candidate, base=self.workdir)
            if entry is None:
                continue
            verdict = self._refuse(entry, asker)
            if verdict == "":
                folder = candidate.rpartition("/")[0]
                return Loaded(path=entry.path, origin=folder, elf=self.elves[entry.path], parent=asker)
            where = printable(candidate.lstrip("/"))
            if verdict.startswith("is for "):
                passed_over = f"{where} {verdict}"
                continue
            return f"{where} {verdict}"
        return passed_over or self._hint(name)

    def _refuse(self, entry: Entry, asker: Loaded) -> str:
        """Say why the loader cannot use a file; empty when it can."""
        if entry.kind is not Kind.FILE:
            return f"is a {entry.kind}"
        if entry.path in self.broken:
            return f"is {self.broken[entry.path]}"
        elf = self.elves.get(entry.path)
        if elf is None:
            return "is no ELF file" if entry.size else "is empty"
        if elf.machine != asker.elf.machine:
            return f"is for {elf.machine}, wanted is {asker.elf.machine}"
        return "is not a shared library" if elf.kind is ElfKind.OBJECT else ""

    def _candidates(self, name: str, asker: Loaded) -> Iterator[str]:
        if "/" in name:
            yield name
            return
        for folder in self._searched(asker):
            yield f"{folder}/{name}"
        if self._cache is None:
            yield from (f"{folder}/{name}" for folder in self._configured)
        else:
            yield from self._cache.get(name, ())
        yield from (f"{folder}/{name}" for folder in _DEFAULTS)

    def _searched(self, asker: Loaded) -> Iterator[str]:
        """Yield run paths and LD_LIBRARY_PATH in the loader's order."""
        if not asker.elf.runpath:
            one: Loaded | None = asker
            while one is not None:
                if not one.elf.runpath:
                    yield from _expanded(one.elf.rpath, one.origin)
                one = one.parent
        yield from (element or "." for element in self.library_path)
        yield from _expanded(asker.elf.runpath, asker.origin)

    def _hint(self, name: str) -> str:
        if self._cache is not None:
            for folder in self._configured:
                if self.rootfs.resolve(f"{folder}/{name}"):
                    return f"{folder} is in ld.so.conf and has it, but ldconfig was not run after"
        return "is nowhere in the image"


def configured_folders(rootfs: Rootfs) -> tuple[str, ...]:
    """Return the folders that ld.so.conf names, its include lines followed."""
    return tuple(dict.fromkeys(_configured(rootfs, "/etc/ld.so.conf", 0)))


def _configured(rootfs: Rootfs, path: str, depth: int) -> Iterator[str]:
    entry = rootfs.resolve(path)
    if entry is None or depth > _INCLUDE_DEPTH:
        return
    for raw in entry.read_text().splitlines():
        line = raw.partition("#")[0].strip()
        word, _, pattern = line.partition(" ")
        if word == "include":
            folder, _, names = pattern.strip().rpartition("/")
            for child in rootfs.folder(folder if folder.startswith("/") else f"/etc/{folder}"):
                if fnmatch.fnmatchcase(child.path.rpartition("/")[2], names):
                    yield from _configured(rootfs, f"/{child.path}", depth + 1)
        elif line.startswith("/"):
            yield line.rstrip("/")


def _expanded(elements: tuple[str, ...], origin: str) -> Iterator[str]:
    for element in elements:
        text = element
        for token, value in (("ORIGIN", origin), ("LIB", "lib/x86_64-linux-gnu"), ("PLATFORM", "x86_64")):
            text = text.replace(f"${{{token}}}", value).replace(f"${token}", value)
        yield text or "."


def _read_cache(rootfs: Rootfs) -> dict[str, list[str]] | None:
    """Read ld.so.cache: name to paths, in order. None when there is none that can be read."""
    entry = rootfs.resolve("/etc/ld.so.cache")
    content: Path | None = entry.content if entry else None
    data = content.read_bytes() if content else b""
    start = data.find(_CACHE_MAGIC)
    if start < 0 or len(data) < start + _CACHE_HEADER.size:
        return None
    _, count, _ = _CACHE_HEADER.unpack_from(data, start)
    names: dict[str, list[str]] = {}
    for number in range(count):
        offset = start + _CACHE_HEADER.size + number * _CACHE_ENTRY.size
        if offset + _CACHE_ENTRY.size > len(data):
            return None
        _, key, value, _, _ = _CACHE_ENTRY.unpack_from(data, offset)
        names.setdefault(_text(data, start + key), []).append(_text(data, start + value))
    return names


def _text(data: bytes, offset: int) -> str:
    end = data.find(b"\0", offset)
    return data[offset : end if end >= 0 else len(data)].decode(errors="surrogateescape")
