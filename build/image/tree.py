"""A root file system in memory: entries by path, stacked layer by layer, links followed inside the root only. Pure.

A path is written as in a tar, without a leading slash; the root is the empty path.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Final

from build.doors.jsonvalues import MalformedError

__all__ = ["MAX_LINKS", "Entry", "Kind", "Rootfs", "printable"]

MAX_LINKS: Final = 40
"""Links that Linux follows in one lookup before it says ELOOP."""


class Kind(StrEnum):
    """What an entry is."""

    FILE = "file"
    FOLDER = "folder"
    SYMLINK = "symlink"
    DEVICE = "device"
    """A device node or a pipe."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One path of the root file system. A hard link is an entry of its own with the content of its target."""

    path: str
    kind: Kind
    mode: int
    uid: int
    gid: int
    mtime: float
    layer: int
    """Number of the layer that it came with, from 0."""
    size: int = 0
    target: str = ""
    """Where a symbolic link points."""
    source: str = ""
    """The path that a hard link was made from."""
    content: Path | None = None
    """Where the bytes are, while the root file system is open; None when they were not asked for."""
    head: bytes = b""
    """The first four bytes of a file."""
    capability: bool = False
    """Carries file capabilities, which give rights as a setuid bit does."""

    def read_text(self) -> str:
        """Return the kept bytes as text; bytes that are not UTF-8 are shown as escapes."""
        return "" if self.content is None else self.content.read_bytes().decode(errors="backslashreplace")


def printable(path: str) -> str:
    """Render a path for a message: absolute, bytes that are not UTF-8 and control characters as escapes."""
    shown = path.encode(errors="surrogateescape").decode(errors="backslashreplace")
    return "/" + "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in shown)


@dataclass(slots=True)
class Rootfs:
    """The stack of layers. Filled by the reader, only looked at by everyone else."""

    count: int = 0
    """Entries of all layers, hidden ones included."""
    _entries: dict[str, Entry] = field(default_factory=dict, repr=False)
    _children: dict[str, set[str]] = field(default_factory=dict, repr=False)
    _history: list[Entry] = field(default_factory=list, repr=False)

    def __iter__(self) -> Iterator[Entry]:
        """Yield what a container would see, sorted by path."""
        return (self._entries[path] for path in sorted(self._entries))

    def history(self) -> tuple[Entry, ...]:
        """Return the entries of every layer in order, those that a later layer hides included."""
        return tuple(self._history)

    def get(self, path: str) -> Entry | None:
        """Return the entry of exactly this path; no link is followed."""
        return self._entries.get(path.strip("/"))

    def folder(self, path: str) -> tuple[Entry, ...]:
        """Return what lies in a folder, sorted by name; links to folders are followed."""
        entry = self.resolve(path) if path.strip("/") else None
        where = entry.path if entry else path.strip("/")
        return tuple(self._entries[child] for child in sorted(self._children.get(where, ())))

    def resolve(self, path: str, *, base: str = "") -> Entry | None:
        """Follow a path and every link in it. None when it leads nowhere, through a file, or round in a circle.

        Args:
            path: absolute, or relative to `base`.
            base: folder that a relative path starts from.
        """
        where = self._walk(path if path.startswith("/") else f"{base}/{path}")
        return None if where is None else self._entries.get(where)

    def put(self, entry: Entry) -> None:
        """Lay an entry over what is there; a folder keeps what lies in it, everything else replaces."""
        entry = replace(entry, path=self._place(entry.path, entry.layer))
        old = self._entries.get(entry.path)
        if old is not None and not (old.kind is Kind.FOLDER and entry.kind is Kind.FOLDER):
            self._drop(entry.path)
        self.count += 1
        self._history.append(entry)
        if entry.path:
            self._enter(entry)

    def link(self, path: str, source: str, layer: int, mtime: float) -> None:
        """Enter a hard link. Raises MalformedError when its source is not there."""
        place = self._place(source, layer)
        origin = self._entries.get(place)
        if origin is None or origin.kind is Kind.FOLDER:
            message = f"{path!r} is a hard link to {source!r}, which is not there"
            raise MalformedError(message)
        self.put(replace(origin, path=path, layer=layer, mtime=mtime, source=origin.source or place))

    def hide(self, path: str, layer: int) -> None:
        """Remove what earlier layers have at a path (a whiteout); this layer's own entries stay."""
        where = self._place(path, layer)
        self._prune([*self._below(where), where], layer)

    def hide_below(self, path: str, layer: int) -> None:
        """Remove what earlier layers have in a folder (an opaque whiteout); this layer's own entries stay."""
        where = self._walk(path)
        if where is not None:
            self._prune(self._below(where), layer)

    def _below(self, path: str) -> list[str]:
        """Return everything below a path, children before their parents."""
        pending = [path]
        found: list[str] = []
        while pending:
            children = self._children.get(pending.pop(), ())
            found.extend(children)
            pending.extend(children)
        return found[::-1]

    def _prune(self, paths: list[str], layer: int) -> None:
        for path in paths:
            entry = self._entries.get(path)
            if entry is not None and entry.layer < layer and not self._children.get(path):
                self._drop(path)

    def _place(self, path: str, layer: int) -> str:
        """Return the path with the links of its parent folders followed; missing folders are made."""
        parent, _, name = path.rpartition("/")
        if not name:
            return path
        where = self._walk(parent)
        if where is None:
            message = f"the folder of {path!r} cannot be reached"
            raise MalformedError(message)
        self._make_folders(where, layer)
        return f"{where}/{name}".lstrip("/")

    def _make_folders(self, path: str, layer: int) -> None:
        built = ""
        for part in path.split("/") if path else ():
            built = f"{built}/{part}".lstrip("/")
            old = self._entries.get(built)
            if old is None:
                self._enter(
                    Entry(path=built, kind=Kind.FOLDER, mode=0o755, uid=0, gid=0, mtime=0, layer=layer)
                )
            elif old.kind is not Kind.FOLDER:
                message = f"{built!r} is a {old.kind} and has something below it"
                raise MalformedError(message)

    def _walk(self, path: str) -> str | None:
        """Resolve links from the root; parts that do not exist are taken as they are."""
        todo = [part for part in reversed(path.split("/")) if part not in {"", "."}]
        done: list[str] = []
        links = 0
        while todo:
            part = todo.pop()
            if part == "..":
                done = done[:-1]
                continue
            entry = self._entries.get("/".join([*done, part]))
            if entry is None or entry.kind is not Kind.SYMLINK:
                if todo and entry is not None and entry.kind is not Kind.FOLDER:
                    return None
                done.append(part)
                continue
            links += 1
            if links > MAX_LINKS:
                return None
            if entry.target.startswith("/"):
                done = []
            todo.extend(piece for piece in reversed(entry.target.split("/")) if piece not in {"", "."})
        return "/".join(done)

    def _enter(self, entry: Entry) -> None:
        self._entries[entry.path] = entry
        self._children.setdefault(entry.path.rpartition("/")[0], set()).add(entry.path)

    def _drop(self, path: str) -> None:
        """Remove a path and everything below it."""
        pending = [path]
        while pending:
            where = pending.pop()
            pending.extend(self._children.pop(where, ()))
            self._entries.pop(where, None)
        self._children.get(path.rpartition("/")[0], set()).discard(path)
