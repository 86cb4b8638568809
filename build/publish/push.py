"""Pushes a smoke-tested image: its very bytes, under the immutable tag first, then under the moving ones.

Never builds, never changes a byte, and moves no tag before the image has been read back from the registry.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from build.doors.effects import Reporter, Step
from build.errors import WorkFailed
from build.image.layout import BrokenLayout, open_layout
from build.image.model import megabytes
from build.plan.model import ImagePlan
from build.publish.model import Manifest, PushReceipt, Registry
from build.publish.tags import move, put
from build.recipe.refs import Digest, ImageRef
from build.settings import Namespace
from build.smoke.model import VerifiedImage

__all__ = ["push"]

_OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
"""What a manifest is that does not say so itself."""
_MEGABYTE = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Blob:
    """One blob of the image."""

    digest: Digest
    path: Path
    size: int
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parcel:
    """All that has to arrive; blobs before the manifest that names them."""

    manifest: Manifest
    blobs: tuple[_Blob, ...]


def push(
    verified: VerifiedImage,
    plan: ImagePlan,
    layout: Path,
    namespace: Namespace,
    registry: Registry,
    reporter: Reporter,
) -> PushReceipt:
    """Push an image from its OCI layout. Doing it again is safe at any point and completes what was begun.

    Raises:
        WorkFailed: the layout is not what was tested, the immutable tag means another image, or the registry keeps other bytes.
        Unavailable: the registry cannot be reached or refuses access; no moving tag points to an incomplete image.
    """
    parcel = _pack(verified, plan, layout)
    repository = ImageRef(
        registry=namespace.host, repository=f"{namespace.path}/{plan.recipe.image.repository}"
    )
    immutable = replace(repository, tag=plan.tag)
    with reporter.step(f"push {immutable}") as step:
        if _needs_upload(registry, immutable, parcel.manifest.digest):
            _send_blobs(registry, repository, parcel, step)
            put(registry, immutable, parcel.manifest)
        else:
            step.verdict("already there")
    refs = {str(immutable): parcel.manifest.digest}
    for tag in plan.moving_tags:
        ref = replace(repository, tag=tag)
        with reporter.step(f"tag {ref}") as step:
            if not move(registry, ref, parcel.manifest):
                step.verdict("already there")
        refs[str(ref)] = parcel.manifest.digest
    return PushReceipt(digest=parcel.manifest.digest, refs=refs)


def _pack(verified: VerifiedImage, plan: ImagePlan, path: Path) -> _Parcel:
    """Open the layout and refuse it unless it is the image that was planned, built and tested."""
    built = verified.built
    if built.fingerprint != plan.fingerprint:
        message = f"{plan.name} was planned anew after it was built: its tag {plan.tag} is not this image's"
        raise WorkFailed(message, hint=f"build it: `nox -s build -- {plan.name}`")
    layout = open_layout(path, platform=built.platform)
    if layout.digest != built.digest:
        message = f"{path} holds {layout.digest}, smoke-tested was {built.digest}"
        raise WorkFailed(message, hint=f"smoke-test what is there: `nox -s smoke -- {plan.name}`")
    blobs = path / "blobs" / "sha256"
    config = blobs / layout.config_digest.hex
    try:
        data = (blobs / layout.digest.hex).read_bytes()
        size = config.stat().st_size
    except OSError as error:
        raise BrokenLayout(path, f"{error.filename}: {error.strerror}") from error
    media_type = str(json.loads(data).get("mediaType") or _OCI_MANIFEST)
    layers = {layer.digest: layer for layer in layout.layers}
    return _Parcel(
        manifest=Manifest(digest=layout.digest, media_type=media_type, data=data),
        blobs=(
            *(
                _Blob(
                    digest=layer.digest,
                    path=blobs / layer.digest.hex,
                    size=layer.size,
                    what=f"layer {number}",
                )
                for number, layer in enumerate(layers.values(), start=1)
            ),
            _Blob(digest=layout.config_digest, path=config, size=size, what="configuration"),
        ),
    )


def _needs_upload(registry: Registry, ref: ImageRef, digest: Digest) -> bool:
    there = registry.manifest(ref)
    if there is None:
        return True
    if there.digest != digest:
        message = f"{ref} exists and is {there.digest}, not {digest}: an immutable tag is never overwritten"
        raise WorkFailed(
            message,
            hint="equal inputs gave two images: compare them, then delete the tag in the registry or the image here",
        )
    return False


def _send_blobs(registry: Registry, repository: ImageRef, parcel: _Parcel, step: Step) -> None:
    total = sum(blob.size for blob in parcel.blobs)
    done = sent = 0
    for blob in parcel.blobs:
        if not registry.has_blob(repository, blob.digest):
            registry.push_blob(
                repository, blob.digest, blob.path, on_bytes=_progress(step, blob, done, total)
            )
            sent += blob.size
        done += blob.size
    step.verdict(f"{megabytes(sent)} sent of {megabytes(total)}")


def _progress(step: Step, blob: _Blob, done: int, total: int) -> Callable[[int], None]:
    """Say how far it is whenever another whole megabyte has left."""
    shown = -1

    def on_bytes(count: int) -> None:
        nonlocal shown
        if count // _MEGABYTE != shown:
            shown = count // _MEGABYTE
            step.update(f"{blob.what}, {megabytes(done + count)} of {megabytes(total)}")

    return on_bytes
