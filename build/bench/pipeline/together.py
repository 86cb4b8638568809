"""Three recipes that share nothing but their toolchain, built by one command on a cache that has no toolchain."""

from dataclasses import dataclass
from pathlib import Path

from build.bench.pipeline.compiled import raw_build
from build.bench.pipeline.ground import Ground, edit
from build.bench.pipeline.ratio import Sample
from build.doors import process, store
from build.errors import WorkFailed

__all__ = ["Together", "count_made"]

_ARCHITECTURES = ("120a-real", "86-real", "80-real")
"""One for each recipe, so that the compile cache of one is of no use to another."""
_MADE = "✓ toolchain for CUDA"
"""How the line of that step begins."""


def count_made(text: str) -> int:
    """Count the steps that made a toolchain, in what the pipeline said."""
    return sum(line.strip().startswith(_MADE) for line in text.splitlines())


@dataclass(kw_only=True, eq=False)
class Together:
    """The sample under three names."""

    ground: Ground

    def apart(self, _number: int) -> Sample:
        """Compile one after the other with cmake and ninja alone, each on all cores."""
        parts = [raw_build(self.ground, architecture) for architecture in _ARCHITECTURES]
        return Sample(seconds=sum(part.seconds for part in parts))

    def ours(self, number: int) -> Sample:
        """Build all; making the toolchain, once, is not in the time."""
        root = self.ground.checkout(f"together-{number}", cold=True)
        names = tuple(_recipe(root, architecture) for architecture in _ARCHITECTURES)
        for place in (self.ground.settings.cache / "images").glob("toolchain-*"):
            store.discard(place)
        command = self.ground.command(root, "plan", *names)
        said = process.run(command.argv, cwd=command.cwd, env=command.env)
        if (made := count_made(said.stderr)) != 1:
            message = f"the toolchain was made {made} times for three recipes:\n{said.stderr[-2000:]}"
            raise WorkFailed(message)
        # In the other times the toolchain is unpacked already.
        unpacking = self.ground.checkout(f"unpacking-{number}", kernels=1)
        self.ground.pipeline(unpacking, "image", "minifork")
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
