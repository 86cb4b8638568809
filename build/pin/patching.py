"""Changes to installed packages, proven before a build: diffs against the files as published, patch sets at their commits."""

import os
import tempfile
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from build.doors.git import TreeIndex
from build.errors import BadRequest, WorkFailed
from build.pin.model import PinnedSet, PinnedSource
from build.pin.patches import apply_patch, prove_patches, touched
from build.pin.source import Sources
from build.recipe.model import GitSource, Recipe
from build.recipe.patchsets import PatchSet
from build.recipe.words import names

__all__ = ["Installed", "Patching"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """The files of packages as their publisher has them."""

    origin: str
    """What they are out of, as an address with the hash in it."""
    read: Callable[[Collection[str]], Mapping[str, bytes]]
    """Returns those of some paths below site-packages that are there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patching:
    """Proves and exports what the stage `patched` of a build reads."""

    sources: Sources

    def diffs(self, recipe: Recipe, pinned: PinnedSource, installed: Installed) -> PinnedSource:
        """Apply a recipe's patches to the installed files, and leave the files as they are then exported.

        Raises:
            PatchRefused: a patch does not apply exactly, is in the package already, or its target is gone.
        """
        if not recipe.patches:
            return pinned
        index = self._unpatched(recipe, installed)
        found = self._patched(recipe, pinned, index)
        self.sources.exports.write(index, found, ())
        index.discard()
        return found

    def sets(self, recipe: Recipe, packages: Collection[str] | None) -> tuple[PinnedSet, ...]:
        """Prove that the recipe's patch sets are there, have what is to be placed, and find what they need installed.

        `packages` are those of the lock; None where there is none, and the build looks for them in its image.

        Raises:
            Unreachable: a set's repository did not answer.
            CommitMissing: it answered and has no such commit.
            WorkFailed: the commit has no such folder or file.
            BadRequest: the lock lacks a package that the set needs.
        """
        return tuple(self._set(recipe, one, packages) for one in recipe.patch_sets)

    def contexts(self, pinned: PinnedSource, sets: tuple[PinnedSet, ...]) -> tuple[tuple[str, Path], ...]:
        """Return the folders that the stage reads, by the names that the Dockerfile has for them."""
        edits = (("edits", self.sources.folder(pinned)),) if pinned.patches else ()
        return (*edits, *((f"patchset-{one.name}", self.sources.folder(one.source)) for one in sets))

    def there(self, pinned: PinnedSource, sets: tuple[PinnedSet, ...]) -> bool:
        """Say whether everything that was exported is still there."""
        return all(folder.is_dir() for _, folder in self.contexts(pinned, sets))

    def prove(
        self, recipe: Recipe, pinned: PinnedSource, sets: tuple[PinnedSet, ...], installed: Installed
    ) -> None:
        """Hold what was exported against the pin, to the byte.

        Raises:
            WorkFailed: with what was pinned and what was found.
        """
        prove_patches(self.sources.patches, pinned)
        if pinned.patches:
            index = self._unpatched(recipe, installed)
            found, entries = self._patched(recipe, pinned, index), index.entries()
            index.discard()
            if found != pinned:
                message = f"{recipe.name}: its pin says that the patched files are {pinned.patched_tree}, they are {found.patched_tree}"
                raise WorkFailed(message, hint=f"delete pin.json in the folder of {recipe.name}")
            self.sources.exports.prove(pinned, entries)
        self.prove_sets(recipe, sets)

    def prove_sets(self, recipe: Recipe, sets: tuple[PinnedSet, ...]) -> None:
        """Hold the exported patch sets against the pin. Raises WorkFailed, with what was pinned and what was found."""
        for one, asked in zip(sets, recipe.patch_sets, strict=True):
            self.sources.prove(_as_source(recipe, asked), one.source)

    def _unpatched(self, recipe: Recipe, installed: Installed) -> TreeIndex:
        """Take the files that the patches name, as if they were a commit. Names that lead elsewhere are refused later."""
        texts = [(self.sources.patches / one.file).read_text("utf-8", "replace") for one in recipe.patches]
        wanted = {
            name
            for text in texts
            for name in touched(text)
            if ".." not in name.split("/") and not name.startswith("/")
        }
        mirror = self.sources.mirrors.mirror(installed.origin)
        index = self.sources.mirrors.index(mirror, mirror / f"index.{os.getpid()}")
        with tempfile.TemporaryDirectory(dir=mirror) as scratch:
            for name, data in installed.read(wanted).items():
                path = Path(scratch, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
            index.import_folder(Path(scratch))
        return index

    def _patched(self, recipe: Recipe, pinned: PinnedSource, index: TreeIndex) -> PinnedSource:
        tree = index.write_tree()
        proofs = tuple(
            apply_patch(index, self.sources.patches / one.file, file=one.file) for one in recipe.patches
        )
        return replace(pinned, tree=tree, patched_tree=index.write_tree(), links=(), patches=proofs)

    def _set(self, recipe: Recipe, one: PatchSet, packages: Collection[str] | None) -> PinnedSet:
        if packages is not None and (missing := sorted(set(one.requires).difference(packages))):
            message = f"{recipe.name}: the patch set {one.name} needs {names(missing)}, which the lock does not have"
            raise BadRequest(message, hint="name it in the lock's .in file, then nox -s pins")
        source = self.sources.pin(_as_source(recipe, one))
        _must_have(recipe, one, self.sources.folder(source))
        return PinnedSet(name=one.name, source=source, ours=self.ours(one))

    def ours(self, one: PatchSet) -> tuple[tuple[str, str], ...]:
        """Return the recipe's own files that a set is run with, as paths below patches/ and texts."""
        patches = self.sources.patches
        files = [patches / excluded.by for excluded in one.exclude]
        if one.helper:
            files += [path for path in (patches / one.helper).rglob("*") if path.is_file()]
        return tuple(
            (path.relative_to(patches).as_posix(), path.read_text(encoding="utf-8"))
            for path in sorted(set(files))
            if "__pycache__" not in path.parts
        )


def _as_source(recipe: Recipe, one: PatchSet) -> Recipe:
    """A patch set is proven and exported as any commit is."""
    source = GitSource(repo=one.repo, commit=one.commit, version=one.version)
    return replace(recipe, source=source, patches=())


def _must_have(recipe: Recipe, one: PatchSet, folder: Path) -> None:
    wanted = [(f"place {source}", source) for source, _ in one.place]
    if one.plugin:
        wanted.append((f"plugin {one.plugin}", f"{one.plugin}/pyproject.toml"))
    wanted += [(f"exclude {excluded.id}", _placed_from(one, excluded.file)) for excluded in one.exclude]
    for what, path in wanted:
        if not (folder / path).exists():
            message = (
                f"{recipe.name}: patch set {one.name}, {what}: {one.repo} has no {path} at {one.commit[:12]}"
            )
            raise WorkFailed(message, hint="the set moved or removed it: correct the recipe")


def _placed_from(one: PatchSet, installed: str) -> str:
    """Say which file of the set is placed at a path below site-packages."""
    for source, target in one.place:
        if installed == target or installed.startswith(f"{target}/"):
            return source + installed.removeprefix(target)
    return installed
