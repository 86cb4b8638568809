"""What changed in a tree of files since it was last looked at, by git's names of their bytes. Reads; writes nothing."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from .orders import FileChange

__all__ = ["UNREAD", "Watched", "file_id"]

_LARGEST = 4 << 20
_COMPILED = "__pycache__"
UNREAD = "not read"
"""Stands for the id of a file that was too big to be source when the watch began."""

Identity = tuple[int, int, int, int]


def _object_id(data: bytes) -> str:
    """Return the name that git gives to a file's bytes: `git hash-object` prints the same, and pins have it."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def file_id(path: Path) -> str:
    """Return the name of a file's bytes, or nothing where there is no such file."""
    try:
        return _object_id(path.read_bytes())
    except FileNotFoundError:
        return ""


class Watched:
    """A folder whose changes are asked for. Byte code is left out: it is made anew from its source."""

    def __init__(self, root: Path, site: Path) -> None:
        self._root = root
        self._site = site
        self._seen = dict(self._look())
        self._hashes = {
            path: UNREAD if identity[1] > _LARGEST else self._hash(path)
            for path, identity in self._seen.items()
        }

    def changes(self) -> tuple[FileChange, ...]:
        """Return what changed since the last question."""
        now = dict(self._look())
        doubtful = [path for path in {**self._seen, **now} if self._seen.get(path) != now.get(path)]
        self._seen = now
        found = []
        for path in sorted(doubtful):
            before = self._hashes.pop(path, "")
            after = self._hash(path) if path in now else ""
            if after:
                self._hashes[path] = after
            if after != before:
                found.append(FileChange(path=self._name(path), before=before, after=after))
        return tuple(found)

    def _hash(self, path: str) -> str:
        if os.path.islink(path):  # noqa: PTH114  (text is what is walked)
            return _object_id(os.readlink(path).encode())  # noqa: PTH115
        return file_id(Path(path))

    def _name(self, path: str) -> str:
        """Name a file as the ledger does: below site-packages without a leading slash, elsewhere whole."""
        whole = Path(path)
        return whole.relative_to(self._site).as_posix() if whole.is_relative_to(self._site) else path

    def _look(self) -> Iterator[tuple[str, Identity]]:
        # The change time cannot be set back, and a file that is written anew has another inode.
        for folder, folders, files in os.walk(self._root):
            folders[:] = [name for name in folders if name != _COMPILED]
            links = [name for name in folders if os.path.islink(f"{folder}/{name}")]  # noqa: PTH114
            for name in (*files, *links):
                path = f"{folder}/{name}"
                facts = os.lstat(path)
                yield path, (facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns)
