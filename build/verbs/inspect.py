"""The verb that reads back what an image says of itself."""

import argparse
from typing import TYPE_CHECKING

from build.doors.console import Console
from build.doors.effects import Reporter
from build.errors import IngotError
from build.settings import Settings
from build.verbs.group import Verbs

if TYPE_CHECKING:
    from build.report.inspect import Inspected

__all__ = ["add"]


def add(verbs: Verbs) -> None:
    """Add `inspect`."""
    inspect = verbs.add(
        "inspect",
        _inspect,
        "read back what an image says of itself: source, patches, toolchain, base, layers, how to make it again",
        detail="REF is a tag or a digest in a registry (registry/name:tag, registry/name@sha256:...), or a recipe that was "
        "built here (minifork+no-vmm). No layer is pulled and nothing is run. Ends with 3 where the registry does not "
        "have it, with 4 where the registry cannot be reached.",
    )
    inspect.add_argument("ref", metavar="REF", help="the image")


def _inspect(arguments: argparse.Namespace, settings: Settings, console: Console) -> object:
    from build.report.inspect import Inspector
    from build.wiring import Wiring

    wiring = Wiring(settings=settings, reporter=console)
    inspector = Inspector(out=settings.out, recipes=_pinned(settings), registry=lambda: wiring.registry)
    found = inspector.inspect(arguments.ref)
    _show(found, console)
    return found


def _pinned(settings: Settings) -> dict[str, str]:
    """Name the recipes of the tree. One that cannot be read keeps nobody from looking at an image."""
    from build.recipe.check import check
    from build.recipe.sources import commit_of

    names = {path.stem: "" for path in (settings.root / "recipes").glob("*.yaml")}
    try:
        recipes = check(settings.root)
    except IngotError:
        return names
    return names | {recipe.name: commit_of(recipe.source) for recipe in recipes}


def _show(image: "Inspected", console: Reporter) -> None:
    rows = (
        ("digest", image.digest),
        ("recipe", image.recipe + (f", variant {image.variant}" if image.variant else "")),
        ("version", image.version),
        ("upstream", image.source),
        ("commit", image.commit),
        ("of", image.created),
        ("patches", ", ".join(f"{patch.file} ({patch.sha256})" for patch in image.patches)),
        ("CUDA", image.cuda),
        ("architectures", " ".join(image.architectures)),
        ("driver", " ".join(filter(None, (image.driver, f"{image.driver_minimum} or newer" * bool(image.driver_minimum))))),
        ("base", image.base_digest),
        ("fingerprint", image.fingerprint),
        ("immutable tag", image.tag),
        ("size", f"{image.size / 1_000_000:.1f} MB in {len(image.layers)} layers, {image.platform}"),
    )  # fmt: skip
    console.summary(image.name, ("what", "says"), tuple((what, says) for what, says in rows if says))
    layers = tuple(
        (layer.digest[:19], f"{layer.size / 1_000_000:.1f} MB", layer.what) for layer in image.layers
    )
    console.summary("layers", ("digest", "size", "made by"), layers)
    if not image.ours:
        console.warning(f"{image.name} has none of Ingot's labels: who made it, and of what, it does not say")
    for command in image.rebuild:
        console.note(f"make it again: {command}")
