"""A file on its way to a registry: read in pieces, hashed as it goes, never whole in memory. Sends nothing itself."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from build.errors import WorkFailed
from build.recipe.refs import Digest

__all__ = ["Blob", "open_blob"]

_PIECE = 1 << 16


@contextmanager
def open_blob(path: Path, digest: Digest, on_bytes: Callable[[int], None]) -> Iterator[Callable[[], "Blob"]]:
    """Open a file for the block; each call of what is handed over reads it from the start.

    Raises:
        WorkFailed: the file cannot be read.
    """
    try:
        file = path.open("rb")
        size = path.stat().st_size
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror}"
        raise WorkFailed(message, hint="build the image again") from error
    with file:
        yield lambda: Blob(file, size, digest, on_bytes)


class Blob:
    """Bytes of a known length and hash. The last piece is held back until the hash has been found right."""

    def __init__(self, file: IO[bytes], size: int, digest: Digest, on_bytes: Callable[[int], None]) -> None:
        file.seek(0)
        self._file = file
        self._size = size
        self._digest = digest
        self._on_bytes = on_bytes
        self._hash = hashlib.sha256()
        self._sent = 0

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[bytes]:
        while data := self.read(_PIECE):
            yield data

    def read(self, size: int = -1, /) -> bytes:
        """Return the next piece.

        Raises:
            WorkFailed: the file is not, or no longer, what its digest says.
        """
        left = self._size - self._sent
        try:
            data = self._file.read(left if size < 0 else min(size, left))
        except OSError as error:
            # urllib3 takes an OSError for one of the connection, which would be tried again.
            message = f"{self._digest} cannot be read: {error.strerror}"
            raise WorkFailed(message, hint="build the image again") from error
        self._hash.update(data)
        self._sent += len(data)
        if left and (self._sent == self._size or not data):
            self._prove()
        self._on_bytes(self._sent)
        return data

    def _prove(self) -> None:
        found = f"sha256:{self._hash.hexdigest()}"
        if found != self._digest:
            message = (
                f"the file of blob {self._digest} has the digest {found}: it was changed after it was built"
            )
            raise WorkFailed(
                message, hint="build the image again; nothing but a smoke-tested image is pushed"
            )
