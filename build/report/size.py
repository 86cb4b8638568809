"""Where an image's bytes are: by layer, by file, shared with other images, and pulled again after a change.

Reads every layer once; the rest is arithmetic on digests.
"""

import heapq
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from build.image.layout import Layout
from build.image.rootfs import open_rootfs
from build.image.tree import Entry, Kind, printable
from build.recipe.refs import Digest

__all__ = ["Pull", "Shared", "SizedFile", "SizedLayer", "Sizes", "measure"]

_PARTS: Final = tuple(
    (re.compile(start), part)
    for start, part in (
        (r"COPY /collect/cuda/ ", "CUDA's libraries"),
        (r"COPY /collect/kernels/ ", "kernels"),
        (r"COPY /collect/server/ ", "server"),
        (r"RUN /bin/sh -c python3 -m compileall .* -m venv ", "interpreter"),
        (r"RUN /bin/sh -c sh /install-wheels\.sh cuda ", "CUDA's libraries and torch"),
        (r"RUN /bin/sh -c sh /install-wheels\.sh dependencies ", "dependencies"),
        (r"RUN /bin/sh -c sh /install-wheels\.sh application ", "application"),
        (r"RUN /bin/sh -c PYTHONPATH=\S+ \S+ -B -m patching ", "patches"),
    )
)
"""What the layers of the templates hold, by the instructions that make them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SizedFile:
    """A file of a layer."""

    path: str
    size: int
    """Bytes, unpacked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SizedLayer:
    """A layer: what is sent and what it unpacks to."""

    digest: Digest
    what: str
    """The part of the image, or the instruction that made it."""
    size: int
    """Bytes as they are sent."""
    unpacked: int
    """Bytes of its files; hard links count once."""
    files: int
    biggest: tuple[SizedFile, ...]
    shared_with: tuple[str, ...]
    """The other images that have this very layer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pull:
    """What somebody who has the image before pulls after one part of it changed."""

    changed: str
    size: int
    """Bytes: that layer, those above it, configuration and manifest."""
    layers: int
    share: float
    """Of the whole image, 0 to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What somebody who has another image does not pull."""

    image: str
    size: int
    layers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """An image's bytes."""

    name: str
    digest: Digest
    size: int
    """Bytes of all layers as they are sent."""
    unpacked: int
    layers: tuple[SizedLayer, ...]
    pulls: tuple[Pull, ...]
    """By rate of change: the part that changes most often first."""
    shared: tuple[Shared, ...]


def measure(name: str, layout: Layout, others: Mapping[str, frozenset[Digest]], *, biggest: int = 5) -> Sizes:
    """Measure one image beside others, each named with the digests of its layers.

    A layer is shared where its digest is the same: engines and registries keep it once.

    Raises:
        BrokenLayout: the layout is damaged.
    """
    with open_rootfs(layout, keep=lambda _path, _size, _head: False) as rootfs:
        files = _by_layer(rootfs.history(), len(layout.layers))
    parts = _parts(tuple(layer.what for layer in layout.layers))
    layers = tuple(
        SizedLayer(
            digest=layer.digest,
            what=part,
            size=layer.size,
            unpacked=sum(entry.size for entry in found),
            files=len(found),
            biggest=tuple(
                SizedFile(path=printable(entry.path), size=entry.size)
                for entry in heapq.nlargest(biggest, found, key=lambda entry: (entry.size, entry.path))
            ),
            shared_with=tuple(sorted(other for other, digests in others.items() if layer.digest in digests)),
        )
        for layer, part, found in zip(layout.layers, parts, files, strict=True)
    )
    return Sizes(
        name=name,
        digest=layout.digest,
        size=sum(layer.size for layer in layers),
        unpacked=sum(layer.unpacked for layer in layers),
        layers=layers,
        pulls=_pulls(layout, layers),
        shared=_shared(layers, others),
    )


def _by_layer(entries: tuple[Entry, ...], count: int) -> list[list[Entry]]:
    found: list[list[Entry]] = [[] for _ in range(count)]
    for entry in entries:
        if entry.kind is Kind.FILE and not entry.source:
            found[entry.layer].append(entry)
    return found


def _parts(instructions: tuple[str, ...]) -> list[str]:
    """Name what each layer holds. What lies below the first layer of a template is its base."""
    known = [next((part for start, part in _PARTS if start.match(what)), "") for what in instructions]
    first = next((number for number, part in enumerate(known) if part), 0)
    return ["base" if n < first else part or instructions[n] or "unnamed" for n, part in enumerate(known)]


def _pulls(layout: Layout, layers: tuple[SizedLayer, ...]) -> tuple[Pull, ...]:
    """Reckon each layer with all above it: they are ordered by how often they change, the most often last."""
    blobs = layout.path / "blobs" / "sha256"
    documents = sum((blobs / name.hex).stat().st_size for name in (layout.digest, layout.config_digest))
    whole = sum(layer.size for layer in layers) + documents
    found = []
    for index in reversed(range(len(layers))):
        # An instruction without files makes a layer of some bytes, which nobody changes by itself.
        if layers[index].files == 0:
            continue
        size = sum(layer.size for layer in layers[index:]) + documents
        found.append(
            Pull(changed=layers[index].what, size=size, layers=len(layers) - index, share=size / whole)
        )
    return tuple(found)


def _shared(layers: tuple[SizedLayer, ...], others: Mapping[str, frozenset[Digest]]) -> tuple[Shared, ...]:
    found = []
    for other, digests in sorted(others.items()):
        common = {layer.digest: layer.size for layer in layers if layer.digest in digests}
        found.append(Shared(image=other, size=sum(common.values()), layers=len(common)))
    return tuple(found)
