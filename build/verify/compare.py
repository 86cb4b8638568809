"""Two layouts side by side: manifest, configuration, then layers by position, each entry, each file's parts.

Reads what strangers wrote: streams, in bounded memory, and puts nothing of an image under its own name.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from build.image.layout import Layout
from build.recipe.refs import Digest
from build.recipe.words import shown
from build.verify.layers import compare_layers
from build.verify.model import Comparison, Difference, Verdict

__all__ = ["compare"]

_LISTED: Final = 200
_DEEPEST: Final = 50
_FOLLOWS: Final = re.compile(
    r"manifest (config|layers\[\d+\])\.(digest|size)|configuration rootfs\.diff_ids\[\d+\]"
)
"""What differs because a layer or the configuration does."""


def compare(before: Layout, after: Layout, scratch: Path, *, same_versions: bool) -> Comparison:
    """Compare the images of two layouts. `same_versions`: the same BuildKit made both, so it has to pack them alike."""
    if before.digest == after.digest:
        return Comparison(verdict=Verdict.IDENTICAL)
    found = [*_documents(before, after), *compare_layers(before, after, scratch)]
    if not found:
        found = [
            Difference(
                layer=0, file="", section="manifest", what="another digest, and no value of it was found to differ",
                before=before.digest, after=after.digest,
            )
        ]  # fmt: skip
    same_content = before.config_digest == after.config_digest
    only_packed = same_content and all(_is_packing(one, before, after) for one in found)
    return Comparison(
        verdict=Verdict.OTHER_COMPRESSION if only_packed and not same_versions else Verdict.DIFFERS,
        differences=tuple(found[:_LISTED]),
        unlisted=max(0, len(found) - _LISTED),
    )


def _is_packing(one: Difference, before: Layout, after: Layout) -> bool:
    if one.layer:
        return one.section == "compression" and not one.file
    pairs = enumerate(zip(before.packing, after.packing, strict=False))
    return one.section in {
        f"manifest layers[{number}].mediaType" for number, (was, now) in pairs if was != now
    }


def _documents(before: Layout, after: Layout) -> Iterator[Difference]:
    """Compare manifest and configuration, field by field, but for the digests that follow from the layers."""
    pairs = (
        ("manifest", before.digest, after.digest),
        ("configuration", before.config_digest, after.config_digest),
    )
    for name, left, right in pairs:
        one, other = (
            dict(_flat(_document(layout, digest))) for layout, digest in ((before, left), (after, right))
        )
        for key in sorted({*one, *other}):
            if one.get(key) == other.get(key) or _FOLLOWS.fullmatch(f"{name} {key}"):
                continue
            what = "another value" if key in one and key in other else "added" if key in other else "removed"
            yield Difference(
                layer=0, file="", section=f"{name} {shown(key)}", what=what,
                before=shown(one.get(key, "")), after=shown(other.get(key, "")),
            )  # fmt: skip
        if left != right and one == other:
            yield Difference(layer=0, file="", section=name, what="the same values, written down otherwise")


def _document(layout: Layout, digest: Digest) -> object:
    """Read what `open_layout` has held against its digest and its limit."""
    return json.loads((layout.path / "blobs" / "sha256" / digest.hex).read_bytes())


def _flat(value: object, key: str = "", depth: int = 0) -> Iterator[tuple[str, str]]:
    match value:
        case dict() | list() if depth > _DEEPEST:
            yield key, "nested too deeply"
        case dict():
            for name, item in value.items():
                yield from _flat(item, f"{key}.{name}" if key else str(name), depth + 1)
        case list():
            for number, item in enumerate(value):
                yield from _flat(item, f"{key}[{number}]", depth + 1)
        case _:
            yield key, str(value)
