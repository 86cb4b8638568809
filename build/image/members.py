"""The entries of a tar as it streams by, each name and header looked at before anybody acts on it. Unpacks nothing."""

import tarfile
from collections.abc import Callable
from typing import IO, Final, Self, cast

from build.doors.jsonvalues import MalformedError
from build.image.stream import Stream

__all__ = ["PATH_MAX", "clean", "each_member"]

PATH_MAX: Final = 4096

_MAX_EXTENSION: Final = 1 << 20
_EXTENSIONS: Final = frozenset(
    {
        tarfile.XHDTYPE,
        tarfile.XGLTYPE,
        tarfile.SOLARIS_XHDTYPE,
        tarfile.GNUTYPE_LONGNAME,
        tarfile.GNUTYPE_LONGLINK,
    }
)


def each_member(stream: Stream, take: Callable[[tarfile.TarFile, tarfile.TarInfo], None]) -> None:
    """Hand over each entry with the archive, which gives its content until `take` returns.

    Raises:
        MalformedError: it is no tar, is cut, or has a header that no honest builder writes.
    """
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
                take(tar, member)
                # Else the module keeps every header that it has seen.
                tar.members = []  # type: ignore[attr-defined]
    except tarfile.TarError as error:
        message = f"the tar cannot be read: {error}"
        raise MalformedError(message) from error


def clean(name: str) -> str:
    """Normalise a tar's name to a path without a leading slash. Raises MalformedError when it points outside."""
    parts = [part for part in name.split("/") if part not in {"", "."}]
    if len(name) > PATH_MAX:
        message = f"a name of {len(name)} characters"
        raise MalformedError(message)
    if name.startswith("/") or ".." in parts or "\0" in name:
        message = f"the name {name!r} points outside the root"
        raise MalformedError(message)
    return "/".join(parts)


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
