"""The verb that takes what is new upstream down the whole road, and the stations it is given."""

import argparse
import socket
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from build.doors.console import Console
from build.errors import BadRequest
from build.settings import Settings
from build.verbs.follow import TIMEOUT_S, bumper, watch_of
from build.verbs.group import Verbs, takes_builder

if TYPE_CHECKING:
    from build.follow.bump import Wish
    from build.follow.bumped import Bump
    from build.follow.outbox import Outbox
    from build.follow.rebuild import Rebuild
    from build.follow.state import State
    from build.follow.watch import Report
    from build.follow.work import Work
    from build.recipe.model import Recipe
    from build.road import Road

__all__ = ["add"]


def add(verbs: Verbs) -> None:
    """Add rebuild."""
    rebuild = verbs.add(
        "rebuild",
        _rebuild,
        "take every candidate down the whole road: bump, build, smoke, push, and the new pin on a branch",
        detail="Works on HEAD, in a copy. Moving tags follow when all images of a recipe have passed. What failed is "
        "tried again later, what is done is not done again: the branch ingot-state remembers.",
    )
    rebuild.add_argument("recipes", nargs="*", metavar="RECIPE", help="names or globs; none means all")
    takes_builder(rebuild)
    rebuild.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    rebuild.add_argument(
        "--remote",
        default="",
        metavar="NAME",
        help="git remote that all runners share: its branches are the truth. Without it this clone's are. With it, "
        "GITHUB_REPOSITORY and GITHUB_TOKEN each recipe gets a pull request",
    )


def _rebuild(arguments: argparse.Namespace, settings: Settings, console: Console) -> object:
    if settings.registry is None and not arguments.dry_run:
        message = "INGOT_REGISTRY is not set: nowhere to push to"
        raise BadRequest(message, hint="INGOT_REGISTRY=registry.example.org/namespace, or --dry-run")
    outcomes = _wired(settings, console, arguments.remote).run(arguments.recipes, dry_run=arguments.dry_run)
    return {"outcomes": outcomes}


def _wired(settings: Settings, console: Console, remote: str) -> "Rebuild":
    from build.doors import store
    from build.doors.statebranch import StateBranch, git_dir
    from build.follow.rebuild import Rebuild
    from build.follow.state import BRANCH, State
    from build.follow.work import Station
    from build.recipe.check import check

    repository = git_dir(settings.root)
    # Clones may share a cache, but not the copies they work on.
    place = settings.cache / "follow" / store.sha256_text(str(repository))[:12]

    def watch(recipes: "Sequence[Recipe]") -> "Report":
        return watch_of(settings, console, TIMEOUT_S, recipes).look(recipes)

    def bump(work: "Work", wish: "Wish") -> "Bump":
        here = replace(settings, root=work.checkout, out=work.out)
        return bumper(here, console, check(work.checkout)).bump(work.recipe, wish)

    stations = _Stations(settings, console)
    shared = StateBranch(repository=repository, branch=BRANCH, remote=remote)
    holder = store.sha256_text(f"{socket.gethostname()} {place.resolve()}")[:12]
    state = State(branch=shared, holder=holder)
    return Rebuild(
        repository=repository,
        place=place,
        watch=watch,
        bump=bump,
        stations=(
            Station(name="resolve", do=stations.resolve),
            Station(name="build and smoke", do=stations.build),
            Station(name="push", do=stations.push),
            Station(name="tags", do=stations.tags),
        ),
        state=state,
        outbox=_outbox(settings, console, state),
        now=lambda: datetime.now(tz=UTC),
        reporter=console,
    )


def _outbox(settings: Settings, console: Console, state: "State") -> "Outbox":
    from build.follow.outbox import Outbox
    from build.wiring import Wiring

    github = settings.pull_requests
    needed = {
        "GITHUB_TOKEN": github.token,
        "GITHUB_REPOSITORY": github.repository,
        "--remote": state.branch.remote,
    }
    missing = [name for name, value in needed.items() if not value]
    return Outbox(
        state=state,
        door=None if missing else Wiring(settings=settings, reporter=console).pull_requests,
        closed=f"no pull request is opened: {', '.join(missing)} not given",
        reporter=console,
    )


class _Stations:
    """The road's stations for a recipe and all its variants."""

    def __init__(self, settings: Settings, console: Console) -> None:
        self._settings, self._console = settings, console

    def resolve(self, work: "Work") -> None:
        """Pin and plan all; each is held against its pin when it is about to be built."""
        for variant in self._variants(work):
            self._road(work).plan(work.recipe, variant)

    def build(self, work: "Work") -> None:
        for variant in self._variants(work):
            self._road(work).image(work.recipe, variant)

    def push(self, work: "Work") -> None:
        """Push every image under the tag that never moves."""
        self._pushed(work, moving=False)

    def tags(self, work: "Work") -> None:
        """Move the moving tags, now that all images are in the registry."""
        self._pushed(work, moving=True)

    def _pushed(self, work: "Work", *, moving: bool) -> None:
        from build.recipe.naming import directory_name

        for variant in self._variants(work):
            self._road(work).push(directory_name(work.recipe.name, variant), moving=moving)

    def _variants(self, work: "Work") -> tuple[str, ...]:
        from build.recipe.effective import variant_names

        return variant_names(work.recipe)

    def _road(self, work: "Work") -> "Road":
        from build.road import Road

        return Road(
            settings=replace(self._settings, root=work.checkout, out=work.out), reporter=self._console
        )
