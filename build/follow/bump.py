"""A recipe moved to a candidate: asked, fetched, judged, written down. Wires the others to the doors; builds nothing."""

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from build.doors import store
from build.doors.effects import Reporter
from build.doors.history import History, fetch_history
from build.doors.remote import ls_remote
from build.errors import BadRecipes, BadRequest, Problem, WorkFailed
from build.follow.bumped import Bump, Move
from build.follow.candidates import Nothing
from build.follow.changes import grouped
from build.follow.compare import compared
from build.follow.edit import edited, literal_tags, mentions, pin_values
from build.follow.lineage import ancestors, relations
from build.follow.page import page
from build.follow.targets import Target, Wish, archive_target, passed_by, ref_target
from build.follow.versions import next_version
from build.pin.archive import Index
from build.pin.sample import ensure_sample, is_sample
from build.pin.source import Sources
from build.recipe.check import facts_of
from build.recipe.decode import read
from build.recipe.model import GitSource, PackagesSource, Recipe, SdistSource, VendorSource
from build.recipe.rules import recipe_problems, shared_problems

__all__ = ["Bumper", "Drift", "Wish"]


class Drift(WorkFailed):
    """The recipe was moved, and some of its patches do not fit any more."""

    def __init__(self, bump: Bump) -> None:
        names = ", ".join(f"patches/{one.file} ({one.verdict})" for one in bump.patches if not one.fits)
        message = f"{bump.recipe}: the new pin is written, and these do not fit it: {names}"
        super().__init__(message, hint=f"{bump.page} says what became of each; nothing was repaired")
        self.answer = bump


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
    """A way to a candidate that exists: what it means, and the source as the recipe will say it."""

    bump: Bump
    move: Move
    after: GitSource | SdistSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Bumper:
    """Moves recipes of one checkout."""

    root: Path
    out: Path
    sources: Sources
    index: Index
    reporter: Reporter
    recipes: tuple[Recipe, ...]
    """All of the checkout: they know each other's parents, and share the names of images."""

    def bump(self, recipe: Recipe, wish: Wish) -> Bump:
        """Move a recipe.

        Raises:
            Drift: it was done, and patches do not fit.
            BadRequest: there is no such state, or the recipe would not pass `check` with it; the file is untouched.
            Unreachable: upstream did not answer.
        """
        way = self._way(recipe, wish)
        if isinstance(way, Nothing):
            self.reporter.note(f"{recipe.name}: nothing to do, {way.reason}")
            return Bump(recipe=recipe.name, file=recipe.origin.file, move=None, reason=way.reason)
        return self._written(recipe, way)

    def _way(self, recipe: Recipe, wish: Wish) -> _Way | Nothing:
        match recipe.source:
            case GitSource():
                return self._along_git(recipe, recipe.source, wish)
            case SdistSource():
                return self._along_archives(recipe, recipe.source, wish)
            case PackagesSource(packages=lock):
                message = f"{recipe.name} is made of locked wheels"
                stem = PurePosixPath(lock).stem
                raise BadRequest(
                    message, hint=f"name the new version in {stem}.in; `nox -s pins -- {stem}` locks it"
                )
            case VendorSource(image=image):
                message = f"{recipe.name} is its publisher's image {image}"
                raise BadRequest(message, hint="write the new digest into source.image")

    def _along_git(self, recipe: Recipe, source: GitSource, wish: Wish) -> _Way | Nothing:
        mirrors = self.sources.mirrors
        if is_sample(source.repo):
            ensure_sample(source.repo, self.sources.samples, self.sources.cache)
        with self.reporter.step(f"ask {source.repo}"):
            target = ref_target(recipe, wish, ls_remote(mirrors, source.repo))
        if isinstance(target, Nothing):
            return target
        with self.reporter.step(f"fetch the history of {source.repo}"):
            history, heads = fetch_history(
                mirrors,
                source.repo,
                commits=(source.commit, target.commit),
                kin=ancestors(recipe, self.recipes),
            )
        known = history.has(source.commit) and history.has(target.commit)
        chosen = _unpassed(recipe, source, target, wish, history if known else None)
        if isinstance(chosen, Nothing):
            return chosen
        more = history.count(chosen.commit) - history.count(source.commit) if known else None
        version = wish.version or next_version(source, recipe.watch, chosen.commit, chosen.tags, more=more)
        way = self._compared(recipe, replace(source, commit=chosen.commit, version=version), chosen.ref)
        found = replace(
            way.bump,
            forward=history.is_ancestor(source.commit, chosen.commit) if known else None,
            rewritten=self._rewritten(source, history),
            groups=grouped(
                history.log(chosen.commit, without=source.commit) if known else (),
                [file for group in way.bump.groups for file in group.files],
            ),
            relations=relations(history, chosen.commit, heads),
        )
        return replace(way, bump=found)

    def _rewritten(self, source: GitSource, history: History) -> str:
        """Say what is left of a pinned commit that upstream has dropped from its branches and tags."""
        if history.reachable(source.commit):
            return ""
        mirrors = self.sources.mirrors
        kept = mirrors.has(mirrors.mirror(source.repo), source.commit)
        left = (
            "the mirror below the cache keeps it, so it stays buildable here"
            if kept
            else "no mirror here has it"
        )
        return f"No branch and no tag of upstream leads to the pinned {source.commit[:12]} any more; {left}."

    def _along_archives(self, recipe: Recipe, source: SdistSource, wish: Wish) -> _Way | Nothing:
        package = source.sdist.partition("==")[0]
        with self.reporter.step(f"ask the package index for {package}"):
            after = archive_target(recipe, wish, tuple(self.index.files(package)))
        return after if isinstance(after, Nothing) else self._compared(recipe, after, after.sdist)

    def _compared(self, recipe: Recipe, after: GitSource | SdistSource, ref: str) -> _Way:
        with self.reporter.step(f"compare {recipe.source.version} with {after.version}"):
            found = compared(
                recipe,
                after,
                ref,
                sources=self.sources,
                patches=self.root / "patches",
                reporter=self.reporter,
            )
        assert found.move is not None
        return _Way(bump=found, move=found.move, after=after)

    def _written(self, recipe: Recipe, way: _Way) -> Bump:
        """Write the page, then the recipe: whoever is killed between the two begins again with an untouched recipe."""
        path = self.root / "recipes" / f"{recipe.name}.yaml"
        text = edited(path.read_bytes().decode(), pin_values(way.after))
        self._prove(recipe, replace(recipe, source=way.after), text)
        place = self.out / recipe.name / "bump.md"
        whole = replace(
            way.bump,
            literal_tags=literal_tags(recipe),
            mentions=mentions(text, recipe.source),
            page=str(place),
        )
        store.write_text(place, page(whole, way.move))
        store.write_text(path, text)
        move = way.move
        self.reporter.note(f"{recipe.origin.file}: {move.old_version} to {move.new_version}; {place}")
        for one in whole.patches:
            self.reporter.note(f"  {one.file}: {one.verdict}")
        if whole.drift:
            raise Drift(whole)
        return whole

    def _prove(self, recipe: Recipe, expected: Recipe, text: str) -> None:
        """Hold the rules of `check` against the new text, before anything is written.

        Raises:
            BadRecipes: the recipe would not pass.
        """
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / "recipes" / f"{recipe.name}.yaml"
            path.parent.mkdir()
            path.write_text(text, encoding="utf-8", newline="")
            written = read(path, root=Path(scratch))
        problems = list(written.problems)
        if written.recipe:
            problems += recipe_problems(written.recipe, facts_of(self.root), unread=written.keys)
            others = [one for one in self.recipes if one.name != recipe.name]
            shared = shared_problems([*others, written.recipe])
            problems += [problem for problem in shared if problem.file == written.recipe.origin.file]
        if not problems and written.recipe != expected:
            message = "would say something else than the new pin"
            problems = [Problem(file=recipe.origin.file, line=1, key="source", message=message)]
        if problems:
            raise BadRecipes(tuple(problems))


def _unpassed(
    recipe: Recipe, source: GitSource, target: Target, wish: Wish, history: History | None
) -> Target | Nothing:
    """Step back from a branch's head over the commits that the recipe passes over."""
    if history is None or wish.to or not (recipe.watch.branch and recipe.watch.ignore):
        return target
    chosen = passed_by(recipe, history.first_parents(target.commit, without=source.commit))
    if isinstance(chosen, Nothing) or chosen == target.commit:
        return chosen if isinstance(chosen, Nothing) else target
    return replace(target, commit=chosen, tags=())
