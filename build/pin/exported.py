"""Exports: the pinned files below the cache that a build reads, written once, and held against their pin before each build."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from build.doors import store
from build.doors.bakefile import EPOCH
from build.doors.git import GitMirrors, TreeIndex
from build.doors.gitobjects import EMPTY, LINK, FolderTree, Link, differences, read_folder
from build.errors import WorkFailed
from build.pin.model import PinnedSource
from build.recipe.refs import Commit
from build.recipe.words import shown

__all__ = ["Exports", "Module", "date", "served", "settle"]

_SECOND_NS = 1_000_000_000

Module = tuple[str, str, str]
"""A submodule: path, commit, URL."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exports:
    """Writes and proves them. No file is believed: neither those of the cache nor the objects of a mirror."""

    mirrors: GitMirrors
    cache: Path

    def folder(self, source: PinnedSource) -> Path:
        """Return where a pinned source is exported, patches applied."""
        modules = store.sha256_text(store.canonical_json([list(pair) for pair in source.submodules]))[:12]
        suffix = f"-{modules}" if source.submodules else ""
        return self.cache / "sources" / f"{source.patched_tree}{suffix}"

    def links(self, index: TreeIndex, modules: tuple[Module, ...]) -> tuple[Link, ...]:
        """Say what is to lie where the tree only names commits: submodules, and empty folders for those not fetched."""
        fetched = frozenset(path for path, _, _ in modules)
        found = _unfetched(index, fetched)
        for path, commit, url in modules:
            mirror = self.mirrors.mirror(url)
            tree = self.mirrors.tree(mirror, Commit(commit))
            inner = self._index(mirror, tree)
            found += (Link(path=path, commit=commit, tree=tree), *_unfetched(inner, fetched, f"{path}/"))
            inner.discard()
        return found

    def write(self, index: TreeIndex, pinned: PinnedSource, modules: tuple[Module, ...]) -> None:
        """Write the files of an index as the pin's export, where it is not there.

        Raises:
            WorkFailed: a mirror has other files than those of the ids they were asked for by.
        """
        folder = self.folder(pinned)
        with store.locked(folder.with_name(f".{folder.name}.lock")):
            if folder.is_dir():
                return
            part = folder.with_name(f".{folder.name}.part")
            if pinned.patched_tree != pinned.tree:
                # Git takes what it patches out of the mirror unread: its files are proven before.
                base = self._index(index.mirror, pinned.tree)
                self._write(part, base, pinned, ())
                self._prove_written(part, pinned.tree, _unfetched(base, frozenset()), index.mirror, ())
                base.discard()
            self._write(part, index, pinned, modules)
            found = self._prove_written(part, pinned.patched_tree, pinned.links, index.mirror, modules)
            date(part, found)
            part.rename(folder)

    def prove(self, pinned: PinnedSource, wanted: Mapping[str, tuple[str, str]] | None) -> None:
        """Refuse an export whose files are not those of the pinned tree, to the byte and the mode. `wanted` names them.

        Raises:
            WorkFailed: a file was changed, added or removed.
        """
        folder = self.folder(pinned)
        found = read_folder(folder, pinned.links)
        if found.id != pinned.patched_tree:
            words = differences(wanted, found.entries) if wanted is not None else ""
            message = (
                f"{folder} was changed after it was pinned: its files are those of the tree {found.id}, "
                f"the pin says {pinned.patched_tree}{f' ({words})' if words else ''}"
            )
            raise WorkFailed(message, hint=f"delete {folder}; it is then exported again")
        date(folder, found)

    def _index(self, mirror: Path, tree: str) -> TreeIndex:
        index = self.mirrors.index(mirror, mirror / f"index.{os.getpid()}.inner")
        index.read(tree)
        return index

    def _write(self, part: Path, index: TreeIndex, pinned: PinnedSource, modules: tuple[Module, ...]) -> None:
        store.discard(part)
        index.export(part)
        for path, commit, url in modules:
            mirror = self.mirrors.mirror(url)
            inner = self._index(mirror, self.mirrors.tree(mirror, Commit(commit)))
            if (part / path).resolve() != part.resolve() / path:
                message = f"the submodule {shown(path)} of {pinned.url} lies behind a symbolic link"
                raise WorkFailed(message, hint="it would be written elsewhere; say submodules: false")
            inner.export(part / path)
            inner.discard()
        settle(part)

    def _prove_written(
        self, part: Path, tree: str, links: tuple[Link, ...], mirror: Path, modules: tuple[Module, ...]
    ) -> FolderTree:
        found = read_folder(part, links)
        if found.id == tree:
            return found
        trees = {link.path: link.tree for link in links}
        for path, commit, url in sorted(modules, reverse=True):
            prefix = f"{path}/"
            below = (link for link in links if link.path.startswith(prefix))
            inside = tuple(replace(link, path=link.path.removeprefix(prefix)) for link in below)
            inner = read_folder(part / path, inside)
            if inner.id != trees[path]:
                raise served(self.mirrors.mirror(url), commit, inner.id, trees[path])
        raise served(mirror, tree, found.id, tree)


def served(mirror: Path, what: str, found: str, wanted: str) -> WorkFailed:
    """Say that a mirror has other files than those that were asked for."""
    message = f"{mirror} serves other files for {what}: they are those of the tree {found}, not of {wanted}"
    return WorkFailed(message, hint=f"delete {mirror}; it is then fetched again")


def settle(folder: Path) -> None:
    """Give every file and folder a mode that does not depend on the umask."""
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            executable = path.is_dir() or bool(path.stat().st_mode & 0o100)
            path.chmod(0o755 if executable else 0o644)


def date(folder: Path, found: FolderTree) -> None:
    """Give every file a time that depends on its bytes alone, by the name that it was `found` to have.

    BuildKit keeps what a build sent it and asks only for files whose size, mode or time are others, also when they come
    from another folder: under one constant time it would compile an older file of the same length. All these times are
    later than the epoch, to which layers are clamped.
    """
    for path in (folder, *folder.rglob("*")):
        time_ns = EPOCH * _SECOND_NS
        if blob := found.blobs.get(path.relative_to(folder).as_posix()):
            time_ns += (1 + int(blob[:7], 16)) * _SECOND_NS + int(blob[7:14], 16)
        os.utime(path, ns=(time_ns, time_ns), follow_symlinks=False)


def _unfetched(index: TreeIndex, fetched: frozenset[str], prefix: str = "") -> tuple[Link, ...]:
    """List where an index names commits that are not fetched: an empty folder stands for each."""
    return tuple(
        Link(path=prefix + path, commit=identity, tree=EMPTY)
        for path, (mode, identity) in index.entries().items()
        if mode == LINK and prefix + path not in fetched
    )
