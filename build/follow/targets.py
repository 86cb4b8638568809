"""Which state of upstream a bump goes to: the one that was asked for, or what the recipe's rule finds."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from build.doors.packageindex import IndexFile
from build.doors.remote import RemoteRefs
from build.errors import BadRequest, WorkFailed
from build.follow.candidates import Candidate, Faulty, Nothing, Verdict, archives, in_archives, in_refs
from build.follow.new import choose
from build.recipe.model import GitSource, Recipe, SdistSource
from build.recipe.refs import Commit
from build.recipe.words import meant, quoted

__all__ = ["Target", "Wish", "archive_target", "passed_by", "ref_target"]

_REF = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+/-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a person asked for; empty words leave it to the recipe's rule."""

    to: str = ""
    """A branch, a tag or a full commit; of an archive its version."""
    version: str = ""
    """What the new pin is called."""
    commit: str = ""
    """The commit that an archive carries."""

    def __post_init__(self) -> None:
        for name, word in (("--to", self.to), ("--version", self.version)):
            if word and not _REF.fullmatch(word):
                message = f"{name} {quoted(word)} is not the name of a branch, a tag, a version or a commit"
                raise BadRequest(message, hint="for example --to main")
        if self.commit and not re.fullmatch("[0-9a-f]{40}", self.commit):
            message = f"--commit {quoted(self.commit)} is not a full commit"
            raise BadRequest(message, hint="40 lower-case hex digits")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A commit to go to. Tags are those on it."""

    ref: str
    commit: Commit
    tags: tuple[str, ...]


def ref_target(recipe: Recipe, wish: Wish, refs: RemoteRefs) -> Target | Nothing:
    """Choose among the refs of the recipe's repository. Pure.

    Raises:
        BadRequest: there is no such ref.
        WorkFailed: a person must look at upstream first.
    """
    source = recipe.source
    assert isinstance(source, GitSource)
    if wish.to:
        name, commit = choose(refs, wish.to, source.repo)
    else:
        found = _must(in_refs(recipe, refs))
        if isinstance(found, Nothing):
            return found
        name, commit = found.ref, Commit(found.commit)
    if commit == source.commit:
        return Nothing(recipe=recipe.name, reason=f"{commit[:12]} is pinned already")
    tags = tuple(
        full.removeprefix("refs/tags/")
        for full, one in refs.refs
        if full.startswith("refs/tags/") and one == commit
    )
    return Target(ref=re.sub("^refs/(heads|tags)/", "", name), commit=commit, tags=tags)


def passed_by(recipe: Recipe, line: Iterable[tuple[Commit, str]]) -> Commit | Nothing:
    """Choose the newest commit of a branch whose subject no ignore pattern matches. `line`: from the head back. Pure."""
    count = 0
    for commit, subject in line:
        if not any(re.search(pattern, subject) for pattern in recipe.watch.ignore):
            return commit
        count += 1
    return Nothing(recipe=recipe.name, reason=f"all {count} new commits are passed over by watch.ignore")


def archive_target(recipe: Recipe, wish: Wish, files: Sequence[IndexFile]) -> SdistSource | Nothing:
    """Choose among the archives of the recipe's package. Pure.

    Raises:
        BadRequest: there is no such archive, or nobody said what it was made from.
    """
    source = recipe.source
    assert isinstance(source, SdistSource)
    package, _, pinned = source.sdist.partition("==")
    wanted = wish.to
    if not wanted:
        found = _must(in_archives(recipe, files))
        if isinstance(found, Nothing):
            return found
        wanted = found.ref
    if wanted == pinned:
        return Nothing(recipe=recipe.name, reason=f"{source.sdist} is pinned already")
    known = dict(archives(package, files))
    if wanted not in known:
        message = f"the package index has no source archive {package} {quoted(wanted)}"
        raise BadRequest(message, hint=meant(wanted, known) or f"it has {', '.join([*known][-5:])}")
    if not wish.commit or not wish.version:
        message = f"{package}=={wanted} does not say which commit of {source.upstream} it carries"
        hint = f"look it up: nox -s bump -- {recipe.name} --to {wanted} --commit <40 digits> --version <name>"
        raise BadRequest(message, hint=hint)
    return replace(
        source,
        sdist=f"{package}=={wanted}",
        sha256=known[wanted].sha256,
        commit=Commit(wish.commit),
        version=wish.version,
    )


def _must(verdict: Verdict) -> Candidate | Nothing:
    if isinstance(verdict, Faulty):
        message = f"{verdict.recipe}: {verdict.message}"
        raise WorkFailed(message, hint=verdict.hint)
    return verdict
