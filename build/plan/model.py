"""The plan: everything a build, a smoke test and a push need to know. Once it exists nobody reads the recipe again."""

from dataclasses import dataclass

from build.pin.model import Pin
from build.recipe.model import Compression, Recipe
from build.recipe.naming import directory_name

__all__ = ["ImagePlan", "compression"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagePlan:
    """One image that is to be."""

    recipe: Recipe
    """With the variant's overrides merged and placeholders filled in."""
    variant: str
    """Empty for the recipe itself."""
    pin: Pin
    fingerprint: str
    """Hex SHA-256 over everything that decides the image's bytes."""
    tag: str
    """The immutable tag."""
    moving_tags: tuple[str, ...]
    labels: tuple[tuple[str, str], ...]
    files: tuple[tuple[str, str], ...]
    """Rendered files below out/<recipe>/: path and text. Dockerfile, bake file, scripts."""

    @property
    def name(self) -> str:
        """Name of the folder below out/: `<recipe>` or `<recipe>+<variant>`."""
        return directory_name(self.recipe.name, self.variant)

    @property
    def compression(self) -> Compression:
        """How its layers are compressed."""
        return compression(self.recipe)

    @property
    def target(self) -> str:
        """Name of the bake target, which may hold no `+`."""
        return self.name.replace("+", "_")


def compression(recipe: Recipe) -> Compression:
    """Say how an image's layers are compressed: as the recipe says, or else by its family."""
    return recipe.image.compression or (Compression.GZIP if recipe.family.compiles else Compression.ZSTD)
