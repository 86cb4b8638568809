"""How a layer of equal content is compressed otherwise: the method, the header, or the compressor."""

import struct
from collections.abc import Iterator
from typing import Final

from build.image.layout import Layout
from build.verify.model import Difference

__all__ = ["gzip_header", "packing"]

_GZIP: Final = struct.Struct("<2sBBIBB")
_METHOD_AND_FLAGS: Final = {2: "the smallest", 4: "the fastest"}


def packing(before: Layout, after: Layout, index: int) -> Iterator[Difference]:
    """Say how the blobs of a layer differ whose content is equal."""
    number = index + 1
    one, other = before.packing[index] or "none", after.packing[index] or "none"
    sizes = tuple(f"{layout.layers[index].size} bytes" for layout in (before, after))
    if one != other:
        yield Difference(
            layer=number, file="", section="compression", what="another method", before=one, after=other
        )
        return
    heads = tuple(_head(layout, index) for layout in (before, after))
    if one == "gzip" and heads[0] != heads[1]:
        left, right = (gzip_header(head) for head in heads)
        if left != right:
            yield Difference(
                layer=number,
                file="",
                section="compression",
                what="another gzip header",
                before=left,
                after=right,
            )
    yield Difference(
        layer=number, file="", section="compression", what=f"equal content, another {one} stream",
        before=sizes[0], after=sizes[1],
    )  # fmt: skip


def gzip_header(head: bytes) -> str:
    """Read the fixed part of a gzip header: flags, time, effort, system."""
    if len(head) < _GZIP.size:
        return "cut"
    _, method, flags, mtime, effort, system = _GZIP.unpack_from(head)
    tried = _METHOD_AND_FLAGS.get(effort, f"effort {effort}")
    return f"method {method}, flags {flags:#x}, time {mtime}, {tried}, system {system}"


def _head(layout: Layout, index: int) -> bytes:
    with (layout.path / "blobs" / "sha256" / layout.layers[index].digest.hex).open("rb") as file:
        return file.read(_GZIP.size)
