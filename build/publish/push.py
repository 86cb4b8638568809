"""Pushes a smoke-tested image: its very bytes, under the immutable tag first, then under the moving ones.

Never builds, never changes a byte, and moves no tag before the image has been read back from the registry.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from build.doors.effects import Reporter
from build.errors import WorkFailed
from build.image.layout import open_layout
from build.plan.model import ImagePlan
from build.publish.model import PushReceipt, Registry
from build.publish.parcel import Parcel, pack, send
from build.publish.tags import move, put
from build.recipe.refs import Digest, ImageRef
from build.settings import Namespace
from build.smoke.model import VerifiedImage

__all__ = ["push"]


def push(  # noqa: PLR0913  (an image, where it goes, and what goes with it)
    verified: VerifiedImage,
    plan: ImagePlan,
    layout: Path,
    namespace: Namespace,
    registry: Registry,
    reporter: Reporter,
    *,
    attach: Callable[[ImageRef], dict[str, Digest]] = lambda _subject: {},
) -> PushReceipt:
    """Push an image from its OCI layout. Doing it again is safe at any point and completes what was begun.

    `attach` is called with the image, by digest, when it is there and no moving tag leads to it yet; it returns the
    digests of what is attached, by artifact type.

    Raises:
        WorkFailed: the layout is not what was tested, the immutable tag means another image, or the registry keeps other bytes.
        Unavailable: the registry cannot be reached or refuses access; no moving tag points to an incomplete image.
    """
    parcel = _proven(verified, plan, layout)
    repository = ImageRef(
        registry=namespace.host, repository=f"{namespace.path}/{plan.recipe.image.repository}"
    )
    immutable = replace(repository, tag=plan.tag)
    with reporter.step(f"push {immutable}") as step:
        if _needs_upload(registry, immutable, parcel.manifest.digest):
            send(registry, repository, parcel.blobs, step)
            put(registry, immutable, parcel.manifest)
        else:
            step.verdict("already there")
    attached = attach(replace(repository, digest=parcel.manifest.digest))
    refs = {str(immutable): parcel.manifest.digest}
    for tag in plan.moving_tags:
        ref = replace(repository, tag=tag)
        with reporter.step(f"tag {ref}") as step:
            if not move(registry, ref, parcel.manifest):
                step.verdict("already there")
        refs[str(ref)] = parcel.manifest.digest
    return PushReceipt(digest=parcel.manifest.digest, refs=refs, attached=attached)


def _proven(verified: VerifiedImage, plan: ImagePlan, path: Path) -> Parcel:
    """Open the layout and refuse it unless it is the image that was planned, built and tested."""
    built = verified.built
    if built.fingerprint != plan.fingerprint:
        message = f"{plan.name} was planned anew after it was built: its tag {plan.tag} is not this image's"
        raise WorkFailed(message, hint=f"build it: `nox -s build -- {plan.name}`")
    layout = open_layout(path, platform=built.platform)
    if layout.digest != built.digest:
        message = f"{path} holds {layout.digest}, smoke-tested was {built.digest}"
        raise WorkFailed(message, hint=f"smoke-test what is there: `nox -s smoke -- {plan.name}`")
    return pack(layout)


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
