"""NVIDIA's wheels as what they hold: which file of an image came out of which wheel is told by its hash."""

import base64
import csv
import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from email.parser import HeaderParser
from pathlib import Path

from build.doors import store
from build.errors import WorkFailed

__all__ = ["Wheel", "read_wheels"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheel:
    """A wheel and the files that its RECORD lists."""

    name: str
    version: str
    file: str
    """File name, as in the package index."""
    sha256: str
    licence: str
    """The SPDX expression of its metadata; empty where it gives none."""
    hashes: frozenset[str]
    """Hex SHA-256 of every file in it."""


def read_wheels(folder: Path) -> tuple[Wheel, ...]:
    """Read the wheels of a folder, sorted by file name.

    Raises:
        WorkFailed: one of them is no wheel.
    """
    return tuple(_read(path) for path in sorted(folder.glob("*.whl")))


def _read(path: Path) -> Wheel:
    try:
        with zipfile.ZipFile(path) as archive:
            (folder,) = {name.partition("/")[0] for name in archive.namelist() if _is_metadata(name)}
            said = HeaderParser().parsestr(archive.read(f"{folder}/METADATA").decode())
            record = archive.read(f"{folder}/RECORD").decode()
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        message = f"{path} is no wheel that can be read: {error}"
        raise WorkFailed(message, hint=f"delete {path.parent}; the wheels are then fetched again") from error
    return Wheel(
        name=str(said["Name"]),
        version=str(said["Version"]),
        file=path.name,
        sha256=store.sha256_file(path),
        licence=str(said["License-Expression"] or ""),
        hashes=frozenset(_hashes(record)),
    )


def _is_metadata(name: str) -> bool:
    folder, _, rest = name.partition("/")
    return folder.endswith(".dist-info") and rest == "METADATA"


def _hashes(record: str) -> Iterator[str]:
    """Read RECORD, whose hashes are base64 without padding.

    https://packaging.python.org/en/latest/specifications/recording-installed-packages/#the-record-file
    """
    for row in csv.reader(io.StringIO(record)):
        kind, _, value = row[1].partition("=") if len(row) > 1 else ("", "", "")
        if kind == "sha256":
            yield base64.urlsafe_b64decode(value + "=" * (-len(value) % 4)).hex()
