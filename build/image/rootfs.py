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
from typing import IO, Final, Self, cast

from build.image.config import MalformedError
from build.image.layout import BrokenLayout, Layout, open_layer
from build.image.stream import Budget, Stream
from build.image.tree import Entry, Kind, Rootfs

__all__ = ["ELF_MAGIC", "Keep", "open_rootfs", "read_file"]

ELF_MAGIC: Final = b"\x7fELF"
MAX_ENTRIES: Final = 2_000_000

_CHUNK: Final = 1 << 20
_START: Final = 20
"""An ELF file tells its kind and machine in so many bytes."""
_MAX_EXTENSION: Final = 1 << 20
_PATH_MAX: Final = 4096
_WHITEOUT: Final = ".wh."
_OPAQUE: Final = ".wh..wh..opq"
_CAPABILITY: Final = "SCHILY.xattr.security.capability"
_EXTENSIONS: Final = frozenset(
    {
        tarfile.XHDTYPE,
        tarfile.XGLTYPE,
        tarfile.SOLARIS_XHDTYPE,
        tarfile.GNUTYPE_LONGNAME,
        tarfile.GNUTYPE_LONGLINK,
    }
)

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


def read_file(layout: Layout, path: str, *, scratch: Path | None = None) -> bytes:
    """Return the bytes of one file of the image, its links followed.

    Raises:
        BrokenLayout: the layout is damaged, or the image has no such file.
    """
    wanted = path.strip("/").rpartition("/")[2]
    for _ in range(2):
        with open_rootfs(layout, keep=_named(wanted), scratch=scratch) as rootfs:
            entry = rootfs.resolve(path)
            if entry is None or entry.kind is not Kind.FILE:
                raise BrokenLayout(layout.path, f"the image holds no file {path}")
            if entry.content is not None:
                return entry.content.read_bytes()
            # A link to another name: that is read in a second pass.
            wanted = (entry.source or entry.path).rpartition("/")[2]
    raise BrokenLayout(layout.path, f"the file {path} of the image cannot be followed")


def _named(name: str) -> Keep:
    return lambda path, _size, _head: path.rpartition("/")[2] == name


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


class _Header(tarfile.TarInfo):
    """A tar header that refuses what the tar module would pass over in silence or read into memory without limit."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        if 0 < len(buf) < tarfile.BLOCKSIZE:
            message = "the tar is cut"
            raise MalformedError(message)
        try:
            header = super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if not any(buf):
                raise
            message = f"damaged tar header: {error}"
            raise MalformedError(message) from error
        if header.size < 0 or (header.type in _EXTENSIONS and header.size > _MAX_EXTENSION):
            message = f"a tar header of type {header.type!r} says {header.size} bytes"
            raise MalformedError(message)
        if header.type == tarfile.GNUTYPE_SPARSE:
            message = "a sparse file, which no builder writes"
            raise MalformedError(message)
        return header


def _apply(rootfs: Rootfs, stream: Stream, layer: int, store: _Store) -> None:
    """Lay one layer over what is there."""
    try:
        # In stream mode tarfile calls nothing but read().
        with tarfile.open(
            fileobj=cast("IO[bytes]", stream),
            mode="r|",
            bufsize=1 << 16,
            tarinfo=_Header,
            errors="surrogateescape",
        ) as tar:
            for member in tar:
                _add(rootfs, tar, member, layer, store)
                # Else the module keeps every header that it has seen.
                tar.members = []  # type: ignore[attr-defined]
    except tarfile.TarError as error:
        message = f"the tar cannot be read: {error}"
        raise MalformedError(message) from error


def _add(rootfs: Rootfs, tar: tarfile.TarFile, member: tarfile.TarInfo, layer: int, store: _Store) -> None:
    path = clean(member.name)
    folder, _, name = path.rpartition("/")
    if member.size < 0 or member.issparse() or len(member.linkname) > _PATH_MAX:
        message = f"{path!r} is sparse, of negative size or a link of more than {_PATH_MAX} characters"
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


def clean(name: str) -> str:
    """Normalise a tar's name to a path without a leading slash. Raises MalformedError when it points outside."""
    parts = [part for part in name.split("/") if part not in {"", "."}]
    if len(name) > _PATH_MAX:
        message = f"a name of {len(name)} characters"
        raise MalformedError(message)
    if name.startswith("/") or ".." in parts or "\0" in name:
        message = f"the name {name!r} points outside the root"
        raise MalformedError(message)
    return "/".join(parts)
