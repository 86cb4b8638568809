"""The source, proven: the commit exists, its tree is known, patches apply exactly; then exported for the build."""

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from build.doors import store
from build.doors.bakefile import EPOCH
from build.doors.effects import Reporter
from build.doors.git import CommitMissing, GitMirrors, Submodule, TreeIndex
from build.errors import BadRequest, WorkFailed
from build.pin.archive import fetch_archive
from build.pin.model import PatchProof, PinnedSource
from build.pin.patches import apply_patch
from build.pin.sample import ensure_sample, is_sample
from build.recipe.model import GitSource, PackagesSource, Patch, Recipe, SdistSource
from build.recipe.refs import Commit
from build.recipe.words import quoted, shown
from build.recipe.words import url as url_findings

__all__ = ["Sources", "settle"]


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
            case PackagesSource():
                message = f"{recipe.name}: sources of kind `packages` have no tree to compile"
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

    def folder(self, source: PinnedSource) -> Path:
        """Return where a pinned source is exported, patches applied."""
        modules = store.sha256_text(store.canonical_json([list(pair) for pair in source.submodules]))[:12]
        suffix = f"-{modules}" if source.submodules else ""
        return self.cache / "sources" / f"{source.patched_tree}{suffix}"

    def _from_git(self, recipe: Recipe, wanted: GitSource) -> PinnedSource:
        mirror = self._mirrored(wanted)
        modules: tuple[tuple[str, str, str], ...] = ()
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
            patches=proofs,
        )
        self._export(index, pinned, modules)
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
            patches=proofs,
        )
        self._export(index, pinned, ())
        return pinned

    def _unpacked(self, wanted: SdistSource) -> tuple[Path, str, str]:
        """Take a source archive as if it were a commit: its files become a tree in a repository of their own."""
        scratch = self.mirrors.mirror(f"sdist://{wanted.sdist}/{wanted.sha256}")
        marker = scratch / "ingot-tree"
        if not marker.exists():
            with self.reporter.step(f"fetch {wanted.sdist}"), fetch_archive(wanted, self.cache) as unpacked:
                index = self.mirrors.index(scratch, scratch / f"index.{os.getpid()}")
                index.import_folder(unpacked.folder)
                store.write_text(marker, f"{index.write_tree()} {unpacked.newest}")
        tree, _, committed_at = marker.read_text(encoding="utf-8").partition(" ")
        return scratch, tree, committed_at

    def _patched(
        self, mirror: Path, tree: str, patches: tuple[Patch, ...]
    ) -> tuple[TreeIndex, tuple[PatchProof, ...]]:
        index = self.mirrors.index(mirror, mirror / f"index.{os.getpid()}")
        index.read(tree)
        proofs = tuple(apply_patch(index, self.patches / patch.file, file=patch.file) for patch in patches)
        return index, proofs

    def _submodules(
        self, base: str, mirror: Path, commit: Commit, *, prefix: str
    ) -> tuple[tuple[str, str, str], ...]:
        found: list[tuple[str, str, str]] = []
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

    def _export(
        self, index: TreeIndex, pinned: PinnedSource, modules: tuple[tuple[str, str, str], ...]
    ) -> None:
        folder = self.folder(pinned)
        with store.locked(folder.with_name(f".{folder.name}.lock")):
            if not folder.is_dir():
                part = folder.with_name(f".{folder.name}.part")
                store.discard(part)
                index.export(part)
                for path, commit, url in modules:
                    mirror = self.mirrors.mirror(url)
                    inner = self.mirrors.index(mirror, mirror / f"index.{os.getpid()}")
                    inner.read(commit)
                    if (part / path).resolve() != part.resolve() / path:
                        message = f"the submodule {shown(path)} of {pinned.url} lies behind a symbolic link"
                        raise WorkFailed(message, hint="it would be written elsewhere; say submodules: false")
                    inner.export(part / path)
                    inner.discard()
                settle(part)
                part.rename(folder)
        index.discard()


def settle(folder: Path) -> None:
    """Give every file the constant time and a mode that does not depend on the umask, so that copies are equal."""
    for path in (folder, *folder.rglob("*")):
        if path.is_symlink():
            os.utime(path, (EPOCH, EPOCH), follow_symlinks=False)
            continue
        executable = path.is_dir() or bool(path.stat().st_mode & 0o100)
        path.chmod(0o755 if executable else 0o644)
        os.utime(path, (EPOCH, EPOCH))
