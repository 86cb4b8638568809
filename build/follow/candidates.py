"""A recipe's rule and what upstream offers: the candidate, or the reason why there is none. Pure."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import assert_never

from build.doors.packageindex import IndexFile
from build.doors.remote import RemoteRefs
from build.follow.draft import version_of
from build.follow.order import is_early, version_key
from build.recipe.model import GitSource, PackagesSource, Recipe, SdistSource, VendorSource, Watch
from build.recipe.refs import Commit, is_tag
from build.recipe.words import quoted, shown

__all__ = [
    "Candidate",
    "Faulty",
    "Nothing",
    "Verdict",
    "archives",
    "ignored",
    "in_archives",
    "in_refs",
    "in_time",
    "unasked",
]

_HEADS, _TAGS = "refs/heads/", "refs/tags/"
_PERIODS = {"daily": timedelta(days=1), "weekly": timedelta(weeks=1), "monthly": timedelta(days=30)}
_SLACK = timedelta(hours=3)
"""A job that runs once a day does not start at the same second each day."""
_FILE = re.compile(r"(?P<package>.+)-(?P<version>[^-]+)\.tar\.gz")


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A state of upstream that the recipe could be pinned to."""

    recipe: str
    ref: str
    """What `bump --to` takes: a branch, a tag, or an archive's version."""
    commit: str
    """Empty for an archive, which does not say what it was made from."""
    version: str
    """Upstream's name of this state."""
    pinned: str
    """The version that the recipe has now."""
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Nothing:
    """There is no candidate, and that is right."""

    recipe: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Faulty:
    """Whether there is a candidate is not known, or a person must look first."""

    recipe: str
    message: str
    hint: str = ""


Verdict = Candidate | Nothing | Faulty


def unasked(recipe: Recipe) -> Nothing | None:
    """Return the reason why a recipe's upstream is not even asked, if there is one."""
    if not recipe.watch.enabled:
        return Nothing(recipe=recipe.name, reason=f"not followed: {recipe.watch.reason}")
    if isinstance(recipe.source, PackagesSource):
        return Nothing(
            recipe=recipe.name, reason=f"made of locked wheels: recipes/{recipe.source.packages} is renewed"
        )
    if isinstance(recipe.source, VendorSource):
        return Nothing(recipe=recipe.name, reason=f"its publisher's image, by digest: {recipe.source.image}")
    return None


def in_time(found: Verdict, watch: Watch, since: timedelta | None) -> Verdict:
    """Hold a candidate back that comes sooner than the recipe's schedule wants. `since`: how old the pin's line is."""
    period = _PERIODS[watch.schedule]
    if not isinstance(found, Candidate) or since is None or since + _SLACK >= period:
        return found
    wait = max(1, round((period - since) / timedelta(days=1)))
    reason = f"{found.version} waits {wait} d: {watch.schedule}, and the pin is {_age(since)} old"
    return Nothing(recipe=found.recipe, reason=reason)


def _age(since: timedelta) -> str:
    hours = int(since / timedelta(hours=1))
    return f"{hours} h" if hours < 48 else f"{hours // 24} d"  # noqa: PLR2004  (two days)


def in_refs(recipe: Recipe, refs: RemoteRefs) -> Verdict:
    """Look for a candidate among the refs of the recipe's repository."""
    assert isinstance(recipe.source, GitSource)
    known = dict(refs.refs)
    if recipe.watch.branch:
        return _on_branch(recipe, recipe.source, known)
    return _among_tags(recipe, recipe.source, known)


def _on_branch(recipe: Recipe, source: GitSource, known: dict[str, Commit]) -> Verdict:
    branch = recipe.watch.branch
    head = known.get(_HEADS + branch)
    if head is None:
        there = [shown(name.removeprefix(_HEADS)) for name in known if name.startswith(_HEADS)]
        message = f"upstream has no branch {quoted(branch)} any more"
        return Faulty(recipe=recipe.name, message=message, hint=f"it has {', '.join(there[:5]) or 'none'}")
    if head == source.commit:
        return Nothing(recipe=recipe.name, reason=f"the pin is the head of {branch}")
    tags = tuple(
        name.removeprefix(_TAGS) for name, one in known.items() if one == head and name.startswith(_TAGS)
    )
    found = Candidate(
        recipe=recipe.name,
        ref=branch,
        commit=head,
        version=version_of(head, tags),
        pinned=source.version,
        why=f"{branch} moved on from {source.commit[:9]}",
    )
    passed = ignored(recipe.watch, tags)
    return _passed_over(found, passed) if passed else found


def _among_tags(recipe: Recipe, source: GitSource, known: dict[str, Commit]) -> Verdict:
    watch = recipe.watch
    tags = {name.removeprefix(_TAGS): one for name, one in known.items() if name.startswith(_TAGS)}
    moved = tags.get(source.version)
    if moved and moved != source.commit and re.search(watch.tags, source.version):
        message = (
            f"upstream moved the tag {source.version}: {source.commit[:12]} is pinned, it is {moved[:12]} now"
        )
        hint = f"look at the difference first: nox -s bump -- {recipe.name} --to {moved}"
        return Faulty(recipe=recipe.name, message=message, hint=hint)
    fitting = [tag for tag in tags if is_tag(tag) and re.search(watch.tags, tag)]
    if not fitting:
        message = f"none of {len(tags)} tags matches {quoted(watch.tags)}"
        return Faulty(recipe=recipe.name, message=message, hint="correct watch.tags, or say enabled: false")
    # Names of the pinned commit, where its version is written in another way than the tags are.
    current = [source.version] if re.search(watch.tags, source.version) else []
    current += [tag for tag in fitting if tags[tag] == source.commit]
    newest = _newest(recipe, current, fitting)
    if isinstance(newest, Nothing):
        return newest
    if tags[newest] == source.commit:
        return Nothing(recipe=recipe.name, reason=f"{newest} is the pinned commit")
    why = f"newest of {len(fitting)} tags" if current else f"newest of {len(fitting)} tags; the pin has none"
    return Candidate(
        recipe=recipe.name,
        ref=newest,
        commit=tags[newest],
        version=newest,
        pinned=source.version,
        why=why,
    )


def _newest(recipe: Recipe, current: Sequence[str], names: Sequence[str]) -> str | Nothing:
    """Choose the newest name that is newer than the current ones and not to be ignored."""
    floor = max(map(version_key, current), default=())
    newer = sorted((name for name in names if version_key(name) > floor), key=version_key)
    if not newer:
        newest = max(names, key=version_key)
        word = (
            "is the newest"
            if version_key(newest) == floor
            else f"is pinned, upstream's newest is the older {newest}"
        )
        return Nothing(recipe=recipe.name, reason=f"{max(current, key=version_key)} {word}")
    left = [name for name in newer if not ignored(recipe.watch, (name,))]
    if not left:
        pattern = ignored(recipe.watch, (newer[-1],))
        return Nothing(recipe=recipe.name, reason=f"{newer[-1]} is passed over: ignore {quoted(pattern)}")
    return left[-1]


def ignored(watch: Watch, names: Sequence[str]) -> str:
    """Return the pattern that tells to pass over one of the names, or nothing."""
    return next(
        (pattern for pattern in watch.ignore for name in names if re.search(pattern, name)),
        "",
    )


def _passed_over(found: Candidate, pattern: str) -> Nothing:
    """Say that a candidate is not taken because of an ignore pattern."""
    return Nothing(recipe=found.recipe, reason=f"{found.version} is passed over: ignore {quoted(pattern)}")


def in_archives(recipe: Recipe, files: Iterable[IndexFile]) -> Verdict:
    """Look for a candidate among the files of the recipe's package. Versions before a release need a matching pattern."""
    source, watch = recipe.source, recipe.watch
    assert isinstance(source, SdistSource)
    package, _, pinned = source.sdist.partition("==")
    versions = [version for version, _ in archives(package, files)]
    if not versions:
        message = f"the package index has no source archive of {package}"
        return Faulty(recipe=recipe.name, message=message, hint="is it spelt as the index spells it?")
    fitting = [
        version
        for version in versions
        if (re.search(watch.tags, version) if watch.tags else not is_early(version) or version == pinned)
    ]
    if not fitting:
        message = f"none of {len(versions)} archives matches {quoted(watch.tags)}"
        return Faulty(recipe=recipe.name, message=message, hint="correct watch.tags, or say enabled: false")
    newest = _newest(recipe, [pinned], fitting)
    match newest:
        case Nothing():
            return newest
        case str():
            why = f"newest of {len(fitting)} archives; a person names the commit it carries"
            return Candidate(
                recipe=recipe.name, ref=newest, commit="", version=newest, pinned=pinned, why=why
            )
    assert_never(newest)


def archives(package: str, files: Iterable[IndexFile]) -> list[tuple[str, IndexFile]]:
    """List the versions of which there is a source archive with a hash, that was not withdrawn."""
    wanted = _normal(package)
    found = []
    for file in files:
        match = _FILE.fullmatch(file.url.partition("?")[0].rpartition("/")[2])
        if match and _normal(match["package"]) == wanted and file.sha256 and not file.yanked:
            found.append((match["version"], file))
    return found


def _normal(package: str) -> str:
    return re.sub(r"[-_.]+", "-", package).lower()
