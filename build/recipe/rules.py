"""All rules over all recipes: what every word means, alone and beside the others. Pure; facts of the disk are told."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from build.errors import Problem
from build.recipe.compiling import compiling_findings
from build.recipe.effective import variant_names
from build.recipe.identity import identity_findings
from build.recipe.model import Recipe
from build.recipe.naming import moving_tags
from build.recipe.patches import patch_findings
from build.recipe.patching import patching_findings
from build.recipe.placeholders import placeholder_findings
from build.recipe.python import python_findings
from build.recipe.running import running_findings
from build.recipe.words import Finding, quoted, shown

__all__ = ["Facts", "recipe_problems", "shared_problems"]

_LEANS_ON = {
    "cmake": ("source", "family"),
    "image.tags": ("source", "variants"),
    "link_fix": ("toolchain.driver", "family", "cmake"),
    "patch_sets": ("name", "family", "source"),
    "patches": ("name",),
    "serve": ("source",),
    "smoke": ("source", "family"),
    "source": ("family", "toolchain", "variants"),
    "targets": ("family",),
    "runtime": ("family",),
    "steps": ("source", "family"),
    "toolchain": ("family", "source"),
    "toolchain.architectures": ("toolchain.cuda",),
    "variants": ("source", "toolchain", "link_fix", "family", "cmake"),
    "watch": ("source",),
}
"""Keys whose rules look at other keys too. Where those could not be read, the rule says nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the rules must know of the disk."""

    locks: Mapping[str, str] = field(default_factory=dict)
    """CUDA version -> text of recipes/toolchains/cuda-<version>.txt."""
    patches: Collection[str] = ()
    """Regular files below patches/, as paths from there."""
    package_locks: Mapping[str, str] = field(default_factory=dict)
    """Path below recipes/ -> text, of the locks in recipes/packages/."""


def recipe_problems(recipe: Recipe, facts: Facts, *, unread: Sequence[str] = ()) -> tuple[Problem, ...]:
    """Judge one recipe alone. `unread` are key paths that could not be read and hold stand-ins."""
    findings = (
        *identity_findings(recipe),
        *(
            compiling_findings(recipe, facts.locks)
            if recipe.family.compiles
            else python_findings(recipe, facts.package_locks)
        ),
        *running_findings(recipe),
        *patch_findings(recipe, facts.patches),
        *patching_findings(recipe, facts.patches, facts.package_locks),
    )
    return tuple(_problem(recipe, finding) for finding in findings if not _hidden(finding.key, unread))


def shared_problems(recipes: Sequence[Recipe]) -> tuple[Problem, ...]:
    """Judge the recipes beside each other: names and moving tags belong to one image each."""
    return (*_names(recipes), *_tags(recipes))


def _problem(recipe: Recipe, finding: Finding) -> Problem:
    return Problem(
        file=recipe.origin.file,
        line=recipe.origin.line(finding.key),
        key=shown(finding.key),
        message=finding.message,
        hint=finding.hint,
    )


def _near(one: str, other: str) -> bool:
    return f"{one}.".startswith(f"{other}.") or f"{other}.".startswith(f"{one}.")


def _hidden(key: str, unread: Sequence[str]) -> bool:
    needed = [key]
    for start, others in _LEANS_ON.items():
        if f"{key}.".startswith(f"{start}."):
            needed += others
    return any(_near(one, other) for one in needed for other in unread)


def _names(recipes: Sequence[Recipe]) -> Iterator[Problem]:
    first: dict[str, Recipe] = {}
    for recipe in recipes:
        other = first.setdefault(recipe.name, recipe)
        if other is not recipe:
            message = f"{quoted(recipe.name)} is the name of {other.origin.file} too"
            yield _problem(recipe, Finding("name", message, "choose another"))


def _tags(recipes: Sequence[Recipe]) -> Iterator[Problem]:
    first: dict[tuple[str, str], tuple[Recipe, str]] = {}
    for recipe in recipes:
        for index, tag in enumerate(recipe.image.tags):
            if any(placeholder_findings("", tag, recipe.source)) or tag in recipe.image.tags[:index]:
                continue
            for variant in variant_names(recipe):
                full = moving_tags(recipe, variant, (tag,))[0]
                mine = (recipe, f"variant {variant}" if variant else "the recipe itself")
                other = first.setdefault((recipe.image.repository, full), mine)
                if other is not mine:
                    name = f"{shown(recipe.image.repository)}:{shown(full)}"
                    owner = other[1] if other[0] is recipe else other[0].origin.file
                    finding = Finding(
                        f"image.tags.{index}", f"{name} is also moved by {owner}", "one image a tag"
                    )
                    yield _problem(recipe, finding)
                    break
