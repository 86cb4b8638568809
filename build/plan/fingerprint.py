"""The fingerprint: a hash of everything that is to decide an image's bytes, and of nothing else. Pure."""

import hashlib
import json
from collections.abc import Mapping

from build.pin.model import Pin
from build.plan.model import compression
from build.recipe.model import Compression, Recipe

__all__ = ["FORMAT", "fingerprint", "inputs"]

FORMAT = 1
"""Raised when the meaning of an input changes; every image is then rebuilt."""


def inputs(
    recipe: Recipe, variant: str, pin: Pin, files: Mapping[str, str], labels: Mapping[str, str]
) -> dict[str, object]:
    """Gather the fingerprint's inputs as JSON data.

    The toolchain counts by its lock, not by its digest: its Debian packages may move without a change of ours. Time, host,
    path, user, environment, the engine's version and smoke expectations are not here.
    """
    source, packing = pin.source, compression(recipe)
    wheels = {"wheels": [[wheel.file, wheel.sha256] for wheel in source.wheels]} if source.wheels else {}
    return {
        "format": FORMAT,
        "files": dict(sorted(files.items())),
        "labels": dict(sorted(labels.items())),
        "source": {
            "commit": source.commit,
            "tree": source.tree,
            "archive": source.archive_sha256,
            "submodules": [list(pair) for pair in source.submodules],
            **wheels,
        },
        "patches": [[proof.file, proof.sha256] for proof in source.patches],
        "toolchain": pin.toolchain.lock if pin.toolchain else "",
        "base": [pin.base.lock, str(pin.base.digest)],
        "cmake": [[option.name, option.value] for option in recipe.cmake],
        "steps": [
            [step.name, [[option.name, option.value] for option in step.cmake]] for step in recipe.steps
        ],
        "variant": variant,
        **({} if packing is Compression.GZIP else {"compression": str(packing)}),
    }


def fingerprint(values: Mapping[str, object]) -> str:
    """Return the hex SHA-256 over the inputs' canonical JSON."""
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
