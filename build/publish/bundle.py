"""Everything that an image is built from, in one folder: gathered from this machine's proven state, proven again elsewhere.

    recipe.yaml  pin.json  plan.json  patches/  locks/  source.tar (before patches)  toolchain/  base/ (OCI layouts)

What is built is the rendered text of plan.json, so templates of a later day change nothing. Asks no network and no engine.
"""

import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Final

from build.doors import store
from build.doors.git import GitMirrors
from build.doors.gitobjects import FolderTree, read_folder
from build.doors.jsonvalues import MalformedError
from build.errors import BadRequest, WorkFailed
from build.image.layout import open_layout
from build.image.members import clean
from build.pin.exported import date, settle
from build.pin.locks import read_cuda_lock
from build.pin.model import Pin, PinnedImage, PinnedSource
from build.pin.patches import apply_patch, prove_patches
from build.pin.resolve import Resolver
from build.plan.model import ImagePlan
from build.plan.plan import Places, decided, filled, placed
from build.publish.sourcetar import pack_folder, unpack_folder
from build.recipe.decode import read
from build.recipe.effective import effective
from build.recipe.model import Recipe
from build.recipe.words import NAME, quoted

__all__ = [
    "BASE",
    "LOCKS",
    "PATCHES",
    "PIN",
    "PLAN",
    "RECIPE",
    "SOURCE",
    "TOOLCHAIN",
    "Material",
    "gather",
    "link_layout",
    "materialise",
]

RECIPE: Final = "recipe.yaml"
PIN: Final = "pin.json"
PLAN: Final = "plan.json"
PATCHES: Final = "patches"
LOCKS: Final = "locks"
SOURCE: Final = "source.tar"
TOOLCHAIN: Final = "toolchain"
BASE: Final = "base"

_MEND: Final = "the bundle was changed, or is another image's: get it again"
_ANYWHERE: Final = Path("/bundle")
"""Stands for wherever a bundle lies: no path of the machine that made it is in it."""
_MADE_BY: Final = "nox -s verify"


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """A bundle that was proven, laid out for one build."""

    plan: ImagePlan
    """Its bake file names the places below."""
    source: Path
    """The patched tree."""
    out: Path
    """Where the build's files and artifacts go."""


def gather(bundle: Path, plan: ImagePlan, recipe: Recipe, resolver: Resolver, *, root: Path) -> None:
    """Make the bundle of a planned image from what is below the cache, proven before. What was at `bundle` is replaced.

    `recipe` is the file as it is now, its variants not merged; layouts are hard links where the file system allows.

    Raises:
        BadRequest: the recipe, a patch or a lock is not what the image was planned from.
        WorkFailed: something below the cache was changed after it was pinned.
    """
    toolchain = plan.pin.toolchain
    if toolchain is None:
        message = f"{plan.name} is made of published wheels or of a vendor's image: only what is compiled has a bundle"
        raise BadRequest(message, hint="its lock names every wheel by hash; build it again from the recipe")
    whole = effective(recipe, plan.variant)
    if filled(whole) != plan.recipe or resolver.inputs(whole) != plan.pin.inputs:
        message = f"{plan.name}: its recipe, patches or locks were changed after it was planned"
        raise BadRequest(message, hint=f"nox -s build -- {recipe.name}")
    resolver.prove(whole, plan.pin)
    part = bundle.with_name(f".{bundle.name}.part")
    store.discard(part)
    part.mkdir(parents=True)
    shutil.copyfile(root / "recipes" / f"{recipe.name}.yaml", part / RECIPE)
    store.write_artifact(part / PIN, plan.pin)
    store.write_artifact(part / PLAN, placed(plan, _places(_ANYWHERE, plan, _ANYWHERE / "source", _ANYWHERE)))
    for patch in plan.recipe.patches:
        (part / PATCHES / patch.file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(resolver.patches / patch.file, part / PATCHES / patch.file)
    (part / LOCKS).mkdir()
    for lock in (
        read_cuda_lock(resolver.toolchains, plan.recipe.toolchain.cuda).path,
        resolver.toolchains / "debian.json",
    ):
        shutil.copyfile(lock, part / LOCKS / lock.name)
    pack_folder(resolver.sources.unpatched(whole, plan.pin.source, part / "work"), part / SOURCE)
    store.discard(part / "work")
    name = resolver.images.toolchain_name(plan.recipe.toolchain.cuda, toolchain)
    link_layout(resolver.images.layout(name, toolchain), part / TOOLCHAIN)
    link_layout(resolver.images.layout("base", plan.pin.base), part / BASE)
    bundle.parent.mkdir(parents=True, exist_ok=True)
    store.replace_dir(part, bundle)


def materialise(bundle: Path, work: Path) -> Material:
    """Prove a bundle, whoever made it, and lay it out below `work` for a build.

    Raises:
        BadRequest: plan or pin are missing, or of another version of the pipeline.
        WorkFailed: something is not what the pin says; with both hashes.
    """
    plan = store.read_artifact(bundle / PLAN, ImagePlan, made_by=_MADE_BY)
    _prove_plan(plan, store.read_artifact(bundle / PIN, Pin, made_by=_MADE_BY))
    if plan.pin.toolchain is None:
        message = f"{PLAN}: its image is not compiled, and only what is compiled has a bundle"
        raise WorkFailed(message, hint=_MEND)
    _prove_recipe(bundle / RECIPE, plan)
    _prove_image(bundle / TOOLCHAIN, "toolchain", plan.pin.toolchain)
    _prove_image(bundle / BASE, "base", plan.pin.base)
    source = _patched(bundle, plan.pin.source, work)
    return Material(
        plan=placed(plan, _places(work, plan, source, bundle)),
        source=source,
        out=work / "out" / plan.name,
    )


def _places(root: Path, plan: ImagePlan, source: Path, bundle: Path) -> Places:
    images = ((TOOLCHAIN, plan.pin.toolchain), (BASE, plan.pin.base))
    return Places(
        root=root,
        out=root / "out" / plan.name,
        folders=(("source", source),),
        layouts=tuple((name, bundle / name, image.digest) for name, image in images if image),
    )


def link_layout(layout: Path, target: Path) -> None:
    shutil.copytree(layout, target, copy_function=_link, ignore=shutil.ignore_patterns("ingest"))


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copyfile(source, target)


def _prove_plan(plan: ImagePlan, pin: Pin) -> None:
    """Refuse a plan that is not what its inputs give, and names that lead elsewhere: a stranger may have written it."""
    names = (plan.recipe.name, *((plan.variant,) if plan.variant else ()))
    for name in names:
        if not NAME.fullmatch(name):
            message = f"{PLAN}: {quoted(name)} is no recipe's and no variant's name"
            raise WorkFailed(message, hint=_MEND)
    source = plan.pin.source
    paths = (
        *(path for path, _ in plan.files),
        *(proof.file for proof in source.patches),
        *(link.path for link in source.links),
    )
    for path in paths:
        if not path or _clean(path) != path:
            message = f"{PLAN}: the path {quoted(path)} leads elsewhere"
            raise WorkFailed(message, hint=_MEND)
    if (found := decided(plan)) != plan.fingerprint:
        message = f"{PLAN}: its inputs have the fingerprint {found}, it says {plan.fingerprint}"
        raise WorkFailed(message, hint=_MEND)
    if pin != plan.pin:
        message = f"{PIN} is not the pin of {PLAN}: {_hash(pin)} and {_hash(plan.pin)}"
        raise WorkFailed(message, hint=_MEND)


def _prove_recipe(path: Path, plan: ImagePlan) -> None:
    """Refuse a recipe that the image was not planned from. Nothing is built by it, but people read it."""
    recipe = read(path, root=path.parent).recipe
    if recipe is None:
        message = f"{path} is no recipe"
        raise WorkFailed(message, hint=_MEND)
    found = replace(filled(effective(recipe, plan.variant)), origin=plan.recipe.origin)
    if found != plan.recipe:
        message = f"{RECIPE} is not the recipe of {PLAN}: {_hash(found)} and {_hash(plan.recipe)}"
        raise WorkFailed(message, hint=_MEND)


def _clean(path: str) -> str:
    try:
        return clean(path)
    except MalformedError:
        return ""


def _hash(one: Pin | Recipe) -> str:
    return store.sha256_text(store.canonical_json(store.to_data(one)))


def _prove_image(layout: Path, what: str, pinned: PinnedImage) -> None:
    """Refuse a layout that is not the pinned image, to the last byte of its layers."""
    image = open_layout(layout, platform=pinned.platform)
    if image.digest != pinned.digest:
        message = f"{layout} holds {image.digest}, the pin says that the {what} is {pinned.digest}"
        raise WorkFailed(message, hint=_MEND)
    for layer in image.layers:
        found = store.sha256_file(layout / "blobs" / "sha256" / layer.digest.hex)
        if found != layer.digest.hex:
            message = f"{layout}: a layer has the bytes of sha256:{found}, the {what} has {layer.digest}"
            raise WorkFailed(message, hint=_MEND)


def _patched(bundle: Path, pinned: PinnedSource, work: Path) -> Path:
    """Unpack the source, prove it, apply the patches, prove it again. Returns the folder."""
    plain = work / "source"
    unpack_folder(bundle / SOURCE, plain)
    settle(plain)
    found = _prove_tree(plain, pinned, pinned.tree, "tree")
    source = plain
    if pinned.patches:
        prove_patches(bundle / PATCHES, pinned)
        mirrors = GitMirrors(root=work / "git")
        repository = mirrors.empty()
        index = mirrors.index(repository, repository / "index.bundle")
        index.import_folder(plain)
        for proof in pinned.patches:
            apply_patch(index, bundle / PATCHES / proof.file, file=proof.file)
        source = work / "patched"
        index.export(source)
        _make_empty(source, pinned)
        settle(source)
        found = _prove_tree(source, pinned, pinned.patched_tree, "patched tree")
    date(source, found)
    return source


def _make_empty(source: Path, pinned: PinnedSource) -> None:
    """Make the folders that stand for submodules that are not fetched: no index holds an empty folder."""
    for link in pinned.links:
        path = PurePosixPath(link.path)
        for there in (source / part for part in (path, *path.parents)):
            if there.is_symlink() or there.is_file():
                message = f"the submodule {quoted(link.path)} lies behind a symbolic link or a file"
                raise WorkFailed(message, hint=_MEND)
        (source / path).mkdir(parents=True, exist_ok=True)


def _prove_tree(folder: Path, pinned: PinnedSource, wanted: str, what: str) -> FolderTree:
    found = read_folder(folder, pinned.links)
    if found.id != wanted:
        message = f"{SOURCE}: its files are those of the {what} {found.id}, the pin says {wanted}"
        raise WorkFailed(message, hint=_MEND)
    return found
