"""Rules about patch sets: what is placed where, what runs, what each patch is expected to do. Pure."""

import re
from collections.abc import Collection, Iterator, Mapping

from build.recipe.identity import name_findings
from build.recipe.model import Family, PackagesSource, Recipe
from build.recipe.patchsets import BuildOutcome, Exclusion, PatchSet, SetPatch, StartEffect
from build.recipe.running import env_findings
from build.recipe.words import Finding, path_findings, plain, probe, prose, quoted, repeated, url

__all__ = ["patching_findings"]

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*")
_PLACE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*:[A-Za-z_][A-Za-z0-9_]*")
_PACKAGE = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_IN_EFFECT = frozenset({BuildOutcome.APPLIED, BuildOutcome.UPSTREAM})


def patching_findings(
    recipe: Recipe, on_disk: Collection[str], locks: Mapping[str, str]
) -> Iterator[Finding]:
    """Find what is wrong with a recipe's patch sets.

    `on_disk` are the regular files below patches/, `locks` the texts of the lock files below recipes/ by path.
    """
    if recipe.patch_sets and recipe.family is not Family.PYTHON:
        message = f"a {recipe.family} recipe has no installed packages that a patch set could change"
        yield Finding("patch_sets", message, "use patches; or write family: python")
    yield from repeated("patch_sets", [one.name for one in recipe.patch_sets])
    for index, one in enumerate(recipe.patch_sets):
        key = f"patch_sets.{index}"
        yield from _set(key, one, recipe.name, on_disk)
        if isinstance(recipe.source, PackagesSource):
            yield from _required(f"{key}.requires", one, locks.get(recipe.source.packages, ""))


def _set(key: str, one: PatchSet, recipe: str, on_disk: Collection[str]) -> Iterator[Finding]:
    yield from name_findings(f"{key}.name", one.name)
    yield from url(f"{key}.repo", one.repo)
    yield from plain(f"{key}.version", one.version)
    if not one.place:
        yield Finding(f"{key}.place", "is empty", "for example {src/my_patches: package/my_patches}")
    for source, target in one.place:
        yield from path_findings(f"{key}.place.{source}", source, absolute=False)
        yield from path_findings(f"{key}.place.{source}", target, absolute=False)
    if one.plugin:
        yield from path_findings(f"{key}.plugin", one.plugin, absolute=False)
    yield from _run(key, one)
    yield from env_findings(f"{key}.env", one.env)
    if one.helper:
        yield from _ours(f"{key}.helper", f"{one.helper}/", recipe, on_disk)
    yield from repeated(f"{key}.requires", one.requires)
    for number, package in enumerate(one.requires):
        if not _PACKAGE.fullmatch(package):
            yield Finding(f"{key}.requires.{number}", f"{quoted(package)} is not a package", "as in xxhash")
    yield from _patches(key, one)
    for number, excluded in enumerate(one.exclude):
        yield from _exclusion(f"{key}.exclude.{number}", excluded, recipe, on_disk)


def _required(key: str, one: PatchSet, lock: str) -> Iterator[Finding]:
    for number, package in enumerate(one.requires):
        if lock and not re.search(rf"^{re.escape(package)}==", lock, re.MULTILINE):
            message = f"{quoted(package)} is not in the recipe's lock"
            yield Finding(f"{key}.{number}", message, "name it in the lock's .in file, then nox -s pins")


def _run(key: str, one: PatchSet) -> Iterator[Finding]:
    for number, word in enumerate(one.run):
        yield from plain(f"{key}.run.{number}", word)
    if one.run[:1] != ("python",):
        yield Finding(
            f"{key}.run", "does not begin with python", "the image's own Python runs it: [python, -m, ...]"
        )
    for name, value in (("registry", one.registry), ("patcher", one.patcher)):
        if value and not _PLACE.fullmatch(value):
            yield Finding(
                f"{key}.{name}", f"{quoted(value)} is not module:NAME", "as in pkg.apply_all:PATCHES"
            )
    module = one.registry.partition(":")[0]
    if one.registry and one.run[1:3] != ("-m", module):
        message = "observes another module than the one that runs"
        yield Finding(f"{key}.registry", message, f"write run: [python, -m, {module}]")
    if one.patcher and not one.registry:
        yield Finding(
            f"{key}.patcher", "needs a registry", "only patches that run one at a time are observed"
        )


def _patches(key: str, one: PatchSet) -> Iterator[Finding]:
    excluded = {excluded.id for excluded in one.exclude}
    yield from repeated(f"{key}.patches", [patch.id for patch in one.patches])
    for number, patch in enumerate(one.patches):
        yield from _patch(f"{key}.patches.{number}", patch, observed=bool(one.registry))
        if patch.id in excluded:
            yield Finding(f"{key}.patches.{number}.id", f"{quoted(patch.id)} is excluded too", "keep one")


def _patch(key: str, patch: SetPatch, *, observed: bool) -> Iterator[Finding]:
    if not _ID.fullmatch(patch.id):
        yield Finding(f"{key}.id", f"{quoted(patch.id)} is not the id of a patch", "as in P8")
    yield from prose(f"{key}.why", patch.why)
    for number, file in enumerate(patch.files):
        yield from path_findings(f"{key}.files.{number}", file, absolute=False)
    for number, marker in enumerate(patch.markers):
        yield from probe(f"{key}.markers.{number}", marker, backslash=True)
    for number, anchor in enumerate(patch.optional):
        yield from plain(f"{key}.optional.{number}", anchor)
    if not observed and not (patch.files and patch.markers):
        hint = "name the files it changes and a text that it leaves in them, or give the set a registry"
        yield Finding(key, "cannot be told apart from the set's other patches", hint)
    if patch.foundational and not patch.files and patch.start is StartEffect.REBIND:
        hint = "leave foundational out; a check on the GPU can show its effect"
        yield Finding(f"{key}.foundational", "cannot be proven: it only works in a running process", hint)
    elif patch.foundational and patch.build not in _IN_EFFECT:
        message = f"stands beside build: {patch.build}, which would end every build"
        yield Finding(f"{key}.foundational", message, "leave it out, or expect applied")


def _exclusion(key: str, excluded: Exclusion, recipe: str, on_disk: Collection[str]) -> Iterator[Finding]:
    if not _ID.fullmatch(excluded.id):
        yield Finding(f"{key}.id", f"{quoted(excluded.id)} is not the id of a patch", "as in P8")
    yield from prose(f"{key}.why", excluded.why)
    yield from path_findings(f"{key}.file", excluded.file, absolute=False)
    yield from _ours(f"{key}.by", excluded.by, recipe, on_disk)


def _ours(key: str, path: str, recipe: str, on_disk: Collection[str]) -> Iterator[Finding]:
    """Find what keeps a path from naming a file of ours, or (with a last slash) a folder with files."""
    faults = list(path_findings(key, path.removesuffix("/"), absolute=False))
    yield from faults
    if faults:
        return
    there = any(file.startswith(path) if path.endswith("/") else file == path for file in on_disk)
    if not path.startswith(f"{recipe}/"):
        yield Finding(key, f"patches/{path} belongs to another recipe", f"put it into patches/{recipe}/")
    elif not there:
        yield Finding(key, f"patches/{path} does not exist", "put it there; a link does not count")
