"""The verb that puts two images side by side."""

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING

from build.doors.console import Console
from build.errors import IngotError
from build.settings import Settings
from build.verbs.group import Verbs

if TYPE_CHECKING:
    from build.report.difference import Difference
    from build.report.operands import Operands

__all__ = ["add"]


def add(verbs: Verbs) -> None:
    """Add `diff`."""
    diff = verbs.add(
        "diff",
        _diff,
        "say how two images differ: flags, values, defaults, kernels, layers, patches, toolchain, upstream",
        detail="Each side is a recipe that was built or planned (minifork+no-vmm), a folder of artifacts, a reference in a "
        "registry, or `published`: the last pushed image of the other side's recipe. Two folders with images of one plan are "
        "also compared file by file: they should be the same bytes. Differing is no failure.",
    )
    diff.add_argument("left", metavar="A", help="the one before")
    diff.add_argument("right", metavar="B", help="the one after")


def _diff(arguments: argparse.Namespace, settings: Settings, console: Console) -> object:
    from build.doors.download import ReadingRegistry
    from build.report.operands import Operands
    from build.wiring import Wiring

    operands = Operands(
        out=settings.out,
        cache=settings.cache,
        recipes=tuple(sorted(path.stem for path in (settings.root / "recipes").glob("*.yaml"))),
        registry=lambda: ReadingRegistry(docker_config=settings.docker_config),
        mirrors=Wiring(settings=settings, reporter=console).resolver.sources.mirrors,
        reporter=console,
    )
    difference = operands.difference(arguments.left, arguments.right)
    difference = _with_parts(difference, (arguments.left, arguments.right), operands, settings, console)
    rows = tuple(
        (change.area.value, change.kind.value, change.name, change.before, change.after)
        for change in difference.changes
    )
    title = f"{difference.left} and {difference.right}"
    if rows:
        console.summary(title, ("about", "", "what", "before", "after"), rows)
    elif not difference.parts:
        console.note(f"{title}: no difference was found")
    for words in difference.parts:
        console.output(f"  {words}")
    for words in difference.same:
        console.note(f"same: {words}")
    for words in difference.unknown:
        console.warning(f"not compared: {words}")
    return difference


def _with_parts(
    difference: "Difference",
    sides: tuple[str, str],
    operands: "Operands",
    settings: Settings,
    console: Console,
) -> "Difference":
    """Add where two images that should be the same bytes differ; that they cannot be read is no failure of the rest."""
    from build.doors import store
    from build.verify.compare import compare

    try:
        twins = operands.twins(*sides)
        if twins is None:
            return difference
        with console.step("compare file by file"), store.scratch(settings.cache / "compared") as scratch:
            found = compare(*twins, scratch, same_versions=True)
    except (IngotError, OSError) as error:
        return replace(difference, unknown=(*difference.unknown, f"files: {error}"))
    more = (f"files: {found.unlisted} further differences are not listed",) if found.unlisted else ()
    return replace(difference, parts=tuple(map(str, found.differences)), unknown=(*difference.unknown, *more))
