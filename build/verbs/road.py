"""The verbs of the road, one for each station, in its order."""

import argparse
import os
from functools import partial

from build.doors.console import Console
from build.settings import Settings
from build.several import each
from build.verbs.group import Verbs, finished, positive, selected, takes_builder

__all__ = ["add"]

_SEVERAL = (
    "Several are built side by side by one BuildKit, which makes equal stages once; the one that took longest before "
    "begins first, one that another run works on comes last, and compilers wait for a free slot of the machine. A failure "
    "does not stop the others."
)


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
    prove = verbs.add_for_recipes("resolve", _resolve, "prove the pin: source, patches, toolchain and base")
    takes_builder(prove)
    plan = verbs.add_for_recipes("plan", partial(_station, station="plan"), "resolve, render and fingerprint")
    takes_builder(plan)
    text = "make images and smoke-test them; does nothing for what is done already"
    for name, detail in (
        ("image", "The station by its own name; `build` is the same."),
        (
            "build",
            "Resolves and plans before; `push` comes after. The same as `image`, by the name that people type.",
        ),
    ):
        one = verbs.add_for_recipes(name, _image, text, detail=f"{detail} {_SEVERAL}")
        takes_builder(one)
        one.add_argument(
            "--force", action="store_true", help="build and smoke-test even when there is nothing to do"
        )
        one.add_argument(
            "--at-once",
            type=positive,
            metavar="N",
            help="images built side by side; else a quarter of the cores, and two at least",
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
    _add_push(verbs)


def _add_push(verbs: Verbs) -> None:
    pushed = verbs.add_for_recipes(
        "push",
        _push,
        "push smoke-tested images to INGOT_REGISTRY",
        detail="The immutable tag first, read back and compared, then what is attached, then the moving tags.",
    )
    beside = pushed.add_mutually_exclusive_group()
    beside.add_argument(
        "--attest",
        dest="attest",
        action="store_const",
        const="yes",
        help="attach bill of materials and provenance (as INGOT_ATTEST=yes)",
    )
    beside.add_argument(
        "--custody",
        dest="attest",
        action="store_const",
        const="custody",
        help="attach those, and all that the image is built from (as INGOT_ATTEST=custody)",
    )
    verbs.add_for_recipes(
        "attest",
        _attest,
        "write the bill of materials and the provenance of images that were built",
        detail="sbom.cdx.json (CycloneDX) and provenance.json (SLSA), beside the image; `push --attest` attaches them.",
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


def _image(arguments: argparse.Namespace, settings: Settings, console: Console) -> object:
    """Build one image here, or several side by side."""
    from build.road import Road

    road = Road(settings=settings, reporter=console, force=arguments.force)
    recipes = selected(arguments, settings)
    if len(recipes) == 1:
        return [road.image(recipes[0], arguments.variant)]
    return road.side_by_side(
        recipes, arguments.variant, at_once=arguments.at_once or max(2, (os.cpu_count() or 1) // 4)
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
        (
            (name, partial(road.push, name, attest=arguments.attest))
            for name in finished(arguments, settings, "smoke.json")
        ),
        console,
    )


def _attest(arguments: argparse.Namespace, settings: Settings, console: Console) -> object:
    from build.road import Road

    road = Road(settings=settings, reporter=console)
    return each(
        ((name, partial(road.attest, name)) for name in finished(arguments, settings, "image.json")), console
    )
