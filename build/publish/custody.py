"""Copies what builds start from into the user's own keeping: sources, wheels, toolchains, bases. Equal bytes are kept once.

A copy that was begun is completed by the next run: blobs go before the manifest that names them, and what is there is not
sent again. How copies are named and read is `pin/custody.py`; whether origins still have them is `publish/origins.py`.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from build.doors import store
from build.doors.distribution import digest_of
from build.doors.effects import Reporter, Step
from build.doors.packs import pack_commit
from build.doors.registry import Manifest
from build.errors import WorkFailed
from build.pin.archive import archive_path, fetch_archive
from build.pin.custody import (
    TITLE,
    Custody,
    Shelf,
    archive_name,
    git_name,
    image_name,
    made_name,
    named,
    packages_name,
    wheels_name,
)
from build.pin.images import DRIVER_STUB, RECORD
from build.pin.locks import WheelLock, read_cuda_lock
from build.pin.model import Pin, PinnedImage
from build.pin.resolve import Resolver
from build.pin.source import Sources
from build.pin.wheels import fetch_wheels, proven
from build.recipe.model import GitSource, PackagesSource, Recipe, SdistSource, VendorSource
from build.recipe.refs import Commit, Digest

__all__ = ["Kept", "Piece", "keep", "pieces"]

_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
_EMPTY: Final = "application/vnd.oci.empty.v1+json"
"""Stands where an image has its configuration: https://github.com/opencontainers/image-spec/blob/v1.1.0/manifest.md"""
_FILE: Final = "application/octet-stream"
_KIND: Final = "application/vnd.ingot.custody.v1"
_MACHINE: Final = "x86_64"


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """One file on its way."""

    digest: Digest
    path: Path
    size: int
    title: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """One copy: a manifest, and what it names."""

    manifest: Manifest
    blobs: tuple[Blob, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Something that is to be kept."""

    name: str
    what: str
    recipe: str
    gather: Callable[[Path], Parcel] = field(repr=False, compare=False)
    """Reads it, with an empty folder to work in."""
    settled: bool = True
    """The name says what the copy holds: one that is there is right. A toolchain of the same lock may be made anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A copy that is there, read back."""

    name: str
    what: str
    recipes: tuple[str, ...]
    digest: Digest
    """Of the copy's manifest."""
    size: int
    sent: int
    """Bytes that were not there before."""


def pieces(recipe: Recipe, pin: Pin, resolver: Resolver) -> Iterator[Piece]:
    """List what a pinned recipe is built from. Everything of it lies on this machine already."""
    images = resolver.images
    git = [GitSource(repo=one.repo, commit=one.commit, version=one.version) for one in recipe.patch_sets]
    match recipe.source:
        case GitSource():
            git.append(recipe.source)
        case SdistSource():
            yield _archive(recipe.name, recipe.source, resolver.sources)
        case PackagesSource():
            for lock, wheels in resolver.packages.locked(recipe.source, pin.source):
                yield _packages(recipe.name, lock, wheels)
            yield from _made(images.layout("base", pin.base), "base", pin.base, recipe.name)
        case VendorSource():
            resolver.images.reporter.warning(
                f"{recipe.name}: {recipe.source.image} is not kept: mirror it yourself"
            )
    for url, commit in (one for source in git for one in resolver.sources.repositories(source)):
        yield _commit(recipe.name, resolver.sources.mirrors.mirror(url), url, commit)
    if pin.toolchain:
        yield from _compiler(recipe, pin, pin.toolchain, resolver)


def _compiler(recipe: Recipe, pin: Pin, toolchain: PinnedImage, resolver: Resolver) -> Iterator[Piece]:
    """List what a compiled image is made with."""
    images = resolver.images
    lock = read_cuda_lock(resolver.toolchains, recipe.toolchain.cuda)

    def wheels(work: Path) -> Parcel:
        folder = fetch_wheels(lock, _MACHINE, images.cache, images.reporter, custody=images.custody)
        return _files(work, *((path, path.name) for path in sorted(folder.iterdir())))

    name, what = wheels_name(lock, _MACHINE), f"CUDA {lock.version} wheels"
    yield Piece(name=name, what=what, recipe=recipe.name, gather=wheels)
    place = images.toolchain_name(recipe.toolchain.cuda, toolchain)
    yield from _made(images.layout(place, toolchain), place, toolchain, recipe.name)
    yield from _made(images.layout("base", pin.base), "base", pin.base, recipe.name)


def _commit(recipe: str, mirror: Path, url: str, commit: Commit) -> Piece:
    return Piece(
        name=git_name(url, commit),
        what=f"{url} at {commit}",
        recipe=recipe,
        gather=lambda work: _files(work, (pack_commit(mirror, commit, work), f"{commit}.pack")),
    )


def _archive(recipe: str, source: SdistSource, sources: Sources) -> Piece:
    path = archive_path(source, sources.cache)

    def archived(work: Path) -> Parcel:
        with fetch_archive(source, sources.cache, custody=sources.custody):
            return _files(work, (path, path.name))

    return Piece(name=archive_name(source.sha256), what=source.sdist, recipe=recipe, gather=archived)


def _packages(recipe: str, lock: WheelLock, wheels: tuple[Path, ...]) -> Piece:
    def proved(work: Path) -> Parcel:
        proven(lock, wheels[0].parent, wheels)
        return _files(work, *((path, path.name) for path in wheels))

    return Piece(name=packages_name(lock), what=f"wheels of {lock.title}", recipe=recipe, gather=proved)


def _made(layout: Path, place: str, image: PinnedImage, recipe: str) -> Iterator[Piece]:
    """The image first, then the record that leads to it."""
    yield Piece(
        name=image_name(image.digest),
        what=f"{place} {image.digest}",
        recipe=recipe,
        gather=lambda _work: _image(layout, image.digest),
    )
    record = layout.with_name(RECORD)
    beside = [(path, path.name) for path in (record, layout.parent / DRIVER_STUB) if path.exists()]
    yield Piece(
        name=made_name(place, image.lock),
        what=f"{place}, what it is",
        recipe=recipe,
        gather=lambda work: _files(work, *beside),
        settled=False,
    )


def keep(wanted: Iterable[Piece], custody: Custody, reporter: Reporter) -> tuple[Kept, ...]:
    """Copy what is not there.

    Raises:
        WorkFailed: what was copied is not what is read back.
        Unavailable: the place of the copies cannot be reached.
    """
    recipes: dict[str, list[str]] = {}
    first: dict[str, Piece] = {}
    for piece in wanted:
        first.setdefault(piece.name, piece)
        users = recipes.setdefault(piece.name, [])
        if piece.recipe not in users:
            users.append(piece.recipe)
    kept = []
    for name, piece in first.items():
        with (
            reporter.step(f"keep {piece.what}") as step,
            store.scratch(custody.cache) as work,
        ):
            kept.append(_keep(piece, tuple(recipes[name]), custody, step, work))
    return tuple(kept)


def _keep(piece: Piece, recipes: tuple[str, ...], custody: Custody, step: Step, work: Path) -> Kept:
    shelf = custody.shelf
    there, listed = _there(piece.name, shelf)
    parcel = None if there and piece.settled else piece.gather(work)
    same = there and (parcel is None or parcel.manifest.digest == there.digest)
    if there and same and all(shelf.has_blob(digest) for digest in listed):
        step.verdict("already there")
        size = sum(listed.values())
        return Kept(name=piece.name, what=piece.what, recipes=recipes, digest=there.digest, size=size, sent=0)
    parcel = parcel or piece.gather(work)
    sent = 0
    for blob in parcel.blobs:
        if shelf.has_blob(blob.digest):
            continue
        shelf.put_blob(blob.digest, blob.path, on_bytes=_progress(step, blob.size))
        sent += blob.size
    shelf.put(piece.name, parcel.manifest)
    back = shelf.find(piece.name)
    missing = [str(blob.digest) for blob in parcel.blobs if not shelf.has_blob(blob.digest)]
    if back is None or back.digest != parcel.manifest.digest or missing:
        found = (
            "nothing" if back is None else ", ".join(missing) + " missing" if missing else str(back.digest)
        )
        message = f"{shelf} does not hold {piece.name} as it was copied: {found} was read back"
        raise WorkFailed(
            message, hint="run it again; if it stays, the place of the copies loses what it is given"
        )
    step.verdict(f"{sent / 1_000_000:.1f} MB")
    size = sum(blob.size for blob in parcel.blobs)
    return Kept(name=piece.name, what=piece.what, recipes=recipes, digest=back.digest, size=size, sent=sent)


def _progress(step: Step, size: int) -> Callable[[int], None]:
    return lambda count: step.update(f"{count >> 20} of {size >> 20} MiB")


def _there(name: str, shelf: Shelf) -> tuple[Manifest | None, dict[Digest, int]]:
    """Return the copy that is there and what it names; one that cannot be read is made again."""
    there = shelf.find(name)
    try:
        return there, {one.digest: one.size for one in named(name, there)} if there else {}
    except WorkFailed:
        return None, {}


def _image(layout: Path, digest: Digest) -> Parcel:
    """Take an image from its layout, to the byte."""
    blobs = layout / "blobs" / "sha256"
    data = (blobs / digest.hex).read_bytes()
    manifest = Manifest(digest=digest, media_type=json.loads(data).get("mediaType", _MANIFEST), data=data)
    return Parcel(
        manifest=manifest,
        blobs=tuple(
            Blob(digest=one.digest, path=blobs / one.digest.hex, size=one.size)
            for one in dict.fromkeys(named(str(digest), manifest))
        ),
    )


def _files(work: Path, *files: tuple[Path, str]) -> Parcel:
    """Write the manifest of an artifact: files as layers, in order; each is kept under its own hash."""
    empty = work / "empty.json"
    store.write_text(empty, "{}")
    blobs = tuple(
        Blob(
            digest=Digest(f"sha256:{store.sha256_file(path)}"),
            path=path,
            size=path.stat().st_size,
            title=title,
        )
        for path, title in (*files, (empty, ""))
    )
    return Parcel(manifest=_manifest(blobs[:-1], blobs[-1]), blobs=blobs)


def _manifest(files: tuple[Blob, ...], empty: Blob) -> Manifest:
    layers = [
        {
            "mediaType": _FILE,
            "digest": str(blob.digest),
            "size": blob.size,
            "annotations": {TITLE: blob.title},
        }
        for blob in files
    ]
    document = {
        "schemaVersion": 2, "mediaType": _MANIFEST, "artifactType": _KIND,
        "config": {"mediaType": _EMPTY, "digest": str(empty.digest), "size": empty.size},
        "layers": layers,
    }  # fmt: skip
    data = store.canonical_json(document).encode()
    return Manifest(digest=digest_of(data), media_type=_MANIFEST, data=data)
