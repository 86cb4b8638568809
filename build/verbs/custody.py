"""The verb that keeps copies of what builds start from, and says which origins have lost theirs."""

import argparse
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from build.doors.console import Console
from build.errors import BadRequest
from build.settings import Settings, custody_place
from build.several import each
from build.verbs.group import Verbs, selected

if TYPE_CHECKING:
    from build.publish.custody import Kept, Piece
    from build.publish.origins import Checked
    from build.recipe.model import Recipe
    from build.road import Road

__all__ = ["add"]


def add(verbs: Verbs) -> None:
    """Add the verb."""
    custody = verbs.add_for_recipes(
        "custody",
        _custody,
        "keep copies of the sources, wheels, toolchains and bases that recipes pin",
        detail="What is there is not copied again. Builds take a copy where an origin fails, or first with "
        "INGOT_CUSTODY_FIRST=1.",
    )
    text = "host/namespace of a registry, or a folder (/..., ./..., ~/...); without it INGOT_CUSTODY"
    custody.add_argument("--to", default="", metavar="PLACE", help=text)
    text = "copy nothing: ask whether the origins still have what is pinned; 1 if something is gone and has no copy"
    custody.add_argument("--check", action="store_true", help=text)


def _custody(arguments: argparse.Namespace, settings: Settings, console: Console) -> object:
    from build.road import Road

    if arguments.to:
        place = custody_place(arguments.to, root=settings.root, home=settings.home)
        settings = replace(settings, custody=place)
    road = Road(settings=settings, reporter=console)
    recipes = selected(arguments, settings)
    if arguments.check:
        return _check(road, recipes, arguments.variant, console)
    return _keep(road, recipes, arguments.variant, console)


def _keep(road: "Road", recipes: tuple["Recipe", ...], variant: str, console: Console) -> object:
    from build.publish.custody import keep, pieces
    from build.recipe.effective import effective

    custody = road.custody
    if custody is None:
        message = "INGOT_CUSTODY is not set: no place to keep copies"
        hint = "INGOT_CUSTODY=registry.example.org/namespace, INGOT_CUSTODY=/srv/custody, or --to PLACE"
        raise BadRequest(message, hint=hint)

    def kept(recipe: "Recipe") -> "tuple[Kept, ...]":
        found: list[Piece] = [
            *pieces(effective(recipe, variant), road.resolve(recipe, variant).pin, road.resolver)
        ]
        return keep(found, custody, console)

    copies = _merged(each(((one.name, partial(kept, one)) for one in recipes), console))
    rows = tuple(
        (one.what, " ".join(one.recipes), _megabytes(one.size), _megabytes(one.sent) if one.sent else "there")
        for one in copies
    )
    console.summary(f"copies in {custody.shelf}", ("what", "recipes", "size", "sent"), rows)
    return {"place": str(custody.shelf), "copies": copies}


def _merged(lists: "list[tuple[Kept, ...]]") -> "tuple[Kept, ...]":
    """Say of each copy once which recipes it serves."""
    found: dict[str, Kept] = {}
    for one in (one for kept in lists for one in kept):
        before = found.get(one.name)
        found[one.name] = one if before is None else replace(before, recipes=before.recipes + one.recipes)
    return tuple(found.values())


def _check(road: "Road", recipes: tuple["Recipe", ...], variant: str, console: Console) -> object:
    from build.pin.archive import ConfiguredIndex
    from build.publish.origins import check_origins, origins, verdict
    from build.recipe.effective import effective

    wanted = [
        origin
        for recipe in recipes
        for origin in origins(
            effective(recipe, variant), road.resolver, road.registry.exists, ConfiguredIndex()
        )
    ]
    checked = check_origins(wanted, road.custody.shelf if road.custody else None, console)
    _show(checked, console)
    verdict(checked)
    return {"checked": checked}


def _show(checked: "tuple[Checked, ...]", console: Console) -> None:
    words = {True: "yes", False: "no", None: "not known"}
    rows = tuple((one.what, " ".join(one.recipes), one.origin, words[one.copy]) for one in checked)
    console.summary("origins of what is pinned", ("what", "recipes", "origin", "copy"), rows)
    for one in checked:
        if one.reason and one.origin != "made here":
            console.note(f"{one.what}: {one.reason}")


def _megabytes(count: int) -> str:
    return f"{count / 1_000_000:.1f} MB"
