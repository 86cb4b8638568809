"""A build that has nothing to do, beside a bake that finds every layer."""

from dataclasses import dataclass

from build.bench.pipeline.ground import Ground
from build.bench.pipeline.ratio import Sample

__all__ = ["Unchanged"]


@dataclass(kw_only=True, eq=False)
class Unchanged:
    """The sample, which was built before."""

    ground: Ground

    def ours(self, _number: int) -> Sample:
        """Run the verb again."""
        return self.ground.pipeline(self.ground.built, "image", "minifork")

    def bake(self, _number: int) -> Sample:
        """Bake it again."""
        return self.ground.bake(self.ground.built)
