"""Every recipe of a checkout, read and judged: the one door from the tree to trusted `Recipe`s. No network, no engine."""

from collections.abc import Iterator
from pathlib import Path

from build.errors import BadRecipes, Problem
from build.recipe.decode import Draft, ordered, read, recipe_paths
from build.recipe.model import Recipe
from build.recipe.rules import Facts, recipe_problems, shared_problems
from build.recipe.words import printable

__all__ = ["check", "comparable", "facts_of"]


def check(root: Path) -> tuple[Recipe, ...]:
    """Read all recipes below `root` and hold every rule against them.

    Raises:
        BadRecipes: with every problem of every recipe.
    """
    facts = facts_of(root)
    paths = recipe_paths(root)
    drafts = [read(path, root=root) for path in paths]
    problems = [problem for draft in drafts for problem in draft.problems]
    for draft in drafts:
        if draft.recipe:
            problems += recipe_problems(draft.recipe, facts, unread=draft.keys)
    recipes = [draft.recipe for draft in drafts if draft.recipe]
    problems += shared_problems([draft.recipe for draft in drafts if draft.recipe and _is_comparable(draft)])
    problems += _stray(root, facts, {path.stem for path in paths} | {recipe.name for recipe in recipes})
    if problems:
        raise BadRecipes(ordered(problems))
    return tuple(recipes)


def comparable(root: Path) -> tuple[Recipe, ...]:
    """Read the recipes below `root` of which is known what they share with others: names and tags of images."""
    drafts = (read(path, root=root) for path in recipe_paths(root))
    return tuple(draft.recipe for draft in drafts if draft.recipe and _is_comparable(draft))


def _is_comparable(draft: Draft) -> bool:
    """Say whether what recipes share could be read: the names and tags of images."""
    return {"name", "image", "source", "variants"}.isdisjoint(key.partition(".")[0] for key in draft.keys)


def facts_of(root: Path) -> Facts:
    """Look up what the rules must know of the disk."""
    locks = sorted((root / "recipes" / "toolchains").glob("cuda-*.txt"))
    return Facts(
        locks={path.stem.removeprefix("cuda-"): _text(path) for path in locks if path.is_file()},
        patches=_files(root / "patches"),
        package_locks={
            path.relative_to(root / "recipes").as_posix(): _text(path)
            for path in sorted((root / "recipes" / "packages").glob("*.txt"))
            if path.is_file() and not path.is_symlink()
        },
    )


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def _files(folder: Path) -> tuple[str, ...]:
    found = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return tuple(sorted(path.relative_to(folder).as_posix() for path in found))


def _stray(root: Path, facts: Facts, names: set[str]) -> Iterator[Problem]:
    """Find files that look as if they took part and do not."""
    for file in facts.patches:
        if file.endswith(".patch") and file.partition("/")[0] not in names:
            yield _problem(f"patches/{file}", "belongs to no recipe", "patches lie in patches/<recipe>/")
    for path in sorted((root / "recipes").glob("*")):
        if path.suffix.lower() in {".yaml", ".yml"} and path.suffix != ".yaml":
            yield _problem(f"recipes/{path.name}", "is not read", "a recipe's file name ends in .yaml")


def _problem(file: str, message: str, hint: str) -> Problem:
    return Problem(file=printable(file), line=1, key="", message=message, hint=hint)
