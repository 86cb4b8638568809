"""A recipe with one variant's overrides merged in. Pure."""

from collections.abc import Sequence
from dataclasses import replace

from build.errors import NothingSelected
from build.recipe.model import CMakeOption, Driver, LinkFix, Recipe, Variant
from build.recipe.words import meant, names, quoted

__all__ = ["effective", "variant_names"]


def variant_names(recipe: Recipe) -> tuple[str, ...]:
    """Return the names of all images of a recipe: '' for the recipe itself, then its variants."""
    return ("", *(name for name, _ in recipe.variants))


def effective(recipe: Recipe, variant: str) -> Recipe:
    """Return the recipe as it is built for a variant; '' is the recipe itself.

    Raises:
        NothingSelected: the recipe has no such variant.
    """
    if not variant:
        return recipe
    variants = dict(recipe.variants)
    if variant not in variants:
        message = f"recipe {recipe.name} has no variant {quoted(variant)}"
        known = f"its variants are {names(variants)}" if variants else "it has none"
        raise NothingSelected(message, hint=meant(variant, variants) or known)
    return _merged(recipe, variants[variant])


def _merged(recipe: Recipe, variant: Variant) -> Recipe:
    driver = variant.driver or recipe.toolchain.driver
    architectures = variant.architectures or recipe.toolchain.architectures
    own = {option.name for option in recipe.cmake}
    in_steps = {option.name for step in recipe.steps for option in step.cmake}
    added = tuple(option for option in variant.cmake if option.name not in own | in_steps)
    return replace(
        recipe,
        toolchain=replace(recipe.toolchain, architectures=architectures, driver=driver),
        link_fix=LinkFix.NONE if variant.driver is Driver.NONE else recipe.link_fix,
        cmake=_replaced(recipe.cmake, variant.cmake) + added,
        steps=tuple(replace(step, cmake=_replaced(step.cmake, variant.cmake)) for step in recipe.steps),
    )


def _replaced(options: Sequence[CMakeOption], by: Sequence[CMakeOption]) -> tuple[CMakeOption, ...]:
    new = {option.name: option for option in by}
    return tuple(new.get(option.name, option) for option in options)
