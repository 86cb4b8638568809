"""How a verb is added to the command line, and how its recipes are chosen. No verb is defined here."""

import argparse
from collections.abc import Callable
from typing import Any

from build.doors.console import Console
from build.errors import NothingSelected
from build.settings import Settings

__all__ = ["Handler", "Verbs", "finished", "positive", "selected", "takes_builder"]

Handler = Callable[[argparse.Namespace, Settings, Console], object]


class Verbs:
    """Adds verbs that all take --json and -v."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self._group = parser.add_subparsers(title="verbs", metavar="VERB", required=True)

    def add(self, name: str, handler: Handler, text: str, *, detail: str = "") -> argparse.ArgumentParser:
        added = self._group.add_parser(
            name, help=text, description=f"{text[0].upper()}{text[1:]}. {detail}".strip()
        )
        added.set_defaults(handler=handler)
        added.add_argument(
            "--json", action="store_true", help="write the result to stdout as one JSON document"
        )
        added.add_argument(
            "-v", "--verbose", action="store_true", help="show where in the code an error arose"
        )
        return added

    def add_for_recipes(
        self, name: str, handler: Handler, text: str, *, detail: str = ""
    ) -> argparse.ArgumentParser:
        added = self.add(name, handler, text, detail=detail)
        added.add_argument("recipes", nargs="*", metavar="RECIPE", help="names or globs; none means all")
        added.add_argument("--variant", default="", help="this variant of the recipes, e.g. no-vmm")
        return added


def takes_builder(verb: argparse.ArgumentParser) -> None:
    """Let the verb's own words name the builder; they win over the settings."""
    verb.add_argument(
        "--builder", default="", metavar="NAME", help="buildx builder to build with (as INGOT_BUILDER)"
    )


def selected(arguments: argparse.Namespace, settings: Settings) -> tuple[Any, ...]:
    from build.recipe.check import check
    from build.recipe.select import select

    return select(check(settings.root), arguments.recipes, variant=arguments.variant)


def finished(arguments: argparse.Namespace, settings: Settings, artifact: str) -> list[str]:
    """Name the folders of the selected images; without a selection all below out/ that have the artifact."""
    from build.recipe.naming import directory_name

    if arguments.recipes:
        return [directory_name(recipe.name, arguments.variant) for recipe in selected(arguments, settings)]
    folders = directory_name("*", arguments.variant)
    names = [path.parent.name for path in sorted(settings.out.glob(f"{folders}/{artifact}"))]
    if not names:
        message = f"no {arguments.variant or 'image'} below {settings.out} has {artifact}"
        raise NothingSelected(message, hint="build an image first: nox -s build-minifork")
    return names


def positive(text: str) -> int:
    """Read a count from the command line."""
    if not text.isdecimal() or int(text) < 1:
        message = f"{text!r} is not a whole number from 1 on"
        raise argparse.ArgumentTypeError(message)
    return int(text)
