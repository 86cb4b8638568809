"""Reads an OCI image layout: index to manifest to configuration to layers, each checked against its digest.

Every layer is read as one stream, so that an image of many gigabytes costs little memory. Never writes, never talks to
an engine. https://github.com/opencontainers/image-spec/blob/main/image-layout.md
"""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import zstandard

from build.doors.jsonvalues import MalformedError, digest, items, json_document, mapping, text, whole
from build.doors.platforms import TARGET
from build.errors import WorkFailed
from build.image.config import ImageConfig, parse_config
from build.image.model import Layer
from build.image.stream import CHUNK, Budget, Gunzip, Hashing, Stream
from build.recipe.refs import Digest

__all__ = ["BrokenLayout", "Layout", "open_layer", "open_layout"]

_MAX_DOCUMENT: Final = 4 << 20
_MAX_DEPTH: Final = 4
_INDEXES: Final = frozenset(
    {
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
    }
)
_MANIFESTS: Final = frozenset(
    {
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    }
)
_PACKING: Final = {
    "application/vnd.oci.image.layer.v1.tar": "",
    "application/vnd.oci.image.layer.v1.tar+gzip": "gzip",
    "application/vnd.oci.image.layer.v1.tar+zstd": "zstd",
    "application/vnd.docker.image.rootfs.diff.tar": "",
    "application/vnd.docker.image.rootfs.diff.tar.gzip": "gzip",
    "application/vnd.docker.image.rootfs.diff.tar.zstd": "zstd",
}


class BrokenLayout(WorkFailed):
    """The layout on disk is not a whole image of one platform. Names the path and what is wrong."""

    def __init__(self, path: Path, what: str) -> None:
        super().__init__(f"{path}: {what}", hint="build the image again")
        self.path = path
        self.what = what


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The one image of a layout directory. Its layers are listed, not read."""

    path: Path
    digest: Digest
    config_digest: Digest
    platform: str
    config: ImageConfig
    layers: tuple[Layer, ...]
    packing: tuple[str, ...] = field(repr=False)
    """How each layer is compressed: gzip, zstd or nothing."""


def open_layout(path: Path, *, platform: str = TARGET) -> Layout:
    """Find the single image of a platform and verify its manifest and configuration.

    Attestation manifests beside it are passed over.

    Raises:
        BrokenLayout: a file is missing, cut or not what its digest says, or there is not exactly one image.
    """
    try:
        return _open(path, platform)
    except MalformedError as error:
        raise BrokenLayout(path, str(error)) from error
    except OSError as error:
        raise BrokenLayout(path, f"{error.filename}: {error.strerror}") from error


@contextmanager
def open_layer(layout: Layout, index: int, budget: Budget) -> Iterator[Stream]:
    """Stream the tar of one layer. On leaving, the rest is read and both digests are compared.

    Raises:
        BrokenLayout: blob or tar is not what its digest says, or does not unpack.
    """
    layer = layout.layers[index]
    path = _blob(layout.path, layer.digest)
    name = f"layer {layer.digest}"
    try:
        with path.open("rb") as file:
            packed = Hashing(file)
            tar = Hashing(_unpack(packed, layout.packing[index]), budget)
            yield tar
            for stream in (tar, packed):
                while stream.read(CHUNK):
                    pass
    except zstandard.ZstdError as error:
        raise BrokenLayout(layout.path, f"{name}: the zstd stream is damaged: {error}") from error
    except MalformedError as error:
        raise BrokenLayout(layout.path, f"{name}: {error}") from error
    except OSError as error:
        raise BrokenLayout(layout.path, f"{name}: {error.strerror}") from error
    if packed.digest() != layer.digest:
        raise BrokenLayout(layout.path, f"{name} has the digest {packed.digest()}")
    if tar.digest() != layer.diff_id:
        raise BrokenLayout(
            layout.path, f"{name} unpacks to {tar.digest()}, the configuration says {layer.diff_id}"
        )


def _open(path: Path, platform: str) -> Layout:
    index = json_document((path / "index.json").read_bytes(), "index.json")
    found = {digest(entry.get("digest"), "digest"): entry for entry in _images(path, index, platform, 0)}
    if len(found) != 1:
        message = f"holds {len(found)} images for {platform}, one is expected"
        raise MalformedError(message)
    ((name, entry),) = found.items()
    manifest = _document(path, entry, f"manifest {name}")
    config_entry = mapping(manifest.get("config"), "the manifest's config")
    config = parse_config(_document(path, config_entry, f"configuration {config_entry.get('digest')}"))
    if f"{config.os}/{config.architecture}" != platform:
        message = f"the image is for {config.os}/{config.architecture}, not for {platform}"
        raise MalformedError(message)
    blobs = items(manifest.get("layers"), "the manifest's layers")
    return Layout(
        path=path,
        digest=name,
        config_digest=digest(config_entry.get("digest"), "digest"),
        platform=platform,
        config=config,
        layers=_layers(path, blobs, config),
        packing=tuple(_packing(blob) for blob in blobs),
    )


def _images(path: Path, index: Mapping[str, Any], platform: str, depth: int) -> Iterator[Mapping[str, Any]]:
    """Yield the descriptors of image manifests for the platform, through nested indexes."""
    if depth > _MAX_DEPTH:
        message = f"indexes are nested more than {_MAX_DEPTH} deep"
        raise MalformedError(message)
    for value in items(index.get("manifests"), "manifests"):
        entry = mapping(value, "manifests")
        kind = text(entry.get("mediaType"), "mediaType")
        if kind in _INDEXES:
            yield from _images(
                path, _document(path, entry, f"index {entry.get('digest')}"), platform, depth + 1
            )
        elif kind not in _MANIFESTS:
            message = f"the media type {kind} is not known"
            raise MalformedError(message)
        elif _is_image(entry, platform):
            yield entry


def _is_image(entry: Mapping[str, Any], platform: str) -> bool:
    if "vnd.docker.reference.type" in mapping(entry.get("annotations") or {}, "annotations"):
        return False
    if "platform" not in entry:
        return True
    named = mapping(entry["platform"], "platform")
    return f"{named.get('os')}/{named.get('architecture')}" == platform


def _layers(path: Path, blobs: object, config: ImageConfig) -> tuple[Layer, ...]:
    entries = [mapping(blob, "layers") for blob in items(blobs, "layers")]
    if len(entries) != len(config.diff_ids):
        message = f"the manifest has {len(entries)} layers, the configuration {len(config.diff_ids)}"
        raise MalformedError(message)
    steps = [step.created_by for step in config.history if not step.empty_layer]
    captions = steps if len(steps) == len(entries) else [""] * len(entries)
    layers = []
    for entry, diff_id, what in zip(entries, config.diff_ids, captions, strict=True):
        name, size = digest(entry.get("digest"), "layers.digest"), whole(entry.get("size"), "layers.size")
        actual = _blob(path, name).stat().st_size
        if actual != size:
            message = f"layer {name} has {actual} bytes, the manifest says {size}"
            raise MalformedError(message)
        layers.append(Layer(digest=name, diff_id=diff_id, size=size, what=what))
    return tuple(layers)


def _packing(blob: object) -> str:
    kind = text(mapping(blob, "layers").get("mediaType"), "layers.mediaType")
    if kind not in _PACKING:
        message = f"the layer media type {kind} is not known"
        raise MalformedError(message)
    return _PACKING[kind]


def _blob(path: Path, name: Digest) -> Path:
    return path / "blobs" / "sha256" / name.hex


def _document(path: Path, entry: Mapping[str, Any], what: str) -> Mapping[str, Any]:
    """Read and verify the JSON blob that a descriptor points to."""
    name, size = digest(entry.get("digest"), "digest"), whole(entry.get("size"), "size")
    if size > _MAX_DOCUMENT:
        message = f"{what} is said to have {size} bytes"
        raise MalformedError(message)
    with _blob(path, name).open("rb") as file:
        data = file.read(_MAX_DOCUMENT + 1)
    if len(data) != size:
        message = f"{what} has {len(data)} bytes, its descriptor says {size}"
        raise MalformedError(message)
    actual = f"sha256:{hashlib.sha256(data).hexdigest()}"
    if actual != name:
        message = f"{what} has the digest {actual}"
        raise MalformedError(message)
    return json_document(data, what)


def _unpack(packed: Stream, how: str) -> Stream:
    if how == "gzip":
        return Gunzip(packed)
    if how == "zstd":
        return zstandard.ZstdDecompressor().stream_reader(packed, read_across_frames=True)  # type: ignore[arg-type]
    return packed
