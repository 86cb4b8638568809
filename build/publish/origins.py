"""Whether what recipes pin can still be had from where it came. Gone and unreachable are different answers; copies nothing."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from build.doors.effects import Reporter
from build.doors.offered import offers
from build.errors import Unavailable, Unreachable, WorkFailed
from build.pin.archive import Index
from build.pin.custody import Shelf, archive_name, git_name, made_name, packages_name, wheels_name
from build.pin.locks import read_cuda_lock, read_debian_lock
from build.pin.resolve import Resolver
from build.pin.sample import is_sample
from build.recipe.model import GitSource, PackagesSource, Recipe, SdistSource, VendorSource
from build.recipe.refs import Commit

__all__ = ["Checked", "Origin", "check_origins", "origins", "verdict"]

State = Literal["there", "gone", "unreachable", "made here"]

_MACHINE = "x86_64"


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Something that is pinned, and how its origin is asked."""

    key: str
    """What is asked for: equal keys are asked once."""
    names: tuple[str, ...]
    """Of its copy; any of them serves. Empty: no copy is kept."""
    what: str
    recipe: str
    ask: Callable[[], str] | None = field(repr=False, compare=False)
    """Answers why it is gone, or nothing where it is there; raises Unavailable. None: it has no origin but this machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What became of one pinned thing."""

    name: str
    what: str
    recipes: tuple[str, ...]
    origin: State
    reason: str
    copy: bool | None
    """None: no place of copies is set, or it did not answer."""


def origins(
    recipe: Recipe, resolver: Resolver, registry_has: Callable[[str], bool], index: Index
) -> Iterator[Origin]:
    """List what a recipe pins, from the tree alone: nothing is resolved, so what is gone can be named."""
    yield from _source(recipe, resolver, registry_has, index)
    for one in recipe.patch_sets:
        yield _commit(recipe.name, one.repo, one.commit, resolver)
    if not isinstance(recipe.source, VendorSource):
        yield from _images(recipe, resolver, registry_has, index)


def _source(
    recipe: Recipe, resolver: Resolver, registry_has: Callable[[str], bool], index: Index
) -> Iterator[Origin]:
    match recipe.source:
        case GitSource():
            yield from _repositories(recipe.name, recipe.source, resolver)
        case SdistSource(sdist=sdist, sha256=sha256):
            wanted = ((sdist.partition("==")[0], (sha256,)),)
            yield _kept(archive_name(sha256), sdist, recipe.name, lambda: _lacks(index, wanted))
        case PackagesSource():
            yield from _packages(recipe, recipe.source, resolver, index)
        case VendorSource(image=image):
            yield Origin(
                key=image, names=(), what=image, recipe=recipe.name,
                ask=lambda: "" if registry_has(image) else f"the registry has no {image}",
            )  # fmt: skip


def _images(
    recipe: Recipe, resolver: Resolver, registry_has: Callable[[str], bool], index: Index
) -> Iterator[Origin]:
    """List what a recipe is built on."""
    images, debian = resolver.images, read_debian_lock(resolver.toolchains)
    made: dict[str, tuple[str, ...]] = {}
    if recipe.family.compiles:
        lock = read_cuda_lock(resolver.toolchains, recipe.toolchain.cuda)
        yield _kept(
            wheels_name(lock, _MACHINE),
            f"CUDA {lock.version} wheels",
            recipe.name,
            lambda: _lacks(index, lock.hashes),
        )
        toolchain = images.toolchain_lock(lock, debian)
        made[f"toolchain for CUDA {lock.version}"] = tuple(
            made_name(name, toolchain) for name in images.toolchain_names(lock, debian, mode="auto")
        )
    reference = f"{debian.image}@{debian.digest}"

    def base_gone() -> str:
        return "" if registry_has(reference) else f"the registry has no {reference}"

    ask = None if resolver.base_mode == "bootstrap" else base_gone
    made |= {
        "base": tuple(
            made_name("base", key) for key in images.debian_locks(debian, recipe.runtime.packages).values()
        ),
    }
    for what, names in made.items():
        yield Origin(
            key=names[0], names=names, what=f"{what}, Debian {debian.suite}", recipe=recipe.name, ask=ask
        )


def _kept(name: str, what: str, recipe: str, ask: Callable[[], str] | None) -> Origin:
    """Describe what has one name, for its copy and for its origin."""
    return Origin(key=name, names=(name,), what=what, recipe=recipe, ask=ask)


def _packages(recipe: Recipe, source: PackagesSource, resolver: Resolver, index: Index) -> Iterator[Origin]:
    """List the wheels of both locks. A sample's wheel is made here and no index has it."""
    made_here = source.application if is_sample(source.upstream) else ""

    def asks(hashes: tuple[tuple[str, tuple[str, ...]], ...]) -> Callable[[], str]:
        return lambda: _lacks(index, [one for one in hashes if one[0] != made_here])

    for lock in resolver.packages.locks(source):
        yield _kept(packages_name(lock), f"wheels of {lock.title}", recipe.name, asks(lock.hashes))


def _repositories(recipe: str, source: GitSource, resolver: Resolver) -> Iterator[Origin]:
    """List the repository, and of its submodules those that a mirror on this machine tells."""
    mirrors = resolver.sources.mirrors

    def known(url: str, commit: Commit) -> Iterator[tuple[str, Commit]]:
        yield url, commit
        mirror = mirrors.path(url)
        if source.submodules and mirror.is_dir() and mirrors.has(mirror, commit):
            for module in mirrors.submodules(mirror, commit, base=url):
                yield from known(module.url, module.commit)

    for url, commit in known(source.repo, source.commit):
        yield _commit(recipe, url, commit, resolver)


def _commit(recipe: str, url: str, commit: Commit, resolver: Resolver) -> Origin:
    mirrors, work = resolver.sources.mirrors, resolver.sources.cache / "custody"

    def ask() -> str:
        return "" if offers(mirrors, url, commit, work) else f"{url} has no commit {commit} any more"

    return _kept(git_name(url, commit), f"{url} at {commit[:12]}", recipe, None if is_sample(url) else ask)


def _lacks(index: Index, wanted: Iterable[tuple[str, tuple[str, ...]]]) -> str:
    """Say which files the package index has no more under their hashes."""
    found = []
    for package, hashes in wanted:
        listed = {file.sha256 for file in index.files(re.sub(r"[-_.]+", "-", package).lower())}
        missing = [sha256 for sha256 in hashes if sha256 not in listed]
        if missing:
            other = "other files, none" if listed else "no file"
            found.append(f"the package index has {other} of {package} with sha256 {', '.join(missing)}")
    return "; ".join(found)


def check_origins(wanted: Iterable[Origin], shelf: Shelf | None, reporter: Reporter) -> tuple[Checked, ...]:
    """Ask every origin once, whichever recipes share it, and look for its copy."""
    users: dict[str, list[Origin]] = {}
    for one in wanted:
        users.setdefault(one.key, []).append(one)
    checked = []
    for key, sharing in users.items():
        one = sharing[0]
        with reporter.step(f"ask for {one.what}") as step:
            state, reason = _state(one)
            copy = _has_copy(one.names, shelf)
            step.verdict(state)
        checked.append(
            Checked(
                name=key,
                what=one.what,
                recipes=tuple(dict.fromkeys(origin.recipe for origin in sharing)),
                origin=state,
                reason=reason,
                copy=copy,
            )
        )
    return tuple(checked)


def _state(one: Origin) -> tuple[State, str]:
    if one.ask is None:
        return "made here", "Debian's archive moves on: only a copy keeps what was made of it"
    try:
        reason = one.ask()
    except Unavailable as error:
        return "unreachable", error.message
    return ("gone", reason) if reason else ("there", "")


def _has_copy(names: tuple[str, ...], shelf: Shelf | None) -> bool | None:
    if shelf is None:
        return None
    try:
        return any(shelf.find(name) is not None for name in names)
    except Unavailable:
        return None


def verdict(checked: tuple[Checked, ...]) -> None:
    """Judge what was found.

    Raises:
        WorkFailed: something is gone, and no copy of it is known.
        Unreachable: no origin answered.
    """
    lost = [one for one in checked if one.origin == "gone" and not one.copy]
    if lost:
        listed = "; ".join(f"{one.what} ({', '.join(one.recipes)}): {one.reason}" for one in lost)
        failed = WorkFailed(f"gone, and no copy is there: {listed}", hint="choose other pins: nox -s bump")
        failed.answer = {"checked": checked}
        raise failed
    asked = [one for one in checked if one.origin != "made here"]
    if asked and all(one.origin == "unreachable" for one in asked):
        silent = Unreachable(f"no origin answered; {asked[0].what}: {asked[0].reason}")
        silent.answer = {"checked": checked}
        raise silent
