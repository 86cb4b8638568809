"""What push asks of a registry, and what it leaves: the content of push.json. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from build.doors.registry import Manifest
from build.recipe.refs import Digest, ImageRef

__all__ = ["Manifest", "PushReceipt", "Registry"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PushReceipt:
    """An image in a registry, every reference read back. Holds no time: pushing the same again gives the same receipt."""

    digest: Digest
    """Of the manifest, as in image.json and smoke.json."""
    refs: dict[str, Digest]
    """Reference to digest, the immutable tag first."""


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
