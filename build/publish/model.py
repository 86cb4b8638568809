"""What push asks of a registry, and what it leaves: the content of push.json. Pure."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from build.doors.referrers import Referrer
from build.doors.registry import Manifest
from build.recipe.refs import Digest, ImageRef

__all__ = ["Attaching", "Manifest", "PushReceipt", "Referrer", "Registry"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PushReceipt:
    """An image in a registry, every reference read back. Holds no time: pushing the same again gives the same receipt."""

    digest: Digest
    """Of the manifest, as in image.json and smoke.json."""
    refs: dict[str, Digest]
    """Reference to digest, the immutable tag first."""
    attached: dict[str, Digest] = field(default_factory=dict)
    """What refers to the image: artifact type to the digest of its manifest."""


class Registry(Protocol):
    """A place that images are pushed to. A repository is an ImageRef without tag and digest.

    Every method raises Unreachable where there is no answer: "not there" and "not known" are different things.
    """

    def manifest(self, ref: ImageRef) -> Manifest | None:
        """Return what a tag or digest means; None where it does not exist."""

    def has_blob(self, repository: ImageRef, digest: Digest) -> bool: ...

    def read_blob(self, repository: ImageRef, digest: Digest) -> bytes | None:
        """Return a short blob, its hash proven; None where it does not exist."""

    def push_blob(
        self,
        repository: ImageRef,
        digest: Digest,
        path: Path,
        *,
        on_bytes: Callable[[int], None] = ...,
        mount_from: str = "",
    ) -> None:
        """Upload a file whose hash is proven on the way; `mount_from` is a repository that may hold it already."""

    def put_manifest(self, ref: ImageRef, data: bytes, media_type: str) -> Digest:
        """Store a manifest under a tag or digest; return its digest as the registry confirmed it."""

    def tags(self, repository: ImageRef) -> tuple[str, ...]: ...


class Attaching(Registry, Protocol):
    """A registry that artifacts are attached in. A subject is an ImageRef with a digest."""

    def referrers(self, subject: ImageRef) -> tuple[Referrer, ...]: ...

    def refer(self, subject: ImageRef, added: tuple[Referrer, ...]) -> None:
        """See to it that manifests that were pushed are listed as referring to the subject."""
