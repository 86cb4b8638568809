"""Files of wheels by where they are installed, read without installing anything. Reads only."""

import re
import zipfile
from collections.abc import Collection, Iterable
from pathlib import Path

from build.errors import WorkFailed

__all__ = ["wheel_files"]

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


def _read(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, wheel: Path) -> bytes:
    if entry.file_size > _LARGEST:
        message = f"{wheel.name}: {entry.filename} has {entry.file_size} bytes and cannot be patched as text"
        raise WorkFailed(message, hint="patches are for source files")
    return archive.read(entry)
