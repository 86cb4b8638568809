"""Writes OCI layouts from plain dictionaries, as a builder would, or broken in one chosen way."""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypedDict, Unpack

import zstandard

__all__ = ["EPOCH", "Node", "device", "elf", "folder", "hardlink", "pack", "symlink", "write_layout"]

EPOCH = 1_600_000_000
ELF = Path(__file__).parent / "data" / "elf"

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"


@dataclass(frozen=True, kw_only=True)
class Node:
    """One entry of a layer's tar."""

    data: bytes = b""
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    mtime: float = EPOCH
    type: bytes = tarfile.REGTYPE
    link: str = ""
    pax: Mapping[str, str] = field(default_factory=dict)


Tree = Mapping[str, bytes | Node]


class Rest(TypedDict, total=False):
    """What else may be said of a node."""

    uid: int
    gid: int
    mtime: float


def folder(mode: int = 0o755, **others: Unpack[Rest]) -> Node:
    return Node(type=tarfile.DIRTYPE, mode=mode, **others)


def symlink(target: str, **others: Unpack[Rest]) -> Node:
    return Node(type=tarfile.SYMTYPE, link=target, mode=0o777, **others)


def hardlink(target: str) -> Node:
    return Node(type=tarfile.LNKTYPE, link=target)


def device() -> Node:
    return Node(type=tarfile.CHRTYPE)


def elf(name: str, mode: int = 0o755, **others: Unpack[Rest]) -> Node:
    """Take one of the committed binaries."""
    return Node(data=(ELF / name).read_bytes(), mode=mode, **others)


def tar(tree: Tree) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, value in tree.items():
            node = value if isinstance(value, Node) else Node(data=value)
            header = tarfile.TarInfo(name)
            header.type, header.mode, header.uid, header.gid = node.type, node.mode, node.uid, node.gid
            header.mtime, header.linkname, header.size = node.mtime, node.link, len(node.data)
            header.pax_headers = dict(node.pax)
            archive.addfile(header, io.BytesIO(node.data))
    return buffer.getvalue()


def pack(data: bytes, how: str) -> bytes:
    if how == "gzip":
        return gzip.compress(data, mtime=0)
    return zstandard.compress(data) if how == "zstd" else data


@dataclass
class Blobs:
    """The blobs folder of a layout."""

    path: Path

    def add(self, data: bytes, kind: str, **others: object) -> dict[str, Any]:
        """Store bytes under their digest and return the descriptor."""
        name = hashlib.sha256(data).hexdigest()
        target = self.path / "blobs" / "sha256" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        return {"mediaType": kind, "digest": f"sha256:{name}", "size": len(data), **others}

    def add_json(self, value: object, kind: str, **others: object) -> dict[str, Any]:
        return self.add(json.dumps(value).encode(), kind, **others)


def write_layout(  # noqa: PLR0913  (every way to write one)
    path: Path,
    layers: Sequence[Tree | bytes],
    *,
    config: Mapping[str, Any] | None = None,
    how: str = "gzip",
    layer_kind: str = OCI_LAYER,
    platform: str = "linux/amd64",
    nested: bool = False,
    attested: bool = False,
) -> Path:
    """Write a layout directory of one image and return its path. A layer given as bytes is a tar already."""
    blobs = Blobs(path)
    tars = [layer if isinstance(layer, bytes) else tar(layer) for layer in layers]
    suffix = f"{'.' if 'docker' in layer_kind else '+'}{how}" if how else ""
    os, _, architecture = platform.partition("/")
    document = {
        "architecture": architecture,
        "os": os,
        "created": "2020-09-13T12:26:40Z",
        "config": dict(config or {}),
        "rootfs": {
            "type": "layers",
            "diff_ids": [f"sha256:{hashlib.sha256(data).hexdigest()}" for data in tars],
        },
        "history": [
            {"created_by": "ENV A=b", "empty_layer": True},
            *({"created_by": f"COPY layer {number}"} for number in range(len(tars))),
        ],
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": blobs.add_json(document, "application/vnd.oci.image.config.v1+json"),
        "layers": [blobs.add(pack(data, how), layer_kind + suffix) for data in tars],
    }
    entries = [blobs.add_json(manifest, OCI_MANIFEST, platform={"os": os, "architecture": architecture})]
    if attested:
        unknown = {"os": "unknown", "architecture": "unknown"}
        notes = {"vnd.docker.reference.type": "attestation-manifest"}
        entries.append(blobs.add_json({"layers": []}, OCI_MANIFEST, platform=unknown, annotations=notes))
    if nested:
        entries = [blobs.add_json({"schemaVersion": 2, "manifests": entries}, OCI_INDEX)]
    (path / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": entries}))
    (path / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return path


def rewrite_index(path: Path, entries: list[dict[str, Any]]) -> None:
    """Replace what index.json lists."""
    (path / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": entries}))


def listed(path: Path) -> list[dict[str, Any]]:
    """Return what index.json lists."""
    return list(json.loads((path / "index.json").read_text())["manifests"])
