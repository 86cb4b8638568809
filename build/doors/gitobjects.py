"""Git's names for files on disk, computed from their bytes: git itself, its index and its mirrors need not be believed.

https://git-scm.com/book/en/v2/Git-Internals-Git-Objects
"""

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from build.errors import WorkFailed
from build.recipe.refs import Commit

__all__ = ["EMPTY", "LINK", "FolderTree", "Link", "committed_tree", "differences", "object_id", "read_folder"]

LINK = "160000"
"""The mode of an entry that names a commit of another repository."""
_REGULAR = "100"
"""How the mode of a regular file begins."""
_SHOWN = 5
_OPEN = 0o755


def object_id(kind: str, data: bytes) -> str:
    """Return the name that git gives to an object. Pure."""
    return hashlib.sha1(b"%s %d\0" % (kind.encode(), len(data)) + data, usedforsecurity=False).hexdigest()


EMPTY = object_id("tree", b"")
"""The tree without a file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """Where a tree only names a commit of another repository."""

    path: str
    commit: str
    tree: str
    """Of the files that lie there: the commit's, or the empty one where it is not fetched."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderTree:
    """A folder as git would name it."""

    id: str
    entries: Mapping[str, tuple[str, str]]
    """Mode and id of each file by its path, and of each link."""
    blobs: Mapping[str, str]
    """Id of each regular file by its path, also of those below links."""


def committed_tree(commit: Commit, data: bytes, mirror: Path) -> str:
    """Return the tree that a commit's own bytes name, once they have the commit's hash.

    Raises:
        WorkFailed: they have not.
    """
    if (found := object_id("commit", data)) != commit:
        message = f"{mirror} serves other bytes for the commit {commit}: they are those of {found}"
        raise WorkFailed(message, hint=f"delete {mirror}; it is then fetched again")
    return data.partition(b"\n")[0].decode().removeprefix("tree ")


def read_folder(folder: Path, links: tuple[Link, ...] = (), *, settled: bool = True) -> FolderTree:
    """Name what lies in a folder.

    `settled`: nothing but 0644 and 0755 has its mode, and no folder is empty; what breaks this gives another id. Without
    it modes count as git counts them when it adds files; empty folders and what is named .git do not.
    """
    entries: dict[str, tuple[str, str]] = {}
    blobs: dict[str, str] = {}
    known = {link.path: link for link in links}
    identity = _tree(folder, "", known, entries, blobs, settled=settled)
    return FolderTree(id=identity, entries=entries, blobs=blobs)


def _tree(
    folder: Path,
    prefix: str,
    links: Mapping[str, Link],
    entries: dict[str, tuple[str, str]],
    blobs: dict[str, str],
    *,
    settled: bool,
) -> str:
    found: list[tuple[bytes, str, bytes, str]] = []
    with os.scandir(folder) as listing:
        for entry in listing:
            # Git adds nothing of that name; archives made from a submodule hold a file of it.
            if entry.name == ".git" and not settled:
                continue
            path = f"{prefix}{entry.name}"
            name = os.fsencode(entry.name)
            if entry.is_dir(follow_symlinks=False):
                inner: dict[str, tuple[str, str]] = {}
                identity = _tree(Path(entry.path), f"{path}/", links, inner, blobs, settled=settled)
                link = links.get(path)
                if link:
                    identity = link.commit if identity == link.tree else identity
                    entries[path] = (LINK, identity)
                    found.append((name, LINK, name, identity))
                elif settled or identity != EMPTY:
                    entries.update(inner)
                    permissions = stat.S_IMODE(entry.stat(follow_symlinks=False).st_mode)
                    mode = "40000" if not settled or permissions == _OPEN else f"4{permissions:04o}"
                    if not inner or mode != "40000":
                        entries[f"{path}/"] = (mode, identity)
                    found.append((name + b"/", mode, name, identity))
            else:
                mode, identity = _file(entry, settled=settled)
                entries[path] = (mode, identity)
                if mode.startswith(_REGULAR):
                    blobs[path] = identity
                found.append((name, mode, name, identity))
    found.sort()
    return object_id("tree", b"".join(_line(mode, name, identity) for _, mode, name, identity in found))


def _line(mode: str, name: bytes, identity: str) -> bytes:
    return b"%s %s\0%s" % (mode.encode(), name, bytes.fromhex(identity))


def _file(entry: "os.DirEntry[str]", *, settled: bool) -> tuple[str, str]:
    status = entry.stat(follow_symlinks=False)
    if stat.S_ISLNK(status.st_mode):
        return "120000", object_id("blob", os.fsencode(os.readlink(entry.path)))  # noqa: PTH115  (a Path would tidy it)
    if not stat.S_ISREG(status.st_mode):
        # A pipe or a device: no tree has such a thing.
        return f"{status.st_mode:06o}", EMPTY
    permissions = stat.S_IMODE(status.st_mode)
    if not settled:
        permissions = 0o755 if permissions & 0o100 else 0o644
    with open(entry.path, "rb") as file:  # noqa: PTH123  (thousands of files: a Path for each is slow)
        return f"{_REGULAR}{permissions:03o}", object_id("blob", file.read())


def differences(wanted: Mapping[str, tuple[str, str]], found: Mapping[str, tuple[str, str]]) -> str:
    """Say which files differ, the first few by name. Pure."""
    known = set(wanted) | {f"{folder}/" for path in wanted for folder in PurePosixPath(path).parents}
    groups = {
        "changed": [path for path in found if path in known and wanted.get(path) != found[path]],
        "added": [path for path in found if path not in known],
        "removed": [path for path in wanted if path not in found],
    }
    return "; ".join(f"{word}: {', '.join(_first(paths))}" for word, paths in groups.items() if paths)


def _first(paths: list[str]) -> Iterator[str]:
    yield from sorted(paths)[:_SHOWN]
    if len(paths) > _SHOWN:
        yield f"{len(paths) - _SHOWN} more"
