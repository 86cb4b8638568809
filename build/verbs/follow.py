"""The verbs that follow upstream: what is new there, and the pin moved to it."""

import argparse
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from build.doors.console import Console
from build.errors import BadRequest
from build.settings import Settings
from build.verbs.group import Verbs, selected

if TYPE_CHECKING:
    from build.follow.bump import Bumper
    from build.follow.watch import Question, Watch
    from build.pin.source import Sources
    from build.recipe.model import Recipe
    from build.road import Road

__all__ = ["TIMEOUT_S", "add", "bumper", "watch_of"]

TIMEOUT_S = 30.0
_PIN_LINE = "(commit|sdist):"
"""What a recipe's line with its pin holds."""


def add(verbs: Verbs) -> None:
    """Add what follows upstream."""
    watch = verbs.add(
        "watch",
        _watch,
        "ask every upstream whether there is something new, all at once",
        detail="Fetches and changes nothing. Without a name the locks are asked about too. Ends with 1 if some could "
        "not be judged, with 4 if none answered.",
    )
    watch.add_argument(
        "recipes", nargs="*", metavar="RECIPE", help="names or globs; none means all, and the locks"
    )
    watch.add_argument(
        "--timeout",
        type=_seconds,
        default=TIMEOUT_S,
        metavar="S",
        help="how long each upstream may take; it is then an error of its own (default: 30)",
    )
    watch.set_defaults(variant="")
    bump = verbs.add(
        "bump",
        _bump,
        "move recipes to what is new upstream: the pin, and out/<recipe>/bump.md about what changed",
        detail="Builds nothing. Every patch is judged, none repaired; ends with 1 if one does not fit.",
    )
    bump.add_argument("recipes", nargs="+", metavar="RECIPE", help="names or globs")
    bump.add_argument(
        "--to", default="", metavar="REF", help="branch, tag, full commit, or an archive's version"
    )
    bump.add_argument(
        "--version", default="", help="what the new pin is called; without it upstream's own name"
    )
    bump.add_argument("--commit", default="", help="of a source archive: the upstream commit that it carries")
    bump.set_defaults(variant="")


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds <= 3600:  # noqa: PLR2004  (an hour)
        message = "more than 0, at most 3600"
        raise ValueError(message)
    return seconds


def _watch(arguments: argparse.Namespace, settings: Settings, console: Console) -> object:
    from build.road import Road

    recipes = selected(arguments, settings)
    questions = () if arguments.recipes else tuple(_locks(Road(settings=settings, reporter=console)))
    return watch_of(settings, console, arguments.timeout, recipes).look(recipes, questions)


def watch_of(settings: Settings, console: Console, timeout_s: float, recipes: "Sequence[Recipe]") -> "Watch":
    """Wire a watch to this machine's doors; upstreams that only this machine has are made."""
    from build.doors.checkout import added_lines
    from build.follow.watch import Watch, by_pin
    from build.pin.archive import ConfiguredIndex
    from build.road import Road

    sources = Road(settings=settings, reporter=console).resolver.sources
    _make_samples(recipes, sources)
    return Watch(
        mirrors=sources.mirrors,
        index=ConfiguredIndex(),
        reporter=console,
        timeout_s=timeout_s,
        now=datetime.now(tz=UTC),
        pinned_at=lambda: by_pin(added_lines(settings.root, "recipes", _PIN_LINE)),
    )


def _bump(arguments: argparse.Namespace, settings: Settings, console: Console) -> object:
    from build.follow.bump import Wish
    from build.recipe.check import check
    from build.several import each

    recipes = selected(arguments, settings)
    wish = Wish(to=arguments.to, version=arguments.version, commit=arguments.commit)
    if len(recipes) > 1 and wish != Wish():
        message = "--to, --version and --commit are about one recipe"
        raise BadRequest(message, hint=f"this names {', '.join(recipe.name for recipe in recipes)}")
    one = bumper(settings, console, check(settings.root))
    if len(recipes) == 1:
        return one.bump(recipes[0], wish)
    return each(((recipe.name, partial(one.bump, recipe, wish)) for recipe in recipes), console)


def bumper(settings: Settings, console: Console, recipes: "Sequence[Recipe]") -> "Bumper":
    """Wire a bump to this machine's doors. `recipes`: all of the checkout."""
    from build.follow.bump import Bumper
    from build.pin.archive import ConfiguredIndex
    from build.road import Road

    return Bumper(
        root=settings.root,
        out=settings.out,
        sources=Road(settings=settings, reporter=console).resolver.sources,
        index=ConfiguredIndex(),
        reporter=console,
        recipes=tuple(recipes),
    )


def _make_samples(recipes: "Sequence[Recipe]", sources: "Sources") -> None:
    """Make the upstreams that only this machine has."""
    from build.pin.sample import ensure_sample, is_sample
    from build.recipe.model import GitSource

    for recipe in recipes:
        if isinstance(recipe.source, GitSource) and is_sample(recipe.source.repo):
            ensure_sample(recipe.source.repo, sources.samples, sources.cache)


def _locks(road: "Road") -> "Iterator[Question]":
    from build.follow.locks import CUDA_PACKAGE, base_verdict, cuda_verdict
    from build.follow.watch import Question
    from build.pin.archive import ConfiguredIndex
    from build.pin.locks import read_cuda_lock, read_debian_lock

    for path in sorted(road.toolchains.glob("cuda-*.txt")):
        lock = read_cuda_lock(road.toolchains, path.stem.removeprefix("cuda-"))
        files = partial(ConfiguredIndex().files, CUDA_PACKAGE)
        yield Question(name=path.stem, ask=partial(cuda_verdict, lock, files))
    debian = read_debian_lock(road.toolchains)
    yield Question(name="debian", ask=partial(base_verdict, debian, road.digest))
