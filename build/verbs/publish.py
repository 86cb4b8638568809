"""The verbs of what was published: what a registry holds of a recipe, and the way back to it."""

import argparse
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from build.doors.console import Console
from build.doors.effects import Reporter
from build.errors import BadRequest, NothingSelected
from build.settings import Namespace, Settings
from build.several import each
from build.verbs.group import Verbs, selected

if TYPE_CHECKING:
    from build.onward import Onward
    from build.publish.history import History
    from build.publish.rollback import RollbackReceipt
    from build.recipe.model import Recipe

__all__ = ["add"]


def add(verbs: Verbs) -> None:
    """Add what asks the registry."""
    verbs.add_for_recipes(
        "history",
        _history,
        "show what the registry holds of recipes, newest first",
        detail="Every immutable tag with the moving tags that point at it, digest, upstream commit and its date, size. --json "
        "has the fingerprint too.",
    )
    back = verbs.add(
        "rollback",
        _rollback,
        "point a recipe's moving tags back at an image that was pushed before",
        detail="Builds nothing. It lasts until the next push of the recipe.",
    )
    back.add_argument("recipes", nargs=1, metavar="RECIPE", help="the recipe's name")
    back.add_argument("--variant", default="", help="this variant of the recipe, e.g. no-vmm")
    text = "digest or immutable tag of the image to go back to; without it the one before the current"
    back.add_argument("--to", default="", metavar="DIGEST", help=text)
    back.add_argument("--dry-run", action="store_true", help="say what would move, and move nothing")


def _history(arguments: argparse.Namespace, settings: Settings, console: Console) -> object:
    from build.onward import Onward

    onward = Onward(settings=settings, reporter=console)
    namespace = onward.namespace("no registry to ask")
    recipes = selected(arguments, settings)
    calls = ((recipe.name, partial(_there, recipe, arguments, onward, namespace)) for recipe in recipes)
    found = [one for one in each(calls, console) if one.images]
    if not found:
        message = f"{namespace} holds no image of these recipes"
        raise NothingSelected(message, hint="`nox -s push` puts them there")
    return found


def _there(
    recipe: "Recipe", arguments: argparse.Namespace, onward: "Onward", namespace: Namespace
) -> "History":
    """Ask for one recipe. Where it was named, that there is nothing of it is an error."""
    from build.publish.history import history

    found = history(recipe, namespace, onward.registry, onward.reporter)
    if arguments.variant:
        images = tuple(image for image in found.images if image.variant == arguments.variant)
        found = replace(found, images=images)
    if found.images:
        _show_history(found, onward.reporter)
        return found
    message = f"not in the registry: {found.repository} holds no image of it"
    if recipe.name in arguments.recipes:
        raise NothingSelected(message, hint=f"`nox -s push -- {recipe.name}` puts one there")
    onward.reporter.note(f"{recipe.name}: {message}")
    return found


def _show_history(there: "History", console: Reporter) -> None:
    from build.image.model import megabytes

    rows = tuple(
        (
            image.tag, " ".join(image.moving_tags), _short(image.digest), image.commit[:12], image.created[:10],
            megabytes(image.size),
        )
        for image in there.images
    )  # fmt: skip
    header = ("tag", "moving tags", "digest", "commit", "commit date", "size")
    console.summary(f"{there.recipe} in {there.repository}, newest first", header, rows)
    for one in there.passed_over:
        console.note(f"{there.repository}:{one.tag} is passed over: {one.reason}")


def _rollback(arguments: argparse.Namespace, settings: Settings, console: Console) -> object:
    from build.onward import Onward

    recipes = selected(arguments, settings)
    if len(recipes) != 1:
        message = f"'{arguments.recipes[0]}' means {len(recipes)} recipes: a rollback is of one"
        raise BadRequest(message, hint="name the recipe")
    receipt = Onward(settings=settings, reporter=console).rollback(
        recipes[0], arguments.variant, to=arguments.to, dry_run=arguments.dry_run
    )
    _show_rollback(receipt, console)
    return receipt


def _show_rollback(receipt: "RollbackReceipt", console: Reporter) -> None:
    if not receipt.tags:
        console.note(f"nothing to do: every moving tag points at {receipt.tag} already")
        return
    rows = tuple(
        (tag.ref, _short(tag.before) if tag.before else "not there", _short(tag.after))
        for tag in receipt.tags
    )
    title = "moved" if receipt.done else "would move"
    console.summary(f"{title} to {receipt.tag}", ("tag", "before", "after"), rows)


def _short(digest: str) -> str:
    """Shorten for a table; the whole one is in the JSON, and the tag serves as well to name the image."""
    return digest[: len("sha256:") + 12]
