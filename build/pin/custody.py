"""Copies of what builds start from, in the user's own keeping: how they are named, and how a build takes them.

A copy is an OCI artifact: a manifest whose layers are files, so that any OCI client can fetch it and equal bytes are kept
once. Where bytes come from is said aloud and never part of a pin. Writes no copy; that is `publish/custody.py`.
"""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, TypeVar

from build.doors import store
from build.doors.effects import Reporter
from build.doors.jsonvalues import MalformedError, digest, items, json_document, mapping, text, whole
from build.doors.layoutindex import store_manifest, write_index
from build.doors.packs import unpack_commit
from build.doors.registry import Manifest
from build.errors import BadRequest, Unavailable, WorkFailed
from build.pin.locks import CudaLock, WheelLock
from build.recipe.refs import Commit, Digest

__all__ = [
    "TITLE",
    "Custody",
    "Shelf",
    "archive_name",
    "git_name",
    "image_name",
    "made_name",
    "named",
    "obtained",
    "packages_name",
    "wheels_name",
]

TITLE: Final = "org.opencontainers.image.title"
"""The annotation that names a layer's file, as every OCI client reads it."""

T = TypeVar("T")


class Shelf(Protocol):
    """Where copies are kept. Raises Unreachable where there is no answer."""

    def find(self, name: str) -> Manifest | None: ...

    def has_blob(self, digest: Digest) -> bool: ...

    def put_blob(self, digest: Digest, path: Path, *, on_bytes: Callable[[int], None] = ...) -> None: ...

    def save_blob(
        self, digest: Digest, size: int, path: Path, *, on_bytes: Callable[[int], None] = ...
    ) -> None:
        """Write a blob to a file, which is there only when its hash has been proven."""

    def put(self, name: str, manifest: Manifest) -> None: ...


def git_name(url: str, commit: Commit) -> str:
    """Name the copy of a commit; the same commit of another repository is another copy."""
    return f"git-{hashlib.sha256(url.encode()).hexdigest()[:16]}-{commit}"


def archive_name(sha256: str) -> str:
    """Name the copy of a source archive."""
    return f"archive-{sha256}"


def wheels_name(lock: CudaLock, machine: str) -> str:
    """Name the copy of a CUDA version's wheels."""
    return f"wheels-{lock.sha256}-{machine}"


def packages_name(lock: WheelLock) -> str:
    """Name the copy of the wheels of a recipe's lock, chosen for the one target that there is."""
    return f"packages-{lock.sha256}"


def made_name(name: str, key: str) -> str:
    """Name the record of a toolchain or base, by what it is made from."""
    return f"{name}-{key}"


def image_name(digest: Digest) -> str:
    """Name the copy of an image."""
    return f"image-{digest.hex}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A blob that a copy's manifest names."""

    digest: Digest
    size: int
    title: str
    """Name of the file; empty where the manifest gives none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Custody:
    """The copies, for a build that reads them."""

    shelf: Shelf
    first: bool
    """Ask for a copy before the origin."""
    cache: Path
    reporter: Reporter

    def files(self, name: str, folder: Path) -> bool:
        """Write the files of a copy into `folder`; False where there is no such copy.

        Raises:
            WorkFailed: the copy is damaged.
        """
        manifest = self.shelf.find(name)
        if manifest is None:
            return False
        folder.mkdir(parents=True, exist_ok=True)
        with self.reporter.step(f"{name} from {self.shelf}"):
            for one in named(name, manifest)[1:]:
                title = one.title
                if not title or title != Path(title).name or title.startswith("."):
                    message = f"{name} in {self.shelf} has a file named {title!r}: files lie in one folder"
                    raise WorkFailed(message)
                self.shelf.save_blob(one.digest, one.size, folder / title)
        return True

    def image(self, digest: Digest, layout: Path) -> bool:
        """Write an image as an OCI layout; False where there is no copy of it."""
        name = image_name(digest)
        manifest = self.shelf.find(name)
        if manifest is None:
            return False
        if manifest.digest != digest:
            message = f"{name} in {self.shelf} is {manifest.digest}"
            raise WorkFailed(message)
        blobs = layout / "blobs" / "sha256"
        with self.reporter.step(f"image {digest} from {self.shelf}"):
            for one in named(name, manifest):
                self.shelf.save_blob(one.digest, one.size, blobs / one.digest.hex)
        write_index(layout, [store_manifest(layout, manifest)])
        return True

    @contextmanager
    def repository(self, url: str, commit: Commit) -> Iterator[Path | None]:
        """Hand over a repository that holds the copied commit, for the block; None where there is no copy."""
        with store.scratch(self.cache) as work:
            name = git_name(url, commit)
            if not self.files(name, work):
                yield None
                return
            yield unpack_commit(work / f"{commit}.pack", commit, work)


def named(name: str, manifest: Manifest) -> tuple[Named, ...]:
    """List what a copy's manifest names: the configuration, then the files. Raises WorkFailed."""
    try:
        document = json_document(manifest.data, "it")
        layers = [_named(one, "layers") for one in items(document.get("layers"), "layers")]
        return (_named(document.get("config"), "config"), *layers)
    except MalformedError as error:
        message = f"the manifest of the copy {name} cannot be read: {error}"
        raise WorkFailed(message, hint="copy it again: nox -s custody") from error


def _named(value: object, key: str) -> Named:
    entry = mapping(value, key)
    annotations = mapping(entry.get("annotations") or {}, f"{key}.annotations")
    return Named(
        digest=digest(entry.get("digest"), f"{key}.digest"),
        size=whole(entry.get("size"), f"{key}.size"),
        title=text(annotations.get(TITLE) or "", f"{key}.annotations.{TITLE}"),
    )


def obtained(
    custody: Custody | None, what: str, origin: Callable[[], T], copy: Callable[[Custody], T | None]
) -> T:
    """Return what the origin gives; a copy where it fails, or first of all where the user says so.

    Raises:
        IngotError: what the origin said, where there is no copy.
    """
    if custody is None:
        return origin()
    if custody.first:
        try:
            found = copy(custody)
        except Unavailable as error:
            custody.reporter.warning(f"{what}: no copy can be asked for, so its origin is ({error.message})")
        else:
            if found is not None:
                custody.reporter.note(f"{what}: a copy out of {custody.shelf}; its origin was not asked")
                return found
    try:
        return origin()
    except (Unavailable, WorkFailed, BadRequest) as error:
        found = copy(custody)
        if found is None:
            custody.reporter.note(f"{what}: {custody.shelf} has no copy of it")
            raise
        custody.reporter.warning(
            f"{what}: a copy out of {custody.shelf}, because its origin gives none ({error.message})"
        )
        return found
