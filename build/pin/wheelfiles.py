"""Files of wheels by where they are installed, read without installing anything. Reads only."""

import re
import zipfile
from collections.abc import Collection, Iterable
from pathlib import Path

from build.errors import WorkFailed

__all__ = ["must_be_source", "wheel_files"]

_DATA = re.compile(r"[^/]+\.data/(purelib|platlib)/")
"""https://packaging.python.org/en/latest/specifications/binary-distribution-format/#the-data-directory."""
_LARGEST = 16 << 20


def wheel_files(wheels: Iterable[Path], wanted: Collection[str]) -> dict[str, bytes]:
    """Return those of the wanted files, as paths below site-packages, that the wheels hold.

    Raises:
        WorkFailed: a wheel is none, or a wanted file is too big to be source.
    """
    found = {}
    for wheel in wheels:
        try:
            with zipfile.ZipFile(wheel) as archive:
                for entry in archive.infolist():
                    path = _DATA.sub("", entry.filename, count=1)
                    if path in wanted and not entry.is_dir():
                        found[path] = _read(archive, entry, wheel)
        except zipfile.BadZipFile as error:
            message = f"{wheel.name} is no wheel: {error}"
            raise WorkFailed(message, hint=f"delete {wheel}; it is then fetched again") from error
    return found


def must_be_source(what: str, size: int) -> None:
    """Refuse a file that is too big to be patched as text. Raises WorkFailed, with its size."""
    if size > _LARGEST:
        message = f"{what} has {size} bytes and cannot be patched as text"
        raise WorkFailed(message, hint="patches are for source files")


def _read(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, wheel: Path) -> bytes:
    must_be_source(f"{wheel.name}: {entry.filename}", entry.file_size)
    return archive.read(entry)
