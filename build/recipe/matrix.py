"""The recipes as a build matrix for CI systems: one job for each image. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from build.errors import NothingSelected
from build.recipe.effective import effective, variant_names
from build.recipe.model import Recipe
from build.recipe.naming import directory_name

__all__ = ["Job", "Matrix", "matrix"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What one job is about. The names of the fields are those of the matrix."""

    recipe: str
    variant: str
    """Empty for the recipe itself."""
    name: str
    """Of the folder below out/, and of the job."""
    repository: str
    version: str
    cuda: str
    architectures: str
    """Joined by `;`: a matrix holds plain values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """As GitHub Actions' `strategy.matrix` takes it."""

    include: tuple[Job, ...]


def matrix(
    recipes: Sequence[Recipe], *, variant: str = "", variants: bool = False, watched: bool = False
) -> Matrix:
    """Return one job for each recipe, or with `variants` one for each image.

    Raises:
        NothingSelected: no recipe is left; an empty matrix is an error to GitHub Actions, and no use to others.
    """
    chosen = [recipe for recipe in recipes if recipe.watch.enabled or not watched]
    if not chosen:
        message = "none of the selected recipes is watched"
        raise NothingSelected(message, hint="watch.reason in the recipe says why")
    names = [
        (recipe, name) for recipe in chosen for name in (variant_names(recipe) if variants else (variant,))
    ]
    return Matrix(include=tuple(_job(recipe, name) for recipe, name in names))


def _job(recipe: Recipe, variant: str) -> Job:
    whole = effective(recipe, variant)
    return Job(
        recipe=recipe.name,
        variant=variant,
        name=directory_name(recipe.name, variant),
        repository=recipe.image.repository,
        version=recipe.source.version,
        cuda=whole.toolchain.cuda,
        architectures=";".join(whole.toolchain.architectures),
    )
