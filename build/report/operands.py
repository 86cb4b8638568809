"""What a person may name as one side of a comparison, and the facts that it stands for.

A recipe's artifacts below out/, a folder of artifacts, a reference in a registry, or `published`: the image of the other
side's recipe that was pushed last.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from build.doors import store
from build.doors.between import Between, HistoryMissing, find_mirrors, read_history
from build.doors.effects import Reporter
from build.doors.git import GitMirrors
from build.doors.registry import parse_reference
from build.errors import BadRequest, NothingSelected, WorkFailed
from build.image.layout import Layout, open_layout
from build.image.model import BuiltImage
from build.publish.kept import DIFFERENCE, PUBLISHED
from build.publish.pulled import BlobSource, image_manifest, pull
from build.recipe.model import Driver
from build.recipe.refs import Commit, Digest
from build.report.compare import compare
from build.report.difference import Difference
from build.report.facts import ImageFacts, Kernels, Missing, SourceFacts, kernels_in, labelled, read_facts
from build.smoke.model import Expectations, Outcome
from build.smoke.static import gpu_code
from build.smoke.static.suite import run_static

__all__ = ["Operands", "history_between", "published_difference"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operands:
    """Where operands are looked for."""

    out: Path
    cache: Path
    recipes: tuple[str, ...]
    """Names of the recipes, for the message when one has no artifacts."""
    registry: Callable[[], BlobSource]
    mirrors: GitMirrors
    reporter: Reporter

    def difference(self, left: str, right: str) -> Difference:
        """Compare what two operands stand for.

        Raises:
            BadRequest: an operand means nothing here.
            NothingSelected: no recipe and no folder has the name.
        """
        sides = self._facts(left, beside=right), self._facts(right, beside=left)
        return compare(*sides, log=history_between(*sides, self.mirrors))

    def twins(self, left: str, right: str) -> tuple[Layout, Layout] | None:
        """Open the layouts of two images in folders that should be the same bytes, for they have one plan, and are not."""
        found = []
        for operand in (left, right):
            folder = self._folder(operand)
            built = store.read_known(folder / "image.json", BuiltImage) if folder else None
            if not (folder and built and (folder / "image").is_dir()):
                return None
            found.append((built, folder / "image"))
        (one, its), (other, others) = found
        if one.fingerprint != other.fingerprint or one.digest == other.digest:
            return None
        return _opened(one, its), _opened(other, others)

    def _facts(self, operand: str, *, beside: str) -> ImageFacts:
        if operand == PUBLISHED:
            return self._published(beside)
        folder = self._folder(operand)
        if folder:
            return read_facts(operand, folder)
        if "/" in operand or ":" in operand or "@" in operand:
            return self._pulled(operand)
        name = operand.partition("+")[0]
        if name in self.recipes:
            message = f"{operand} has no artifacts below {self.out}"
            raise BadRequest(
                message, hint=f"nox -s build -- {name}, or `nox -s resolve -- {name}` to compare pins"
            )
        message = f"there is no recipe, folder or image called {operand}"
        raise NothingSelected(
            message, hint="a recipe of recipes/, a folder, registry/name:tag, or `published`"
        )

    def _folder(self, operand: str) -> Path | None:
        """Find the folder of artifacts that an operand names: below out/ first, then as a path."""
        below = self.out / operand
        if below.parent == self.out and below.is_dir():
            return below
        return Path(operand) if Path(operand).is_dir() else None

    def _published(self, beside: str) -> ImageFacts:
        folder = None if beside == PUBLISHED else self._folder(beside)
        if folder is None:
            message = (
                f"`{PUBLISHED}` is the last pushed image of the other side's recipe, and {beside} is none"
            )
            raise BadRequest(message, hint=f"nox -s diff -- {PUBLISHED} RECIPE")
        if not (folder / PUBLISHED).is_dir():
            message = f"{beside}: no image has been pushed from {folder}"
            raise BadRequest(message, hint=f"nox -s push -- {beside}, or name a reference of the registry")
        return read_facts(f"{beside} as {PUBLISHED}", folder / PUBLISHED)

    def _pulled(self, operand: str) -> ImageFacts:
        ref, registry = parse_reference(operand), self.registry()
        digest = ref.digest or image_manifest(ref, registry).digest
        if local := self._local(operand, digest):
            return local
        layout = pull(replace(ref, digest=digest), self.cache / "pulled", registry, self.reporter).layout
        kernels = self._device_code(layout)
        return labelled(operand, layout.config.labels, layers=layout.layers, kernels=kernels)

    def _local(self, operand: str, digest: Digest) -> ImageFacts | None:
        """Read the artifacts of an image that was built or pushed from here: they tell more than its bytes."""
        files = (*sorted(self.out.glob("*/image.json")), *sorted(self.out.glob(f"*/{PUBLISHED}/image.json")))
        for file in files:
            built = store.read_known(file, BuiltImage)
            if built and built.digest == digest:
                facts = read_facts(operand, file.parent)
                # Planned anew since: the plan beside it is not this image's.
                if not isinstance(facts.layers, Missing):
                    return facts
        return None

    def _device_code(self, layout: Layout) -> tuple[Kernels, ...] | Missing:
        with (
            self.reporter.step(f"read device code of {layout.digest[:19]}"),
            store.scratch(self.cache / "pulled") as folder,
        ):
            first, check = run_static(layout, _expectations(layout), checks=(gpu_code.CHECK,), scratch=folder)
        if first.outcome is not Outcome.PASSED:
            return Missing(reason=first.reason)
        return kernels_in(check.detail)


def _opened(built: BuiltImage, path: Path) -> Layout:
    layout = open_layout(path)
    if layout.digest != built.digest:
        message = f"{path} holds {layout.digest}, image.json says {built.digest}"
        raise WorkFailed(message, hint="build it again")
    return layout


def history_between(left: ImageFacts, right: ImageFacts, mirrors: GitMirrors) -> Between | Missing:
    """Read what lies between two upstream commits, where a mirror holds it. Asks no remote."""
    if isinstance(left.source, Missing) or isinstance(right.source, Missing):
        return Missing(reason="a commit is not known")
    if left.source.commit == right.source.commit:
        return Between()
    repo = _repository(left.source, right.source)
    if not repo:
        return Missing(reason="no pin names a git repository")
    try:
        old, new = Commit(left.source.commit), Commit(right.source.commit)
    except ValueError as error:
        return Missing(reason=str(error))
    reason = f"no mirror of {repo} is below the cache"
    for mirror in find_mirrors(mirrors, repo):
        try:
            return read_history(mirror, old, new)
        except HistoryMissing as error:
            reason = error.message
    return Missing(reason=reason)


def published_difference(out: Path) -> Difference | None:
    """Say how the image below `out` differs from the one that was pushed from there before it; None where none was."""
    if not (out / PUBLISHED).is_dir():
        return None
    try:
        sides = read_facts(PUBLISHED, out / PUBLISHED), read_facts(out.name, out)
    except BadRequest:
        return None
    images = tuple(store.read_known(one / "image.json", BuiltImage) for one in (out / PUBLISHED, out))
    if images[0] and images[1] and images[0].digest == images[1].digest:
        return store.read_known(out / PUBLISHED / DIFFERENCE, Difference)
    return compare(*sides, log=Missing(reason="`nox -s diff` asks the mirror"))


def _repository(left: SourceFacts, right: SourceFacts) -> str:
    """Name the repository that both commits are of. A label alone names none: it may be anybody's."""
    if left.url != right.url:
        return ""
    return left.repo or right.repo


def _expectations(layout: Layout) -> Expectations:
    """Expect nothing: only what is found is of interest. The server's own folder is where its libraries lie."""
    config = layout.config
    command = config.entrypoint or config.cmd
    program = PurePosixPath(command[0]) if command else PurePosixPath("/app/server")
    return Expectations(
        recipe="",
        cuda="",
        architectures=(),
        driver=Driver.NONE,
        epoch=0,
        app=str(program.parent) if program.is_absolute() else "/app",
        entrypoint=config.entrypoint,
        workdir=config.workdir,
        user=config.user,
        port=0,
        version="",
    )
