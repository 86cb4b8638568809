"""The verb that writes an image's pages again."""

import argparse
from functools import partial

from build.doors.console import Console
from build.settings import Settings
from build.several import each
from build.verbs.group import Verbs, finished

__all__ = ["add"]


def add(verbs: Verbs) -> None:
    """Add the verb."""
    verbs.add_for_recipes(
        "report",
        _report,
        "write report.md, report.html and junit.xml of built images again, from their artifacts",
        detail="Needs nothing but out/; smoke and push write them too.",
    )


def _report(arguments: argparse.Namespace, settings: Settings, console: Console) -> object:
    from build.road import Road

    road = Road(settings=settings, reporter=console)
    written = each(
        ((name, partial(road.report, name)) for name in finished(arguments, settings, "image.json")), console
    )
    for one in written:
        console.note(f"{one.name}: {one.standing}")
    return written
