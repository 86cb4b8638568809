"""The verbs of the road, one for each station, in its order."""

import argparse
from functools import partial

from build.doors.console import Console
from build.settings import Settings
from build.several import each
from build.verbs.group import Verbs, finished, selected

__all__ = ["add"]


def add(verbs: Verbs) -> None:
    """Add the stations of the road, in its order."""
    verbs.add(
        "check",
        _check,
        "read every recipe and report all problems at once",
        detail="Needs nothing but the tree.",
    )
    verbs.add_for_recipes(
        "render",
        partial(_station, station="render"),
        "write Dockerfile and bake file below out/",
        detail="Needs nothing but the tree; digests are zeros until `resolve` has proven them.",
    )
    verbs.add_for_recipes(
        "resolve",
        _resolve,
        "prove the pin: source, patches, toolchain and base",
    )
    verbs.add_for_recipes("plan", partial(_station, station="plan"), "resolve, render and fingerprint")
    for name in ("image", "build"):
        text = "make images and smoke-test them; does nothing for what is done already"
        one = verbs.add_for_recipes(name, partial(_station, station="image"), text)
        one.add_argument(
            "--force", action="store_true", help="build and smoke-test even when there is nothing to do"
        )
    test = verbs.add_for_recipes("smoke", _smoke, "smoke-test images that were built, again")
    only = test.add_mutually_exclusive_group()
    only.add_argument(
        "--static",
        action="store_true",
        help="only what the image's files alone can prove; no engine is needed",
    )
    only.add_argument(
        "--gpu",
        action="store_true",
        help="the checks on a GPU are required: without one that the image is compiled for nothing is run",
    )
    verbs.add_for_recipes(
        "push",
        _push,
        "push smoke-tested images to INGOT_REGISTRY",
        detail="The immutable tag first, read back and compared, then the moving tags.",
    )


def _check(_arguments: argparse.Namespace, settings: Settings, console: Console) -> object:
    from build.recipe.check import check

    recipes = check(settings.root)
    console.note(f"{len(recipes)} recipes, no problem")
    return [recipe.name for recipe in recipes]


def _resolve(arguments: argparse.Namespace, settings: Settings, console: Console) -> object:
    """Resolve every selected recipe. Each answer is the pin, with what moved since the one before it."""
    from build.doors import store
    from build.road import Road

    road = Road(settings=settings, reporter=console)
    calls = [
        (recipe.name, partial(road.resolve, recipe, arguments.variant))
        for recipe in selected(arguments, settings)
    ]
    return [{**store.to_data(one.pin), "moved": store.to_data(one.moved)} for one in each(calls, console)]


def _station(arguments: argparse.Namespace, settings: Settings, console: Console, station: str) -> object:
    """Run a station for every selected recipe; a failure does not stop the others."""
    from build.road import Road

    road = Road(settings=settings, reporter=console, force=getattr(arguments, "force", False))
    call, variant = getattr(road, station), arguments.variant
    return each(
        ((recipe.name, partial(call, recipe, variant)) for recipe in selected(arguments, settings)), console
    )


def _smoke(arguments: argparse.Namespace, settings: Settings, console: Console) -> object:
    from build.road import Road

    road = Road(settings=settings, reporter=console)
    call = partial(road.smoke, static=arguments.static, gpu=arguments.gpu)
    return each(
        ((name, partial(call, name)) for name in finished(arguments, settings, "image.json")), console
    )


def _push(arguments: argparse.Namespace, settings: Settings, console: Console) -> object:
    from build.road import Road

    road = Road(settings=settings, reporter=console)
    return each(
        ((name, partial(road.push, name)) for name in finished(arguments, settings, "smoke.json")), console
    )
