"""Source archives of the package index: fetched by hash, unpacked, never run. pip would execute the archive's own build code."""

import hashlib
import re
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from build.doors import process, store
from build.doors.packageindex import IndexFile, download, simple_index
from build.errors import BadRequest, CommandFailed, WorkFailed
from build.pin.custody import Custody, archive_name, obtained
from build.recipe.model import SdistSource

__all__ = ["ConfiguredIndex", "Index", "Unpacked", "archive_path", "fetch_archive", "prove_archive"]

_PIP_INDEX = "from pip._internal.models.index import PyPI; print(PyPI.simple_url)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpacked:
    """An archive's project folder, for as long as it is looked at."""

    folder: Path
    newest: str
    """The newest file time inside, RFC 3339 in UTC: an archive knows no commit date."""


def index_url() -> str:
    """Return the package index that pip is configured for on this machine."""
    for key in ("global.index-url", "install.index-url", ":env:.index-url"):
        try:
            return (
                process.run((sys.executable, "-m", "pip", "config", "get", key)).stdout.strip().rstrip("/")
                + "/"
            )
        except CommandFailed:
            continue
    return process.run((sys.executable, "-c", _PIP_INDEX)).stdout.strip().rstrip("/") + "/"


class Index(Protocol):
    """A package index."""

    def files(self, package: str) -> Iterable[IndexFile]:
        """List the files of a package."""

    def download(self, url: str) -> Iterable[bytes]:
        """Yield a file's bytes."""


class ConfiguredIndex:
    """The package index that pip is configured for on this machine."""

    def files(self, package: str) -> Iterable[IndexFile]:
        """List the files of a package."""
        return simple_index(f"{index_url()}{package}/")

    def download(self, url: str) -> Iterable[bytes]:
        """Yield a file's bytes."""
        return download(url)


@contextmanager
def fetch_archive(
    source: SdistSource, cache: Path, *, index: Index | None = None, custody: Custody | None = None
) -> Iterator[Unpacked]:
    """Fetch a source archive by its hash and unpack its project folder for the block.

    Raises:
        Unreachable: the package index did not answer.
        BadRequest: it has no archive with this hash, or the archive has no such folder.
        WorkFailed: the bytes that came are not those of the hash.
    """
    path = archive_path(source, cache)
    if not path.exists():
        obtained(
            custody,
            source.sdist,
            lambda: _fetch(source, path, index or ConfiguredIndex()),
            lambda keeper: keeper.files(archive_name(source.sha256), path.parent) or None,
        )
    prove_archive(source, cache)
    with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
        newest = _unpack(source, path, Path(scratch))
        roots = list(Path(scratch).iterdir())
        folder = roots[0] / source.subdir if len(roots) == 1 else Path(scratch) / source.subdir
        if not folder.is_dir():
            message = f"{source.sdist} has no folder {source.subdir}"
            raise BadRequest(message, hint="correct source.subdir")
        stamp = datetime.fromtimestamp(newest, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        yield Unpacked(folder=folder, newest=stamp)


def prove_archive(source: SdistSource, cache: Path) -> None:
    """Refuse a fetched archive with other bytes than the recipe's. One that is not there any more is none.

    Raises:
        WorkFailed: with both hashes.
    """
    path = archive_path(source, cache)
    if path.exists() and (found := store.sha256_file(path)) != source.sha256:
        message = f"{path} was changed: its hash is {found}, the recipe says {source.sha256}"
        raise WorkFailed(message, hint="delete it; it is then fetched again")


def archive_path(source: SdistSource, cache: Path) -> Path:
    """Say where a source archive lies."""
    return cache / "archives" / f"{source.sha256}.tar.gz"


def _unpack(source: SdistSource, path: Path, folder: Path) -> float:
    """Unpack below `folder` and nowhere else. Returns the newest file's time."""
    try:
        with tarfile.open(path) as archive:
            archive.extractall(folder, filter="data")
            return max((member.mtime for member in archive.getmembers() if member.isfile()), default=0)
    except tarfile.TarError as error:
        message = f"{source.sdist} cannot be unpacked: {error}"
        raise WorkFailed(
            message, hint="it has the bytes that the recipe names; choose another release"
        ) from error


def _fetch(source: SdistSource, path: Path, index: Index) -> bool:
    package, _, version = source.sdist.partition("==")
    for file in index.files(re.sub(r"[-_.]+", "-", package).lower()):
        if file.sha256 == source.sha256:
            break
    else:
        message = f"the package index has no file of {package} with sha256 {source.sha256}"
        raise BadRequest(message, hint=f"compare source.sha256 with the index's page of {package} {version}")
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    digest = hashlib.sha256()
    with part.open("wb") as sink:
        for chunk in index.download(file.url):
            digest.update(chunk)
            sink.write(chunk)
    if digest.hexdigest() != source.sha256:
        part.unlink()
        message = (
            f"{source.sdist}: the index served sha256 {digest.hexdigest()}, the recipe says {source.sha256}"
        )
        raise WorkFailed(message, hint="find out why before the pin is changed")
    shutil.move(part, path)
    return True
