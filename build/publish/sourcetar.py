"""A folder of sources as one tar, the same bytes wherever it is made, and back into a folder and nowhere else.

Holds files, folders and symbolic links; what a tree of git cannot hold is refused both ways.
"""

import os
import shutil
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from build.doors.bakefile import EPOCH
from build.doors.jsonvalues import MalformedError
from build.errors import WorkFailed
from build.image.members import clean, each_member
from build.image.stream import Budget, Hashing
from build.recipe.words import shown

__all__ = ["pack_folder", "unpack_folder"]

_MAX_ENTRIES: Final = 1_000_000
_MAX_UNPACKED: Final = 16 << 30
_MEND: Final = "get the bundle again"


def pack_folder(folder: Path, tar: Path) -> None:
    """Write everything below `folder` into `tar`, sorted by path, times and owners constant.

    Raises:
        WorkFailed: it holds a pipe or a device.
    """
    with tarfile.open(tar, "w", format=tarfile.PAX_FORMAT, errors="surrogateescape") as archive:
        for path, name in sorted(_below(folder), key=lambda pair: os.fsencode(pair[1])):
            header = tarfile.TarInfo(name)
            header.mtime = EPOCH
            mode = path.lstat().st_mode
            if stat.S_ISLNK(mode):
                header.type, header.mode, header.linkname = tarfile.SYMTYPE, 0o777, os.readlink(path)  # noqa: PTH115  (a Path would tidy it)
                archive.addfile(header)
            elif stat.S_ISDIR(mode):
                header.type, header.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(header)
            elif stat.S_ISREG(mode):
                header.mode, header.size = 0o755 if mode & 0o100 else 0o644, path.stat().st_size
                with path.open("rb") as source:
                    archive.addfile(header, source)
            else:
                message = f"{path} is a pipe or a device, which no source tree holds"
                raise WorkFailed(message)


def unpack_folder(tar: Path, folder: Path) -> None:
    """Write what `tar` holds below `folder`, which must not be there yet; modes do not depend on the umask.

    Nothing is written through a link: what lies in a folder is taken only if the tar made that folder before.

    Raises:
        WorkFailed: it is cut, too large, or holds what `pack_folder` does not write.
    """
    folder.mkdir(parents=True)
    folder.chmod(0o755)
    unpacking = _Unpacking(folder)
    try:
        with tar.open("rb") as file:
            each_member(Hashing(file, Budget(_MAX_UNPACKED)), unpacking.take)
    except FileExistsError as error:
        message = (
            f"{tar} is not a source tree: {shown(str(error.filename2 or error.filename))} is there twice"
        )
        raise WorkFailed(message, hint=_MEND) from error
    except MalformedError as error:
        message = f"{tar} is not a source tree: {error}"
        raise WorkFailed(message, hint=_MEND) from error


class _Unpacking:
    """Takes one entry after the other."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made = {""}
        self._count = 0

    def take(self, archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        name = clean(member.name)
        self._refuse(name)
        path = self._folder / name
        if member.isdir():
            path.mkdir()
            path.chmod(0o755)
            self._made.add(name)
        elif member.issym():
            path.symlink_to(member.linkname)
        elif member.isreg():
            _write(path, archive.extractfile(member), 0o755 if member.mode & 0o100 else 0o644)
        else:
            message = f"{shown(name)} is neither a file, a folder nor a symbolic link"
            raise MalformedError(message)

    def _refuse(self, name: str) -> None:
        self._count += 1
        parent, _, last = name.rpartition("/")
        if self._count > _MAX_ENTRIES:
            message = f"more than {_MAX_ENTRIES} entries"
        elif parent not in self._made or not last:
            message = f"{shown(name)} lies in no folder of it"
        elif last.lower() == ".git":
            message = f"{shown(name)} would be read as a repository"
        else:
            return
        raise MalformedError(message)


def _below(folder: Path, prefix: str = "") -> Iterator[tuple[Path, str]]:
    with os.scandir(folder) as listing:
        for entry in listing:
            name = f"{prefix}{entry.name}"
            yield Path(entry.path), name
            if entry.is_dir(follow_symlinks=False):
                yield from _below(Path(entry.path), f"{name}/")


def _write(path: Path, source: IO[bytes] | None, mode: int) -> None:
    assert source is not None
    with path.open("xb") as sink:
        shutil.copyfileobj(source, sink, 1 << 20)
    path.chmod(mode)
