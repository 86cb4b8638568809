"""Places that keep copies by their hash: an OCI layout folder, or a repository of a registry. Both hold blobs and named manifests.

What a name means is decided elsewhere. https://github.com/opencontainers/image-spec/blob/v1.1.0/image-layout.md
"""

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from build.doors import store
from build.doors.distribution import digest_of
from build.doors.download import ReadingRegistry
from build.doors.jsonvalues import MalformedError, digest, items, json_document, mapping, text
from build.doors.layoutindex import store_manifest, write_index
from build.doors.registry import Manifest
from build.errors import WorkFailed
from build.recipe.refs import Digest, ImageRef

__all__ = ["LayoutShelf", "RegistryShelf"]

_NAME: Final = "org.opencontainers.image.ref.name"
_PIECE: Final = 1 << 20

Told = Callable[[int], None]


def _nobody(_count: int) -> None:
    """Nobody is told how far it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayoutShelf:
    """An OCI layout folder with many manifests, each named in its index."""

    root: Path

    def __str__(self) -> str:
        return str(self.root)

    def find(self, name: str) -> Manifest | None:
        """Return what a name means, its hash proven; None where the folder has no such name."""
        for entry in self._entries():
            if _name_of(entry) == name:
                return self._manifest(entry)
        return None

    def has_blob(self, digest: Digest) -> bool:
        """Say whether a blob is there; it got its name when it was whole."""
        return self._blob(digest).is_file()

    def put_blob(self, digest: Digest, path: Path, *, on_bytes: Told = _nobody) -> None:
        """Copy a file in. Raises WorkFailed where its bytes are not the digest's."""
        found = _copy(path, self._blob(digest), digest, on_bytes)
        if found != digest:
            message = f"{path} has the digest {found}, not {digest}: it was changed after it was pinned"
            raise WorkFailed(message)

    def save_blob(self, digest: Digest, size: int, path: Path, *, on_bytes: Told = _nobody) -> None:
        """Copy a blob out, its hash proven. Raises WorkFailed where it is not there, or damaged."""
        if not self.has_blob(digest) or self._blob(digest).stat().st_size != size:
            message = f"{self} has no whole blob {digest}"
            raise WorkFailed(message, hint="copy it again: nox -s custody")
        found = _copy(self._blob(digest), path, digest, on_bytes)
        if found != digest:
            raise self._damaged(digest, found)

    def put(self, name: str, manifest: Manifest) -> None:
        """Store a manifest under a name, in place of what the name meant before."""
        with store.locked(self.root / ".lock"):
            entry = {**store_manifest(self.root, manifest), "annotations": {_NAME: name}}
            others = [one for one in self._entries() if _name_of(one) != name]
            write_index(self.root, [*others, entry])

    def _entries(self) -> list[Mapping[str, Any]]:
        path = self.root / "index.json"
        try:
            document = json_document(path.read_bytes(), "it")
            entries = [mapping(one, "manifests") for one in items(document.get("manifests"), "manifests")]
            for one in entries:
                mapping(one.get("annotations") or {}, "manifests.annotations")
        except FileNotFoundError:
            return []
        except (OSError, MalformedError) as error:
            message = f"{path} cannot be read: {error}"
            hint = (
                f"no OCI layout? choose another folder; else delete {path} and copy it again: nox -s custody"
            )
            raise WorkFailed(message, hint=hint) from error
        return entries

    def _manifest(self, entry: Mapping[str, Any]) -> Manifest | None:
        """Read what an entry names, its hash proven; None where its bytes are gone."""
        try:
            wanted = digest(entry.get("digest"), "manifests.digest")
            kind = text(entry.get("mediaType"), "manifests.mediaType")
            data = self._blob(wanted).read_bytes()
        except FileNotFoundError:
            return None
        except MalformedError as error:
            path = self.root / "index.json"
            message = f"{path} cannot be read: {error}"
            raise WorkFailed(message, hint=f"delete {path} and copy it again: nox -s custody") from error
        if digest_of(data) != wanted:
            raise self._damaged(wanted, digest_of(data))
        return Manifest(digest=wanted, media_type=kind, data=data)

    def _blob(self, digest: Digest) -> Path:
        return self.root / "blobs" / "sha256" / digest.hex

    def _damaged(self, digest: Digest, found: Digest) -> WorkFailed:
        path = self._blob(digest)
        message = f"{path} is damaged: its digest is {found}"
        return WorkFailed(message, hint=f"delete {path} and copy it again: nox -s custody")


def _name_of(entry: Mapping[str, Any]) -> object:
    return (entry.get("annotations") or {}).get(_NAME)


def _copy(source: Path, target: Path, wanted: Digest, on_bytes: Told) -> Digest:
    """Copy a file beside its place and rename it, if what has arrived on disk has the wanted digest. Returns what it has."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    count = 0
    try:
        with source.open("rb") as reading, part.open("wb") as writing:
            while piece := reading.read(_PIECE):
                writing.write(piece)
                count += len(piece)
                on_bytes(count)
            writing.flush()
            os.fsync(writing.fileno())
        with part.open("rb") as written:
            found = Digest(f"sha256:{hashlib.file_digest(written, 'sha256').hexdigest()}")
        if found == wanted:
            part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryShelf:
    """One repository of a registry; names are its tags."""

    registry: ReadingRegistry
    repository: ImageRef

    def __str__(self) -> str:
        return str(self.repository)

    def find(self, name: str) -> Manifest | None:
        """Return what a name means; None only where the registry says that it has no such name."""
        return self.registry.manifest(replace(self.repository, tag=name))

    def has_blob(self, digest: Digest) -> bool:
        """Say whether the repository holds a blob."""
        return self.registry.has_blob(self.repository, digest)

    def put_blob(self, digest: Digest, path: Path, *, on_bytes: Told = _nobody) -> None:
        """Upload a file; registry and sender both prove its hash."""
        self.registry.push_blob(self.repository, digest, path, on_bytes=on_bytes)

    def save_blob(self, digest: Digest, size: int, path: Path, *, on_bytes: Told = _nobody) -> None:
        """Download a blob, its size and hash proven."""
        self.registry.save_blob(self.repository, digest, size, path, on_bytes=on_bytes)

    def put(self, name: str, manifest: Manifest) -> None:
        """Store a manifest under a tag."""
        self.registry.put_manifest(replace(self.repository, tag=name), manifest.data, manifest.media_type)
