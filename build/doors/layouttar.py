"""An OCI layout as the one tar that engines load. Reads the layout, asks no engine."""

import json
import tarfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

from build.errors import WorkFailed

__all__ = ["layout_digests", "layout_stream"]

_CHUNK = 1 << 20


def layout_digests(layout: Path) -> tuple[str, str]:
    """Read the manifest's and the configuration's digest out of a layout of one image."""
    try:
        entries = json.loads((layout / "index.json").read_bytes())["manifests"]
        manifest_digest = str(entries[0]["digest"])
        manifest = json.loads(_blob(layout, manifest_digest).read_bytes())
        config_digest = str(manifest["config"]["digest"])
    except (OSError, ValueError, KeyError, IndexError) as error:
        message = f"{layout} is not an OCI layout of one image: {error}"
        raise WorkFailed(message, hint="build again") from error
    if len(entries) != 1:
        message = f"{layout} holds {len(entries)} images, one was expected"
        raise WorkFailed(message, hint="build for a single platform")
    return manifest_digest, config_digest


def _blob(layout: Path, digest: str) -> Path:
    return layout / "blobs" / digest.replace(":", "/", 1)


def layout_stream(layout: Path, ref: str) -> Iterator[bytes]:
    """Stream a layout as the tar that engines load, named `ref`.

    Both descriptions are in it: the OCI index, whose annotation names the image for the containerd store, and
    `manifest.json`, which engines without that store read. Blobs go through unchanged.
    """
    index = json.loads((layout / "index.json").read_bytes())
    entry = index["manifests"][0]
    annotations = {
        key: value for key, value in (entry.get("annotations") or {}).items() if not key.endswith("ref.name")
    }
    entry["annotations"] = {**annotations, "io.containerd.image.name": ref}
    manifest = json.loads(_blob(layout, entry["digest"]).read_bytes())
    names = [_blob(Path(), part["digest"]).as_posix() for part in (manifest["config"], *manifest["layers"])]
    described = [{"Config": names[0], "RepoTags": [ref], "Layers": names[1:]}]
    yield from _member("oci-layout", (layout / "oci-layout").read_bytes())
    yield from _member("index.json", json.dumps(index).encode())
    yield from _member("manifest.json", json.dumps(described).encode())
    for name in dict.fromkeys((_blob(Path(), entry["digest"]).as_posix(), *names)):
        yield from _member(name, layout / name)
    yield b"\0" * (2 * tarfile.BLOCKSIZE)


def _member(name: str, content: bytes | Path) -> Iterator[bytes]:
    header = tarfile.TarInfo(name)
    header.size = len(content) if isinstance(content, bytes) else content.stat().st_size
    header.mode = 0o644
    yield header.tobuf(tarfile.PAX_FORMAT)
    with BytesIO(content) if isinstance(content, bytes) else content.open("rb") as source:
        while chunk := source.read(_CHUNK):
            yield chunk
    yield b"\0" * (-header.size % tarfile.BLOCKSIZE)
