"""An image of a registry as an OCI layout below the cache, by digest: pulled once, each blob proven by its hash."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Protocol

from build.doors import store
from build.doors.effects import Reporter, Step
from build.doors.jsonvalues import MalformedError, digest, items, json_document, mapping
from build.doors.layoutindex import store_manifest, write_index
from build.doors.platforms import TARGET
from build.doors.registry import Manifest
from build.errors import BadRequest, NothingSelected, WorkFailed
from build.image.config import ImageConfig, parse_config
from build.image.layout import BrokenLayout, Layout, open_layout
from build.image.model import megabytes
from build.publish.published import contents_of
from build.recipe.refs import Digest, ImageRef

__all__ = ["BlobSource", "Manifests", "PulledImage", "image_manifest", "pull", "read_config"]

_INDEXES: Final = frozenset(
    {
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
    }
)


class Manifests(Protocol):
    """A registry, as far as it says what a reference means."""

    def manifest(self, ref: ImageRef) -> Manifest | None: ...


class ConfigSource(Manifests, Protocol):
    """A registry, as far as configurations are read from it."""

    def read_blob(self, repository: ImageRef, digest: Digest) -> bytes | None: ...


class BlobSource(Manifests, Protocol):
    """A registry, as far as images are read from it."""

    def save_blob(
        self,
        repository: ImageRef,
        digest: Digest,
        size: int,
        path: Path,
        *,
        on_bytes: Callable[[int], None] = ...,
    ) -> None:
        """Write a blob to a file, which is there only when it is whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PulledImage:
    """An image on disk, and what it was called."""

    ref: ImageRef
    """With the digest that was found."""
    layout: Layout


def pull(
    ref: ImageRef, cache: Path, registry: BlobSource, reporter: Reporter, *, platform: str = TARGET
) -> PulledImage:
    """Return the image that a reference means. What lies below the cache by its digest is not asked for again.

    Raises:
        NothingSelected: the registry has no such image.
        BadRequest: it has none for the platform.
        WorkFailed: it sends other bytes than it promised.
        Unavailable: it cannot be reached, or refuses access.
    """
    if ref.digest and (known := _known(cache, ref.digest, platform)):
        return PulledImage(ref=ref, layout=known)
    manifest = image_manifest(ref, registry, platform)
    found = replace(ref, digest=manifest.digest)
    with store.locked(cache / f".{manifest.digest.hex}.lock"):
        layout = _known(cache, manifest.digest, platform)
        if layout is None:
            _fetch(found, manifest, cache, registry, reporter)
            layout = open_layout(cache / manifest.digest.hex, platform=platform)
    return PulledImage(ref=found, layout=layout)


def _known(cache: Path, name: Digest, platform: str) -> Layout | None:
    if not (cache / name.hex / "index.json").exists():
        return None
    try:
        return open_layout(cache / name.hex, platform=platform)
    except BrokenLayout:
        store.discard(cache / name.hex)
        return None


def image_manifest(ref: ImageRef, registry: Manifests, platform: str = TARGET) -> Manifest:
    """Return the manifest that a reference means; of an index, the one for the platform.

    Raises:
        NothingSelected: the registry does not have it.
        BadRequest: it has none for the platform.
    """
    manifest = registry.manifest(ref)
    if manifest is None:
        message = f"{ref} is not in the registry"
        raise NothingSelected(message, hint="`nox -s history -- RECIPE` lists the tags that are there")
    if manifest.media_type not in _INDEXES:
        return manifest
    with _understood(ref):
        listed = items(json_document(manifest.data, str(ref)).get("manifests"), "manifests")
        names = [
            digest(entry.get("digest"), "digest")
            for entry in map(_entry, listed)
            if _platform(entry) == platform
        ]
    if len(names) != 1:
        message = f"{ref} holds {len(names)} images for {platform}, one is expected"
        raise BadRequest(message)
    inner = registry.manifest(replace(ref, tag="", digest=names[0]))
    if inner is None:
        message = f"{ref} lists {names[0]}, which does not exist"
        raise WorkFailed(message)
    return inner


def read_config(ref: ImageRef, name: Digest, registry: ConfigSource) -> ImageConfig:
    """Read the configuration that the manifest of an image names.

    Raises:
        WorkFailed: it is not in the registry.
        MalformedError: it cannot be read.
    """
    data = registry.read_blob(ref, name)
    if data is None:
        message = f"{ref} names the configuration {name}, which is not in the registry"
        raise WorkFailed(message, hint="it was only half pushed or half deleted: push it again")
    return parse_config(json_document(data, "the configuration"))


def _entry(value: object) -> dict[str, Any]:
    return dict(mapping(value, "manifests"))


def _platform(entry: dict[str, Any]) -> str:
    named = mapping(entry.get("platform") or {}, "platform")
    return f"{named.get('os')}/{named.get('architecture')}"


def _fetch(ref: ImageRef, manifest: Manifest, cache: Path, registry: BlobSource, reporter: Reporter) -> None:
    """Write the layout beside its place and rename it. Blobs that a killed run has left are whole, and used."""
    final = cache / manifest.digest.hex
    part = final.with_name(f".{final.name}.part")
    blobs = part / "blobs" / "sha256"
    wanted = _blobs(ref, manifest)
    total = sum(size for _, size in wanted)
    done = 0
    with reporter.step(f"pull {ref}") as step:
        for name, size in wanted:
            if not (blobs / name.hex).exists():
                registry.save_blob(ref, name, size, blobs / name.hex, on_bytes=_progress(step, done, total))
            done += size
        write_index(part, [store_manifest(part, manifest)])
        step.verdict(megabytes(total))
    part.rename(final)


def _blobs(ref: ImageRef, manifest: Manifest) -> tuple[tuple[Digest, int], ...]:
    """List configuration and layers, each once."""
    with _understood(ref):
        found = contents_of(manifest)
    return tuple(
        {found.config: found.config_size, **dict(zip(found.layers, found.sizes, strict=True))}.items()
    )


def _progress(step: Step, done: int, total: int) -> Callable[[int], None]:
    return lambda count: step.update(f"{megabytes(done + count)} of {megabytes(total)}")


@contextmanager
def _understood(ref: ImageRef) -> Iterator[None]:
    """Name the image whose manifest cannot be read."""
    try:
        yield
    except MalformedError as error:
        message = f"the manifest of {ref} cannot be read: {error}"
        raise WorkFailed(message) from error
