"""Layouts of toolchain and base, held against their pin before a build reads them. Writes a seal beside the layout alone.

Index, manifest and configuration are hashed each time. Layers, gigabytes of them, are hashed once; after that, what the
kernel notes of a file (size, both times, inode) says whether anybody has written to it. Its change time cannot be set back.
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from build.doors import store
from build.doors.bakefile import layout_digest
from build.errors import WorkFailed
from build.recipe.refs import Digest

__all__ = ["SEAL", "Seal", "prove_layout"]

SEAL = "sealed.json"

Hash = Callable[[Path], str]

_SETTLED_NS = 2_000_000_000
"""Clocks of file systems are coarse: what was written a moment ago may be written again under the same time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """Layers whose bytes were proven, by their hash, and what the kernel noted of each then."""

    layers: dict[str, str]


def prove_layout(
    place: Path,
    wanted: Digest,
    *,
    sha256: Hash = store.sha256_file,
    clock: Callable[[], int] = time.time_ns,
) -> None:
    """Refuse a layout below `place` that is not the pinned image.

    Raises:
        WorkFailed: with both digests.
    """
    layout = place / "layout"
    if (named := layout_digest(layout)) != wanted:
        raise _changed(place, f"its index names {named}", wanted)
    manifest = json.loads(_proven(place, wanted))
    _proven(place, Digest(manifest["config"]["digest"]))
    before = store.read_known(place / SEAL, Seal)
    known = before.layers if before else {}
    sealed = dict(_layers(place, manifest, known, sha256, clock()))
    if sealed != known:
        store.write_artifact(place / SEAL, Seal(layers=sealed))


def _layers(
    place: Path, manifest: dict[str, Any], known: dict[str, str], sha256: Hash, now_ns: int
) -> Iterator[tuple[str, str]]:
    for entry in manifest["layers"]:
        digest = Digest(entry["digest"])
        path = _blob(place, digest)
        noted = _noted(place, path)
        if known.get(digest.hex) != noted:
            if (found := sha256(path)) != digest.hex:
                raise _changed(place, f"a layer has the bytes of sha256:{found}", digest)
            status = path.stat()
            if now_ns - max(status.st_mtime_ns, status.st_ctime_ns) < _SETTLED_NS:
                continue
        yield digest.hex, noted


def _noted(place: Path, path: Path) -> str:
    try:
        status = path.stat()
    except FileNotFoundError as error:
        raise _gone(place, Digest(f"sha256:{path.name}")) from error
    return f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns} {status.st_ino}"


def _proven(place: Path, digest: Digest) -> bytes:
    """Read a short blob, its hash proven."""
    path = _blob(place, digest)
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise _gone(place, digest) from error
    if (found := hashlib.sha256(data).hexdigest()) != digest.hex:
        raise _changed(place, f"a document has the bytes of sha256:{found}", digest)
    return data


def _blob(place: Path, digest: Digest) -> Path:
    return place / "layout" / "blobs" / "sha256" / digest.hex


def _gone(place: Path, digest: Digest) -> WorkFailed:
    return _changed(place, "it has no such blob", digest)


def _changed(place: Path, what: str, wanted: Digest) -> WorkFailed:
    message = f"{place} was changed after it was made: {what}, where {wanted} is pinned"
    return WorkFailed(message, hint=f"delete {place}; it is then made again")
