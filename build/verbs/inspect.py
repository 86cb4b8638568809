"""The verb that reads back what an image says of itself."""

import argparse
from typing import TYPE_CHECKING

from build.doors.console import Console
from build.doors.effects import Reporter
from build.errors import IngotError
from build.settings import Settings
from build.verbs.group import Verbs

if TYPE_CHECKING:
    from build.report.attached import Bill, BuildClaim
    from build.report.inspect import Inspected

__all__ = ["add"]


def add(verbs: Verbs) -> None:
    """Add `inspect`."""
    inspect = verbs.add(
        "inspect",
        _inspect,
        "read back what an image says of itself, what is attached to it, and how to make it again",
        detail="REF is a tag or a digest in a registry (registry/name:tag, registry/name@sha256:...), or a recipe that was "
        "built here (minifork+no-vmm). No layer is pulled and nothing is run. Ends with 3 where the registry does not "
        "have it, with 4 where the registry cannot be reached.",
    )
    inspect.add_argument("ref", metavar="REF", help="the image")


def _inspect(arguments: argparse.Namespace, settings: Settings, console: Console) -> object:
    from build.report.inspect import Inspector
    from build.wiring import Wiring

    wiring = Wiring(settings=settings, reporter=console)
    inspector = Inspector(
        out=settings.out, recipes=_pinned(settings, console), registry=lambda: wiring.registry
    )
    found = inspector.inspect(arguments.ref)
    _show(found, console)
    return found


def _pinned(settings: Settings, console: Reporter) -> dict[str, str]:
    """Name the recipes of the tree and what they pin. One that cannot be read keeps nobody from looking at an image."""
    from build.recipe.check import check
    from build.recipe.sources import commit_of

    names = {path.stem: "" for path in (settings.root / "recipes").glob("*.yaml")}
    try:
        recipes = check(settings.root)
    except IngotError as error:
        console.warning(
            f"which commits are pinned is not known: {error.message}; `python -m build check` names them. The commands "
            "to make the image again therefore begin with the commit's own checkout"
        )
        return names
    return names | {recipe.name: commit_of(recipe.source) for recipe in recipes}


def _show(image: "Inspected", console: Reporter) -> None:
    from build.image.model import megabytes

    rows = (
        ("digest", image.digest),
        ("recipe", image.recipe + (f", variant {image.variant}" if image.variant else "")),
        ("version", image.version),
        ("upstream", image.source),
        ("commit", image.commit),
        ("commit date", image.created),
        ("patches", ", ".join(f"{patch.file} ({patch.sha256})" for patch in image.patches)),
        ("CUDA", image.cuda),
        ("architectures", " ".join(image.architectures)),
        ("driver", " ".join(filter(None, (image.driver, f"{image.driver_minimum} or newer" * bool(image.driver_minimum))))),
        ("base", image.base_digest),
        ("fingerprint", image.fingerprint),
        ("immutable tag", image.tag),
        ("packages", _counted(image.attached.bill)),
        ("bundle", " ".join(image.attached.bundles)),
        ("size", f"{megabytes(image.size)} in {len(image.layers)} layers, {image.platform}"),
    )  # fmt: skip
    console.summary(image.name, ("what", "says"), tuple((what, says) for what, says in rows if says))
    for claim in image.attached.claims:
        console.summary("built, by its unsigned provenance", ("what", "says"), _claimed(claim))
    layers = tuple((layer.digest[:19], megabytes(layer.size), layer.what) for layer in image.layers)
    console.summary("layers", ("digest", "size", "made by"), layers)
    if not image.ours:
        console.warning(f"{image.name} has none of Ingot's labels: who made it, and of what, it does not say")
    if image.attached.bills > 1:
        console.note(f"{image.attached.bills} bills of materials are attached, and they differ")
    for reason in image.attached.refused:
        console.warning(f"attached, and not taken: {reason}")
    for command in image.rebuild:
        console.note(f"make it again: {command}")


def _counted(bill: "Bill | None") -> str:
    if bill is None:
        return ""
    return f"{bill.debian} of Debian, {bill.python} of Python, {bill.total} parts in all, by its bill of materials"


def _claimed(claim: "BuildClaim") -> tuple[tuple[str, str], ...]:
    changed = ", with changes that are not committed" if claim.recipes_changed else ""
    rows = (
        ("started", claim.started),
        ("finished", claim.finished),
        ("by", claim.builder),
        ("versions", ", ".join(f"{name} {version}" for name, version in claim.versions)),
        ("recipes", claim.recipes_commit + changed),
        ("toolchain", claim.toolchain),
        ("base", claim.base),
    )
    return tuple((what, says) for what, says in rows if says)
