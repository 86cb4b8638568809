"""Which recipes a command is about: names and globs against the recipes there are. Pure."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from build.errors import NothingSelected
from build.recipe.effective import effective, variant_names
from build.recipe.model import Recipe
from build.recipe.words import meant, names, quoted

__all__ = ["select"]


def select(recipes: Sequence[Recipe], patterns: Sequence[str], *, variant: str = "") -> tuple[Recipe, ...]:
    """Return the recipes that a name or glob means, in the order of the recipes; no pattern means all.

    With a variant, globs pass over the recipes that do not have it; a recipe that was named must have it.

    Raises:
        NothingSelected: a pattern matches nothing, a named recipe has no such variant, or nothing is left.
    """
    chosen = [recipe for recipe in recipes if not patterns or any(_is(recipe, p) for p in patterns)]
    for pattern in patterns:
        _must_match(recipes, pattern)
    for recipe in chosen:
        if recipe.name in patterns:
            effective(recipe, variant)
    having = tuple(recipe for recipe in chosen if variant in variant_names(recipe))
    if not having:
        known = [name for recipe in chosen for name in variant_names(recipe) if name]
        message = f"no recipe has a variant {quoted(variant)}" if chosen else "there are no recipes"
        hint = meant(variant, known) or "`nox -s new` writes a recipe" * (not chosen)
        raise NothingSelected(message, hint=hint)
    return having


def _is(recipe: Recipe, pattern: str) -> bool:
    return fnmatchcase(recipe.name, pattern)


def _must_match(recipes: Sequence[Recipe], pattern: str) -> None:
    if any(_is(recipe, pattern) for recipe in recipes):
        return
    known = [recipe.name for recipe in recipes]
    what = "no recipe matches" if any(mark in pattern for mark in "*?[") else "no recipe is named"
    there = f"there are {names(known)}" if known else "there are none"
    message = f"{what} {quoted(pattern)}"
    raise NothingSelected(message, hint=meant(pattern, known) or there)
