"""The source, proven: the commit exists, its tree is known, patches apply exactly; then exported for the build."""

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from build.doors import store
from build.doors.effects import Reporter
from build.doors.git import CommitMissing, GitMirrors, Submodule, TreeIndex
from build.doors.gitobjects import read_folder
from build.errors import BadRequest, WorkFailed
from build.pin.archive import fetch_archive, prove_archive
from build.pin.exported import Exports, Module, served
from build.pin.model import PatchProof, PinnedSource
from build.pin.patches import apply_patch, prove_patches
from build.pin.sample import ensure_sample, is_sample
from build.recipe.model import GitSource, PackagesSource, Patch, Recipe, SdistSource, VendorSource
from build.recipe.refs import Commit
from build.recipe.words import quoted, shown
from build.recipe.words import url as url_findings

__all__ = ["Sources"]

_MARKER = "ingot-tree"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Fetches, proves and exports sources below the cache."""

    mirrors: GitMirrors
    cache: Path
    patches: Path
    samples: Path
    reporter: Reporter

    def pin(self, recipe: Recipe) -> PinnedSource:
        """Prove a recipe's source and leave it exported.

        Raises:
            Unreachable: upstream did not answer.
            BadRequest: the pin names something that is not there.
            PatchRefused: a patch does not apply.
        """
        match recipe.source:
            case GitSource():
                return self._from_git(recipe, recipe.source)
            case SdistSource():
                return self._from_sdist(recipe, recipe.source)
            case PackagesSource() | VendorSource():
                message = f"{recipe.name}: wheels and images have no tree to compile"
                raise BadRequest(message)

    def tree(self, source: GitSource | SdistSource) -> tuple[Path, str]:
        """Return the mirror that holds a source, fetched if it is not there, and the id of its tree."""
        match source:
            case GitSource():
                mirror = self._mirrored(source)
                return mirror, self.mirrors.tree(mirror, source.commit)
            case SdistSource():
                scratch, tree, _ = self._unpacked(source)
                return scratch, tree

    @property
    def exports(self) -> Exports:
        """What is written below the cache for builds to read."""
        return Exports(mirrors=self.mirrors, cache=self.cache)

    def folder(self, source: PinnedSource) -> Path:
        """Return where a pinned source is exported, patches applied."""
        return self.exports.folder(source)

    def prove(self, recipe: Recipe, pinned: PinnedSource) -> None:
        """Refuse to go on where what a build is about to read is not what was pinned. Asks no remote.

        Raises:
            WorkFailed: with the hash that was pinned and the one that was found.
        """
        prove_patches(self.patches, pinned)
        wanted: dict[str, tuple[str, str]] | None = None
        match recipe.source:
            case GitSource(repo=repo, commit=commit):
                mirror = self.mirrors.mirror(repo)
                if self.mirrors.has(mirror, commit):
                    wanted = self._prove_trees(recipe, pinned, mirror, self.mirrors.tree(mirror, commit))
            case SdistSource():
                prove_archive(recipe.source, self.cache)
                if known := self._known_archive(recipe.source):
                    wanted = self._prove_trees(recipe, pinned, *known[:2])
            case PackagesSource() | VendorSource():
                return
        self.exports.prove(pinned, wanted)

    def _prove_trees(
        self, recipe: Recipe, pinned: PinnedSource, mirror: Path, tree: str
    ) -> dict[str, tuple[str, str]]:
        """Compare both trees of a pin with the mirror's. Returns the files of the patched one."""
        index, _ = self._patched(mirror, tree, recipe.patches)
        patched, entries = index.write_tree(), index.entries()
        index.discard()
        pairs = (("tree", pinned.tree, tree), ("patched tree", pinned.patched_tree, patched))
        for what, said, found in pairs:
            if said != found:
                message = f"{recipe.name}: its pin says that the {what} is {said}, {mirror} has {found}"
                hint = f"delete pin.json in the folder of {recipe.name}; if {mirror} was changed, delete that"
                raise WorkFailed(message, hint=hint)
        return entries

    def _from_git(self, recipe: Recipe, wanted: GitSource) -> PinnedSource:
        mirror = self._mirrored(wanted)
        modules: tuple[Module, ...] = ()
        if wanted.submodules:
            modules = self._submodules(wanted.repo, mirror, wanted.commit, prefix="")
        tree = self.mirrors.tree(mirror, wanted.commit)
        index, proofs = self._patched(mirror, tree, recipe.patches)
        pinned = PinnedSource(
            url=wanted.repo,
            commit=wanted.commit,
            committed_at=self.mirrors.committed_at(mirror, wanted.commit),
            tree=tree,
            patched_tree=index.write_tree(),
            submodules=tuple((path, commit) for path, commit, _ in modules),
            links=self.exports.links(index, modules),
            patches=proofs,
        )
        self.exports.write(index, pinned, modules)
        index.discard()
        return pinned

    def _mirrored(self, wanted: GitSource) -> Path:
        if is_sample(wanted.repo):
            ensure_sample(wanted.repo, self.samples, self.cache)
        mirror = self.mirrors.mirror(wanted.repo)
        if not self.mirrors.has(mirror, wanted.commit):
            with self.reporter.step(f"fetch {wanted.repo} at {wanted.commit[:12]}"):
                self._fetch(wanted)
        return mirror

    def _fetch(self, wanted: GitSource) -> None:
        try:
            self.mirrors.fetch(wanted.repo, wanted.commit)
        except CommitMissing as error:
            if not is_sample(wanted.repo):
                raise
            # A sample is committed from the tree as it is: nobody rewrote a branch, its files were changed.
            message = f"{error.message}: the sample's files were changed, so it is another commit now"
            raise CommitMissing(message, hint="take the new one: nox -s pins -- samples") from error

    def _from_sdist(self, recipe: Recipe, wanted: SdistSource) -> PinnedSource:
        scratch, tree, committed_at = self._unpacked(wanted)
        index, proofs = self._patched(scratch, tree, recipe.patches)
        pinned = PinnedSource(
            url=wanted.upstream,
            commit=wanted.commit,
            committed_at=f"{wanted.committed}T00:00:00Z" if wanted.committed else committed_at,
            tree=tree,
            patched_tree=index.write_tree(),
            archive_sha256=wanted.sha256,
            links=(),
            patches=proofs,
        )
        if not self.folder(pinned).is_dir():
            self._prove_unpacked(wanted, scratch, tree)
        self.exports.write(index, pinned, ())
        index.discard()
        return pinned

    def _prove_unpacked(self, wanted: SdistSource, scratch: Path, tree: str) -> None:
        """Ask the archive again what it was unpacked to: its hash is the recipe's, the repository's names are not."""
        with fetch_archive(wanted, self.cache) as unpacked:
            found = read_folder(unpacked.folder, settled=False).id
        if found != tree:
            raise served(scratch, wanted.sdist, tree, found)

    def _unpacked(self, wanted: SdistSource) -> tuple[Path, str, str]:
        """Take a source archive as if it were a commit: its files become a tree in a repository of their own."""
        scratch = self.mirrors.mirror(f"sdist://{wanted.sdist}/{wanted.sha256}")
        if known := self._known_archive(wanted):
            return known
        with self.reporter.step(f"fetch {wanted.sdist}"), fetch_archive(wanted, self.cache) as unpacked:
            index = self.mirrors.index(scratch, scratch / f"index.{os.getpid()}")
            index.import_folder(unpacked.folder)
            tree, committed_at = index.write_tree(), unpacked.newest
            store.write_text(scratch / _MARKER, f"{tree} {committed_at}")
        return scratch, tree, committed_at

    def _known_archive(self, wanted: SdistSource) -> tuple[Path, str, str] | None:
        """Return the repository of an archive that was unpacked before, its tree and its date."""
        scratch = self.mirrors.mirror(f"sdist://{wanted.sdist}/{wanted.sha256}")
        if not (scratch / _MARKER).exists():
            return None
        tree, _, committed_at = (scratch / _MARKER).read_text(encoding="utf-8").partition(" ")
        return scratch, tree, committed_at

    def _patched(
        self, mirror: Path, tree: str, patches: tuple[Patch, ...]
    ) -> tuple[TreeIndex, tuple[PatchProof, ...]]:
        index = self.mirrors.index(mirror, mirror / f"index.{os.getpid()}")
        index.read(tree)
        proofs = tuple(apply_patch(index, self.patches / patch.file, file=patch.file) for patch in patches)
        return index, proofs

    def _submodules(self, base: str, mirror: Path, commit: Commit, *, prefix: str) -> tuple[Module, ...]:
        found: list[Module] = []
        for module in self.mirrors.submodules(mirror, commit, base=base):
            self._must_be_public(module, base)
            with self.reporter.step(f"fetch submodule {prefix}{module.path} at {module.commit[:12]}"):
                inner = self.mirrors.fetch(module.url, module.commit)
            path = prefix + module.path
            found.append((path, module.commit, module.url))
            found += self._submodules(module.url, inner, module.commit, prefix=f"{path}/")
        return tuple(found)

    def _must_be_public(self, module: Submodule, base: str) -> None:
        """Refuse addresses of this machine: upstream writes .gitmodules, and may not choose what we read here.

        An address that INGOT_GIT_MIRROR replaces was foreseen by the user; it must not lead out of what replaces it.
        """
        # Git decodes %2e in file:// addresses.
        if ".." in unquote(module.url).replace("\\", "/").split("/"):
            fault, hint = (
                f"{quoted(module.url)} leads out of its folder",
                "only whole https:// URLs are fetched",
            )
        elif self.mirrors.location(module.url) != module.url:
            return
        else:
            finding = next(url_findings("url", module.url), None)
            if finding is None:
                return
            fault, hint = finding.message, finding.hint
        message = f"the submodule {shown(module.path)} of {base}: {fault}"
        raise WorkFailed(message, hint=f"{hint}; or say submodules: false")
