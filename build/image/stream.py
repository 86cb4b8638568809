"""Byte streams on the way from a blob to its tar: hashed, counted, inflated. Each is read once, in order."""

import hashlib
import zlib
from typing import Final, Protocol

from build.doors.jsonvalues import MalformedError
from build.recipe.refs import Digest

__all__ = ["CHUNK", "MAX_UNPACKED", "Budget", "Gunzip", "Hashing", "Stream"]

CHUNK: Final = 1 << 20
_GZIP: Final = 31
"""zlib's name for: a gzip header, the largest window."""

MAX_UNPACKED: Final = 64 << 30
"""Most bytes that all layers together may unpack to; beyond it the layout is taken for a decompression bomb."""


class Stream(Protocol):
    """Bytes in order, once."""

    def read(self, size: int = ..., /) -> bytes:
        """Return up to `size` bytes; nothing at the end."""


class Budget:
    """How many unpacked bytes are left before the layout is taken for a bomb; shared by the layers of one pass."""

    def __init__(self, limit: int = MAX_UNPACKED) -> None:
        self._limit = limit
        self._left = limit

    def spend(self, count: int) -> None:
        """Take `count` bytes. Raises MalformedError when there are not so many."""
        self._left -= count
        if self._left < 0:
            message = f"the layers unpack to more than {self._limit} bytes"
            raise MalformedError(message)


class Hashing:
    """Hands bytes on and keeps their SHA-256."""

    def __init__(self, source: Stream, budget: Budget | None = None) -> None:
        self._source = source
        self._budget = budget
        self._hash = hashlib.sha256()

    def read(self, size: int = CHUNK, /) -> bytes:
        data = self._source.read(size)
        self._hash.update(data)
        if self._budget is not None:
            self._budget.spend(len(data))
        return data

    def digest(self) -> Digest:
        return Digest(f"sha256:{self._hash.hexdigest()}")


class Gunzip:
    """Inflates a gzip stream of one or more members; a chunk never grows past what was asked for."""

    def __init__(self, source: Stream) -> None:
        self._source = source
        self._inflate = zlib.decompressobj(wbits=_GZIP)
        self._pending = b""
        self._inside = False

    def read(self, size: int = CHUNK, /) -> bytes:
        while True:
            if self._inflate.eof:
                self._pending = self._inflate.unused_data
                self._inflate, self._inside = zlib.decompressobj(wbits=_GZIP), False
            packed = self._pending or self._source.read(CHUNK)
            data = self._inflated(packed, size)
            if data:
                return data
            if not packed and not self._inflate.eof:
                if self._inside:
                    message = "the gzip stream is cut"
                    raise MalformedError(message)
                return b""

    def _inflated(self, packed: bytes, size: int) -> bytes:
        try:
            data = self._inflate.decompress(packed, size)
        except zlib.error as error:
            message = f"the gzip stream is damaged: {error}"
            raise MalformedError(message) from error
        self._inside = self._inside or bool(packed)
        self._pending = self._inflate.unconsumed_tail
        return data
