"""The verbs that a scheduler needs beside the road: the matrix of jobs, and whether runs still succeed."""

import argparse
from datetime import UTC, datetime
from pathlib import Path

from build.doors.console import Console
from build.errors import BadRequest
from build.settings import Settings
from build.verbs.group import Verbs, selected

__all__ = ["add"]

_DAYS = 7


def add(verbs: Verbs) -> None:
    """Add what a scheduler asks."""
    matrix = verbs.add_for_recipes(
        "matrix", _matrix, "write the recipes to stdout as a matrix of CI jobs", detail="Always JSON."
    )
    matrix.add_argument("--variants", action="store_true", help="a job for each variant too")
    matrix.add_argument("--watched", action="store_true", help="only recipes whose upstream is followed")
    matrix.set_defaults(json=True)
    overdue = verbs.add_for_recipes(
        "overdue", _overdue, "fail where the runs of a recipe have not succeeded for too long"
    )
    text = 'JSON file that runs leave: {"<recipe>": {"last_success": "<time>"}}'
    overdue.add_argument("--state", required=True, type=Path, metavar="FILE", help=text)
    text = f"how long a recipe may go without a successful run; {_DAYS} where it is not said"
    overdue.add_argument("--days", default=_DAYS, type=int, metavar="N", help=text)


def _matrix(arguments: argparse.Namespace, settings: Settings, _console: Console) -> object:
    from build.recipe.matrix import matrix

    if arguments.variant and arguments.variants:
        message = "--variant and --variants cannot both be meant"
        raise BadRequest(message, hint="--variant names one, --variants means all")
    return matrix(
        selected(arguments, settings),
        variant=arguments.variant,
        variants=arguments.variants,
        watched=arguments.watched,
    )


def _overdue(arguments: argparse.Namespace, settings: Settings, console: Console) -> object:
    from build.follow.overdue import parse_state, refuse_overdue, standings

    if arguments.days < 1:
        message = f"--days is {arguments.days}: a run a day at most can be asked for"
        raise BadRequest(message, hint="--days 7")
    try:
        text = arguments.state.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        message = f"{arguments.state} does not exist"
        raise BadRequest(message, hint="--state names the file that runs leave") from error
    state = parse_state(text, str(arguments.state))
    watched = tuple(recipe.name for recipe in selected(arguments, settings) if recipe.watch.enabled)
    found = standings(watched, state, now=datetime.now(UTC), days=arguments.days)
    for one in found:
        console.note(
            f"{one.recipe}: no run has succeeded yet"
            if one.days is None
            else f"{one.recipe}: last success {one.days:.1f} days ago"
        )
    refuse_overdue(found, days=arguments.days)
    return found
