"""What makes a folder of blobs an OCI layout: manifests under their digests, and the index that leads to them.

https://github.com/opencontainers/image-spec/blob/v1.1.0/image-layout.md
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from build.doors import store
from build.doors.registry import Manifest

__all__ = ["store_manifest", "write_index"]


def store_manifest(layout: Path, manifest: Manifest) -> dict[str, object]:
    """Write a manifest's own bytes; returns its entry for the index."""
    store.write_bytes(layout / "blobs" / "sha256" / manifest.digest.hex, manifest.data)
    return {"mediaType": manifest.media_type, "digest": str(manifest.digest), "size": len(manifest.data)}


def write_index(layout: Path, entries: Sequence[Mapping[str, object]]) -> None:
    """Name the manifests that the layout holds, all of them."""
    store.write_text(layout / "oci-layout", json.dumps({"imageLayoutVersion": "1.0.0"}))
    store.write_text(
        layout / "index.json", json.dumps({"schemaVersion": 2, "manifests": [*entries]}, indent=1)
    )
