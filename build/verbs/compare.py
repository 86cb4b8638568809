"""The verb that puts two images side by side."""

import argparse
from dataclasses import replace

from build.doors.console import Console
from build.settings import Settings
from build.verbs.group import Verbs

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
    from build.doors import store
    from build.doors.download import ReadingRegistry
    from build.report.operands import Operands
    from build.verify.compare import compare
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
    unlisted = 0
    if twins := operands.twins(arguments.left, arguments.right):
        with console.step("compare file by file"), store.scratch(settings.cache / "compared") as scratch:
            found = compare(*twins, scratch, same_versions=True)
        difference = replace(difference, parts=tuple(map(str, found.differences)))
        unlisted = found.unlisted
    rows = tuple(
        (change.area.value, change.kind.value, change.name, change.before, change.after)
        for change in difference.changes
    )
    title = f"{difference.left} and {difference.right}"
    if rows:
        console.summary(title, ("about", "", "what", "before", "after"), rows)
    else:
        console.note(f"{title}: no difference was found")
    for words in difference.parts:
        console.output(f"  {words}")
    if unlisted:
        console.output(f"  and {unlisted} more")
    for words in difference.same:
        console.note(f"same: {words}")
    for words in difference.unknown:
        console.warning(f"not compared: {words}")
    return difference
