"""Three recipes for three architectures, built by one command, beside cmake and ninja for each."""

import re
from dataclasses import dataclass
from pathlib import Path

from build.bench.pipeline.compiled import raw_build
from build.bench.pipeline.ground import Ground, edit
from build.bench.pipeline.ratio import Sample
from build.doors import store
from build.errors import WorkFailed

__all__ = ["Together", "count_made"]

_ARCHITECTURES = ("120a-real", "86-real", "80-real")
"""One for each recipe, so that the compile cache of one is of no use to another."""
_MADE = re.compile(r"(?m)^(?:[\w-]+ *\| )?\s*✓ toolchain for CUDA")
"""The line of that step, of the command itself or of one recipe's part."""


def count_made(text: str) -> int:
    """Count the steps that made a toolchain, in what the pipeline said."""
    return len(_MADE.findall(text))


@dataclass(kw_only=True, eq=False)
class Together:
    """The sample under three names."""

    ground: Ground

    def apart(self, _number: int) -> Sample:
        """Compile one after the other with cmake and ninja alone, each on all cores."""
        parts = [raw_build(self.ground, architecture) for architecture in _ARCHITECTURES]
        return Sample(seconds=sum(part.seconds for part in parts))

    def ours(self, number: int) -> Sample:
        """Build all. Before the first time, and not in it, the same command must make the toolchain once."""
        if number == 0:
            self._toolchain_is_made_once()
        return self._image(f"together-{number}", kernels=self.ground.kernels)

    def _toolchain_is_made_once(self) -> None:
        for place in (self.ground.settings.cache / "images").glob("toolchain-*"):
            store.discard(place)
        said = self._image("toolchain", kernels=1).said
        if (made := count_made(said)) != 1:
            message = f"the toolchain was made {made} times for three recipes:\n{said[-2000:]}"
            raise WorkFailed(message)

    def _image(self, name: str, *, kernels: int) -> Sample:
        root = self.ground.checkout(name, cold=True, kernels=kernels)
        names = tuple(_recipe(root, architecture) for architecture in _ARCHITECTURES)
        return self.ground.pipeline(root, "image", *names)


def _recipe(root: Path, architecture: str) -> str:
    """Write the sample's recipe under another name, for another architecture."""
    name = f"minifork-{architecture.split('-', maxsplit=1)[0]}"
    target = root / "recipes" / f"{name}.yaml"
    store.write_text(target, (root / "recipes" / "minifork.yaml").read_text(encoding="utf-8"))
    edit(target, "\nname: minifork\n", f"\nname: {name}\n")
    edit(target, "\n  repository: minifork\n", f"\n  repository: {name}\n")
    edit(target, "architectures: [120a-real]", f"architectures: [{architecture}]")
    return name
