"""The static checks of the largest image that is built here, beside reading each of its layers once."""

import json
import shutil
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from build.bench.pipeline.ground import Ground
from build.bench.pipeline.ratio import Sample
from build.doors import process
from build.errors import WorkFailed
from build.image.model import megabytes

__all__ = ["StaticChecks"]

_LEAST = 100_000_000
"""Compressed bytes of an image that the ratio says something of."""
_UNPACK = """
import hashlib, sys, zlib
from pathlib import Path
from build.image.layout import open_layout
layout = open_layout(Path(sys.argv[1]))
for layer in layout.layers:
    packed, plain, unpack = hashlib.sha256(), hashlib.sha256(), zlib.decompressobj(31)
    with (Path(sys.argv[1]) / "blobs" / layer.digest.replace(":", "/")).open("rb") as file:
        while chunk := file.read(1 << 20):
            packed.update(chunk)
            plain.update(unpack.decompress(chunk))
    assert packed.hexdigest() == layer.digest.hex
"""
"""The least that anything that proves an image must do."""


@dataclass(kw_only=True, eq=False)
class StaticChecks:
    """A copy of one image's artifacts: the report of the user's own is not written over."""

    ground: Ground

    @property
    def image(self) -> str:
        """Say which image it is."""
        name, size = self._largest
        return f"{name}, {megabytes(size)}"

    def checks(self, _number: int) -> Sample:
        """Run the static checks."""
        return self.ground.pipeline(self._root, "smoke", self._largest[0], "--static")

    def unpack(self, _number: int) -> Sample:
        """Read and hash the layers, packed and unpacked."""
        argv = (sys.executable, "-c", _UNPACK, str(self._root / "out" / self._largest[0] / "image"))
        return self.ground.timed(lambda: process.run(argv, cwd=self._root))

    @cached_property
    def _largest(self) -> tuple[str, int]:
        """Name and bytes of it."""
        sizes = {
            path.parent.name: sum(layer["size"] for layer in json.loads(path.read_bytes())["layers"])
            for path in self.ground.user.out.glob("*/image.json")
            if "+" not in path.parent.name and _gzip(path.parent / "image")
        }
        return max(sizes.items(), key=lambda one: one[1], default=("no image", 0))

    @cached_property
    def _root(self) -> Path:
        name, size = self._largest
        if size < _LEAST:
            message = f"the largest image that is built here is {self.image}; of a small one Python's start is most of the time"
            raise WorkFailed(message, hint="build one of an engine first: nox -s build-llama-cpp")
        root = self.ground.checkout("static")
        shutil.copytree(self.ground.user.out / name, root / "out" / name)
        return root


def _gzip(layout: Path) -> bool:
    """Say whether its layers can be read by the standard library."""
    if not layout.is_dir():
        return False
    index = json.loads((layout / "index.json").read_bytes())
    manifest = layout / "blobs" / index["manifests"][0]["digest"].replace(":", "/")
    return all(layer["mediaType"].endswith("gzip") for layer in json.loads(manifest.read_bytes())["layers"])
