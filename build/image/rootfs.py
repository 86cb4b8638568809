"""The root file system that an image's layers stack up to, from one pass over each layer, without unpacking it.

Only what the caller asks for is copied out, to numbered files in a scratch folder: nothing of the image is ever created
under its own name, so a hostile layer can write nowhere. https://github.com/opencontainers/image-spec/blob/main/layer.md
"""

import math
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

from build.doors.jsonvalues import MalformedError
from build.image.layout import Layout, open_layer
from build.image.members import PATH_MAX, clean, each_member
from build.image.stream import Budget, Stream
from build.image.tree import Entry, Kind, Rootfs

__all__ = ["ELF_MAGIC", "Keep", "open_rootfs"]

ELF_MAGIC: Final = b"\x7fELF"
MAX_ENTRIES: Final = 2_000_000

_CHUNK: Final = 1 << 20
_START: Final = 20
"""An ELF file tells its kind and machine in so many bytes."""
_WHITEOUT: Final = ".wh."
_OPAQUE: Final = ".wh..wh..opq"
_CAPABILITY: Final = "SCHILY.xattr.security.capability"

Keep = Callable[[str, int, bytes], bool]
"""Says of a regular file, by path, size and its first 20 bytes, whether its content is wanted."""


@contextmanager
def open_rootfs(layout: Layout, *, keep: Keep, scratch: Path | None = None) -> Iterator[Rootfs]:
    """Read all layers and hold the kept files for the block.

    Args:
        layout: the image.
        keep: which files' bytes are wanted.
        scratch: where the folder for them is made; the system's place for temporary files if not given.

    Raises:
        BrokenLayout: a layer is not what its digest says, or holds what no honest layer holds.
    """
    with tempfile.TemporaryDirectory(prefix="ingot-rootfs-", dir=scratch) as folder:
        rootfs, budget = Rootfs(), Budget()
        store = _Store(Path(folder), keep)
        for index in range(len(layout.layers)):
            with open_layer(layout, index, budget) as stream:
                _apply(rootfs, stream, index, store)
        yield rootfs


@dataclass(slots=True)
class _Store:
    """Copies wanted files out, each under a number."""

    folder: Path
    keep: Keep
    count: int = field(default=0, init=False)

    def take(self, path: str, size: int, file: IO[bytes]) -> tuple[Path | None, bytes]:
        """Return where the file was copied to, or None, and its first four bytes."""
        start = file.read(_START)
        head = start[: len(ELF_MAGIC)]
        if not self.keep(path, size, start):
            return None, head
        self.count += 1
        target = self.folder / str(self.count)
        with target.open("wb") as sink:
            sink.write(start)
            while chunk := file.read(_CHUNK):
                sink.write(chunk)
        return target, head


def _apply(rootfs: Rootfs, stream: Stream, layer: int, store: _Store) -> None:
    """Lay one layer over what is there."""
    each_member(stream, lambda tar, member: _add(rootfs, tar, member, layer, store))


def _add(rootfs: Rootfs, tar: tarfile.TarFile, member: tarfile.TarInfo, layer: int, store: _Store) -> None:
    path = clean(member.name)
    folder, _, name = path.rpartition("/")
    if member.size < 0 or member.issparse() or len(member.linkname) > PATH_MAX:
        message = f"{path!r} is sparse, of negative size or a link of more than {PATH_MAX} characters"
        raise MalformedError(message)
    if not math.isfinite(member.mtime):
        message = f"{path!r} has no time"
        raise MalformedError(message)
    if name == _OPAQUE:
        rootfs.hide_below(folder, layer)
    elif name.startswith(_WHITEOUT):
        rootfs.hide(f"{folder}/{name.removeprefix(_WHITEOUT)}".lstrip("/"), layer)
    elif member.islnk():
        rootfs.link(path, clean(member.linkname), layer, member.mtime)
    else:
        rootfs.put(_entry(path, tar, member, layer, store))
    if rootfs.count > MAX_ENTRIES:
        message = f"more than {MAX_ENTRIES} entries"
        raise MalformedError(message)


def _entry(path: str, tar: tarfile.TarFile, member: tarfile.TarInfo, layer: int, store: _Store) -> Entry:
    content, head = None, b""
    if member.isreg():
        file = tar.extractfile(member)
        assert file is not None
        content, head = store.take(path, member.size, file)
    return Entry(
        path=path,
        kind=_kind(member),
        mode=member.mode & 0o7777,
        uid=member.uid,
        gid=member.gid,
        mtime=member.mtime,
        size=member.size if member.isreg() else 0,
        layer=layer,
        target=member.linkname if member.issym() else "",
        content=content,
        head=head,
        capability=_CAPABILITY in member.pax_headers,
    )


def _kind(member: tarfile.TarInfo) -> Kind:
    if member.isreg():
        return Kind.FILE
    if member.isdir():
        return Kind.FOLDER
    if member.issym():
        return Kind.SYMLINK
    if member.isdev():
        return Kind.DEVICE
    message = f"{member.name!r} is of the unknown type {member.type!r}"
    raise MalformedError(message)
