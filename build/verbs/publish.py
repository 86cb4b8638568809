"""The verbs of what was published: what a registry holds of a recipe, and the way back to it."""

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING

from build.doors.console import Console
from build.doors.effects import Reporter
from build.errors import BadRequest, NothingSelected
from build.settings import Namespace, Settings
from build.verbs.group import Verbs, selected

if TYPE_CHECKING:
    from build.publish.history import History
    from build.publish.rollback import RollbackReceipt

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


def _namespace(settings: Settings) -> Namespace:
    if settings.registry is None:
        message = "INGOT_REGISTRY is not set: no registry to ask"
        raise BadRequest(message, hint="INGOT_REGISTRY=registry.example.org/namespace")
    return settings.registry


def _history(arguments: argparse.Namespace, settings: Settings, console: Console) -> object:
    from build.publish.history import history
    from build.wiring import Wiring

    namespace = _namespace(settings)
    registry = Wiring(settings=settings, reporter=console).registry
    found = []
    for recipe in selected(arguments, settings):
        one = history(recipe, namespace, registry, console)
        if arguments.variant:
            one = replace(
                one, images=tuple(image for image in one.images if image.variant == arguments.variant)
            )
        if one.images:
            _show_history(one, console)
            found.append(one)
            continue
        message = f"{recipe.name} is not in the registry: {one.repository} holds no image of it"
        if recipe.name in arguments.recipes:
            raise NothingSelected(message, hint=f"`nox -s push -- {recipe.name}` puts one there")
        console.note(message)
    if not found:
        message = f"{namespace} holds no image of these recipes"
        raise NothingSelected(message, hint="`nox -s push` puts them there")
    return found


def _show_history(there: "History", console: Reporter) -> None:
    rows = tuple(
        (
            image.tag, " ".join(image.moving_tags), _short(image.digest), image.commit[:12], image.created[:10],
            f"{image.size / 1_000_000:.1f} MB",
        )
        for image in there.images
    )  # fmt: skip
    header = ("tag", "moving tags", "digest", "commit", "commit date", "size")
    console.summary(f"{there.recipe} in {there.repository}, newest first", header, rows)
    for one in there.passed_over:
        console.note(f"{there.repository}:{one.tag} is passed over: {one.reason}")


def _rollback(arguments: argparse.Namespace, settings: Settings, console: Console) -> object:
    from build.doors import store
    from build.plan.model import directory_name
    from build.publish.rollback import RollbackReceipt, carry_out, plan_rollback
    from build.wiring import Wiring

    namespace = _namespace(settings)
    recipes = selected(arguments, settings)
    if len(recipes) != 1:
        message = f"'{arguments.recipes[0]}' means {len(recipes)} recipes: a rollback is of one"
        raise BadRequest(message, hint="name the recipe")
    out = settings.out / directory_name(recipes[0].name, arguments.variant)
    registry = Wiring(settings=settings, reporter=console).registry
    record = out / "rollback.json"
    with store.locked(out / ".lock"):
        plan = plan_rollback(
            recipes[0], arguments.variant, namespace, registry, console,
            to=arguments.to, last=store.read_known(record, RollbackReceipt),
        )  # fmt: skip
        receipt = plan.planned
        if not arguments.dry_run:
            store.write_artifact(record, receipt)
            receipt = carry_out(plan, registry, console)
            store.write_artifact(record, receipt)
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
