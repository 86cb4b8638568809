"""Bundles in a registry: everything that an image is built from, attached to it, and fetched again with nothing but its digest.

One layer a file; toolchain and base are images of their own beside it, `ingot-toolchain` and `ingot-base`, by digest. What a
registry hands out is anybody's word: each blob is held against its hash, and only what a bundle has is written.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Protocol

from build.doors import store
from build.doors.effects import Reporter
from build.doors.jsonvalues import MalformedError, digest, items, json_document, mapping, text, whole
from build.doors.platforms import TARGET, Platform
from build.errors import NothingSelected, WorkFailed
from build.image.layout import open_layout
from build.image.members import clean
from build.plan.model import ImagePlan
from build.publish.attach import TITLE, Artifact, ArtifactFile
from build.publish.bundle import BASE, LOCKS, PATCHES, PIN, PLAN, RECIPE, SOURCE, TOOLCHAIN, link_layout
from build.publish.model import Attaching, Manifest, Referrer, Registry
from build.publish.parcel import pack, send
from build.publish.pulled import BlobSource, pull
from build.publish.tags import put
from build.recipe.naming import BASE_REPOSITORY, TOOLCHAIN_REPOSITORY
from build.recipe.refs import Digest, ImageRef
from build.recipe.words import quoted
from build.settings import Namespace

__all__ = ["CUSTODY", "CustodyRegistry", "deposit", "fetch", "held"]

CUSTODY: Final = "application/vnd.ingot.custody.v1+json"
_CONFIG: Final = "application/vnd.ingot.custody.config.v1+json"
_IMAGES: Final = ((TOOLCHAIN, TOOLCHAIN_REPOSITORY), (BASE, BASE_REPOSITORY))
_TYPES: Final = {".json": "application/json", ".yaml": "application/yaml", ".tar": "application/x-tar"}
_MOST_FILES: Final = 1000
_MOST: Final = 64 << 20
_MOST_SOURCE: Final = 16 << 30
_AGAIN: Final = "push the image again with --custody, from a machine that has it"


class CustodyRegistry(Attaching, BlobSource, Protocol):
    """A registry that bundles are read from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Depot:
    """The configuration of the artifact: which image it builds, and where toolchain and base are."""

    fingerprint: str
    toolchain: str
    """`repository@digest` in the same registry."""
    base: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    """A layer of the artifact."""

    title: str
    digest: Digest
    size: int


def deposit(
    bundle: Path,
    plan: ImagePlan,
    subject: ImageRef,
    namespace: Namespace,
    registry: Registry,
    reporter: Reporter,
) -> Artifact:
    """Push toolchain and base of a bundle where they are not there, and return the rest as an artifact to attach.

    Raises:
        WorkFailed: the registry does not keep what it is sent.
        Unavailable: the registry cannot be reached or refuses access.
    """
    images = {
        folder: image for folder, image in ((TOOLCHAIN, plan.pin.toolchain), (BASE, plan.pin.base)) if image
    }
    places = {}
    for folder, name in _IMAGES:
        parcel = pack(open_layout(bundle / folder, platform=images[folder].platform))
        repository = ImageRef(registry=namespace.host, repository=f"{namespace.path}/{name}")
        # The digest is in the tag too: a lock may give another image one day, and what has no tag may be swept.
        lock, image = images[folder].lock, parcel.manifest.digest
        ref = replace(repository, tag=f"{lock[:12]}-{image.hex[:12]}")
        with reporter.step(f"keep {ref}") as step:
            there = registry.manifest(ref)
            if there is None or there.digest != image:
                send(registry, repository, parcel.blobs, step, mount_from=subject.repository)
                put(registry, ref, parcel.manifest)
            else:
                step.verdict("already there")
        places[folder] = f"{repository.repository}@{image}"
    depot = _Depot(fingerprint=plan.fingerprint, toolchain=places[TOOLCHAIN], base=places[BASE])
    return Artifact(
        artifact_type=CUSTODY,
        files=tuple(_files(bundle)),
        config=store.canonical_json(store.to_data(depot)).encode(),
        config_type=_CONFIG,
    )


def held(subject: ImageRef, registry: Attaching) -> tuple[Referrer, ...]:
    """List the bundles that are attached to an image."""
    return tuple(one for one in registry.referrers(subject) if one.artifact_type == CUSTODY)


def fetch(
    subject: ImageRef, fingerprint: str, cache: Path, registry: CustodyRegistry, reporter: Reporter
) -> Path:
    """Return the folder of the bundle that is attached to an image; `fingerprint` is what the image's own label says.

    Doing it again after a kill goes on with what is whole; a folder that is there was fetched to the end.

    Raises:
        NothingSelected: no bundle is attached.
        WorkFailed: what is attached is another image's, is no bundle, or has other bytes than it promised.
        Unavailable: the registry cannot be reached or refuses access.
    """
    found = held(subject, registry)
    if not found:
        message = f"{subject} has no bundle attached: what it was built from is not in the registry"
        raise NothingSelected(message, hint=_AGAIN)
    refused = ""
    for one in found:
        ref = replace(subject, digest=one.digest)
        manifest = registry.manifest(ref)
        if manifest is None:
            refused = f"{ref} is listed and is not there"
            continue
        depot = _depot(ref, manifest, subject, registry)
        if depot.fingerprint == fingerprint:
            return _fetched(ref, manifest, depot, cache, registry, reporter)
        refused = f"the bundle {ref} is of an image with the fingerprint {depot.fingerprint}, {subject} has {fingerprint}"
    raise WorkFailed(refused, hint=_AGAIN)


def _files(bundle: Path) -> Iterator[ArtifactFile]:
    for path in sorted(bundle.rglob("*")):
        title = path.relative_to(bundle).as_posix()
        if path.is_file() and title.partition("/")[0] not in {TOOLCHAIN, BASE}:
            kind = _TYPES.get(path.suffix, "application/octet-stream")
            yield ArtifactFile(path=path, title=title, media_type=kind)


def _depot(ref: ImageRef, manifest: Manifest, subject: ImageRef, registry: CustodyRegistry) -> _Depot:
    """Read where things are, and refuse an artifact that belongs to another image."""
    try:
        document = json_document(manifest.data, "the manifest")
        about = digest(mapping(document.get("subject"), "subject").get("digest"), "subject.digest")
        config = digest(mapping(document.get("config"), "config").get("digest"), "config.digest")
    except MalformedError as error:
        raise _no_bundle(ref, str(error)) from error
    if about != subject.digest:
        raise _no_bundle(ref, f"it belongs to {about}, not to {subject.digest}")
    data = registry.read_blob(ref, config)
    found = store.parsed(data.decode(errors="replace"), _Depot) if data is not None else None
    if found is None:
        raise _no_bundle(ref, "its configuration is not there, or of another version of the pipeline")
    return found


def _fetched(
    ref: ImageRef,
    manifest: Manifest,
    depot: _Depot,
    cache: Path,
    registry: CustodyRegistry,
    reporter: Reporter,
) -> Path:
    files = tuple(_listed(ref, manifest))
    final = cache / "custody" / manifest.digest.hex
    with store.locked(final.with_name(f".{final.name}.lock")):
        if final.is_dir() and all(_whole(final, file) for file in files):
            return final
        part = final.with_name(f".{final.name}.part")
        with reporter.step(f"fetch the bundle {ref}") as step:
            for number, file in enumerate(files, start=1):
                step.update(f"[{number}/{len(files)}]")
                if not _whole(part, file):
                    registry.save_blob(ref, file.digest, file.size, part / file.title)
        plan = store.parsed((part / PLAN).read_text(encoding="utf-8", errors="replace"), ImagePlan)
        if plan is None or plan.pin.toolchain is None:
            raise _no_bundle(ref, f"its {PLAN} names no toolchain, or is of another version of the pipeline")
        # What compiled may be an image for another machine than the one that it compiles for.
        runs_on = plan.pin.toolchain.platform
        for folder, place, platform in ((TOOLCHAIN, depot.toolchain, runs_on), (BASE, depot.base, TARGET)):
            image = _image(ref, place, platform, cache / "pulled", registry, reporter)
            store.discard(part / folder)
            link_layout(image, part / folder)
        store.replace_dir(part, final)
    return final


def _listed(ref: ImageRef, manifest: Manifest) -> Iterator[_File]:
    """Read the files that an artifact lists. A bundle has no others, and none twice."""
    seen = set()
    try:
        layers = items(json_document(manifest.data, "the manifest").get("layers"), "layers")
        if len(layers) > _MOST_FILES:
            raise _no_bundle(ref, f"it lists {len(layers)} files")
        for layer in (mapping(one, "layers") for one in layers):
            title = text(mapping(layer.get("annotations"), "annotations").get(TITLE), TITLE)
            size = whole(layer.get("size"), "layers.size")
            if not _belongs(title) or title in seen or size > (_MOST_SOURCE if title == SOURCE else _MOST):
                raise _no_bundle(ref, f"it lists {quoted(title)} of {size} bytes, which no bundle has")
            seen.add(title)
            yield _File(title=title, digest=digest(layer.get("digest"), "layers.digest"), size=size)
    except MalformedError as error:
        raise _no_bundle(ref, str(error)) from error
    if missing := {RECIPE, PIN, PLAN, SOURCE} - seen:
        raise _no_bundle(ref, f"it lacks {', '.join(sorted(missing))}")


def _belongs(title: str) -> bool:
    try:
        inside = clean(title) == title
    except MalformedError:
        return False
    return inside and (title in {RECIPE, PIN, PLAN, SOURCE} or title.startswith((f"{PATCHES}/", f"{LOCKS}/")))


def _whole(folder: Path, file: _File) -> bool:
    path = folder / file.title
    return path.is_file() and path.stat().st_size == file.size and store.sha256_file(path) == file.digest.hex


def _image(
    ref: ImageRef, place: str, platform: Platform, cache: Path, registry: CustodyRegistry, reporter: Reporter
) -> Path:
    """Pull toolchain or base. What lies below the cache from before is held against its hashes once more."""
    try:
        image = ImageRef.parse(f"{ref.registry}/{place}")
    except ValueError as error:
        raise _no_bundle(ref, f"{quoted(place)} names no image") from error
    if image.digest is None:
        raise _no_bundle(ref, f"{quoted(place)} names no digest")
    layout = pull(image, cache, registry, reporter, platform=platform).layout
    for layer in layout.layers:
        path = layout.path / "blobs" / "sha256" / layer.digest.hex
        if path.is_file() and store.sha256_file(path) == layer.digest.hex:
            continue
        store.discard(layout.path)
        return pull(image, cache, registry, reporter, platform=platform).layout.path
    return layout.path


def _no_bundle(ref: ImageRef, why: str) -> WorkFailed:
    return WorkFailed(f"{ref} is no bundle that can be built: {why}", hint=_AGAIN)
