"""An image in a layout on disk as what has to arrive in a registry: its blobs, then the manifest that names them."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from build.doors.effects import Step
from build.image.layout import BrokenLayout, Layout
from build.image.model import megabytes
from build.publish.model import Manifest, Registry
from build.recipe.refs import Digest, ImageRef

__all__ = ["OCI_MANIFEST", "Blob", "Parcel", "pack", "send"]

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
"""What a manifest is that does not say so itself."""

_MEGABYTE = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """One blob and the file that holds it."""

    digest: Digest
    path: Path
    size: int
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """All that has to arrive; blobs before the manifest that names them."""

    manifest: Manifest
    blobs: tuple[Blob, ...]


def pack(layout: Layout) -> Parcel:
    """Gather what a layout sends. Raises BrokenLayout where a file is missing."""
    blobs = layout.path / "blobs" / "sha256"
    config = blobs / layout.config_digest.hex
    try:
        data = (blobs / layout.digest.hex).read_bytes()
        size = config.stat().st_size
    except OSError as error:
        raise BrokenLayout(layout.path, f"{error.filename}: {error.strerror}") from error
    media_type = str(json.loads(data).get("mediaType") or OCI_MANIFEST)
    layers = {layer.digest: layer for layer in layout.layers}
    return Parcel(
        manifest=Manifest(digest=layout.digest, media_type=media_type, data=data),
        blobs=(
            *(
                Blob(
                    digest=layer.digest,
                    path=blobs / layer.digest.hex,
                    size=layer.size,
                    what=f"layer {number}",
                )
                for number, layer in enumerate(layers.values(), start=1)
            ),
            Blob(digest=layout.config_digest, path=config, size=size, what="configuration"),
        ),
    )


def send(
    registry: Registry, repository: ImageRef, blobs: tuple[Blob, ...], step: Step, *, mount_from: str = ""
) -> None:
    """Send the blobs that are not there; `mount_from` is a repository of the registry that may hold them already."""
    total = sum(blob.size for blob in blobs)
    done = sent = 0
    for blob in blobs:
        if not registry.has_blob(repository, blob.digest):
            registry.push_blob(
                repository,
                blob.digest,
                blob.path,
                on_bytes=_progress(step, blob, done, total),
                mount_from=mount_from,
            )
            sent += blob.size
        done += blob.size
    step.verdict(f"{megabytes(sent)} sent of {megabytes(total)}")


def _progress(step: Step, blob: Blob, done: int, total: int) -> Callable[[int], None]:
    """Say how far it is whenever another whole megabyte has left."""
    shown = -1

    def on_bytes(count: int) -> None:
        nonlocal shown
        if count // _MEGABYTE != shown:
            shown = count // _MEGABYTE
            step.update(f"{blob.what}, {megabytes(done + count)} of {megabytes(total)}")

    return on_bytes
