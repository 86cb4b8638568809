"""The verbs that a scheduler needs beside the road: the matrix of jobs, whether runs still succeed, the compile cache as a file."""

import argparse
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from build.doors.console import Console
from build.errors import BadRequest
from build.settings import Settings
from build.verbs.group import Verbs, selected, takes_builder

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
    overdue = verbs.add(
        "overdue",
        _overdue,
        "fail where the runs of a recipe have not succeeded for too long",
        detail="Asks the branch ingot-state, where rebuild writes it down.",
    )
    overdue.add_argument("recipes", nargs="*", metavar="RECIPE", help="names or globs; none means all")
    overdue.set_defaults(variant="")
    where = overdue.add_mutually_exclusive_group()
    text = "git remote whose branch is asked; without it this clone's is"
    where.add_argument("--remote", default="", metavar="NAME", help=text)
    text = 'ask a JSON file instead: {"<recipe>": {"last_success": "<time>"}}'
    where.add_argument("--state", type=Path, metavar="FILE", help=text)
    text = f"how long a recipe may go without a successful run; {_DAYS} where it is not said"
    overdue.add_argument("--days", default=_DAYS, type=int, metavar="N", help=text)
    ccache = verbs.add(
        "ccache",
        _ccache,
        "carry the compile cache from the builder into INGOT_CACHE/ccache, or back",
        detail="For machines that are new for every run: restore before a build, keep after it.",
    )
    takes_builder(ccache)
    ccache.add_argument("action", choices=("keep", "restore"))


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
    from build.follow.overdue import refuse_overdue, standings

    if arguments.days < 1:
        message = f"--days is {arguments.days}: a run a day at most can be asked for"
        raise BadRequest(message, hint="--days 7")
    state = _successes(settings, arguments.remote, arguments.state)
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


def _successes(settings: Settings, remote: str, file: Path | None) -> Mapping[str, str]:
    """Return when a run of each recipe last succeeded."""
    from build.doors.statebranch import StateBranch, git_dir
    from build.follow.overdue import parse_state
    from build.follow.state import BRANCH, State

    if file is None:
        branch = StateBranch(repository=git_dir(settings.root), branch=BRANCH, remote=remote)
        return State(branch=branch, holder="").last_successes()
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        message = f"{file} does not exist"
        raise BadRequest(message, hint="--state names the file that runs leave") from error
    return parse_state(text, str(file))


def _ccache(arguments: argparse.Namespace, settings: Settings, console: Console) -> object:
    from build.image.compilecache import CompileCache
    from build.pin.locks import read_cuda_lock, read_debian_lock
    from build.recipe.check import check
    from build.wiring import Wiring

    wiring = Wiring(settings=settings, reporter=console)
    debian, carried = read_debian_lock(wiring.toolchains), []
    for version in sorted(
        {recipe.toolchain.cuda for recipe in check(settings.root) if recipe.family.compiles}
    ):
        toolchain = wiring.images.found_toolchain(
            read_cuda_lock(wiring.toolchains, version), debian, mode=settings.base
        )
        if toolchain is None:
            console.note(f"no toolchain of CUDA {version} is here: nothing was compiled with it")
            continue
        name = wiring.images.toolchain_name(version, toolchain)
        cache = CompileCache(
            cuda=version,
            toolchain=toolchain,
            layout=wiring.images.layout(name, toolchain),
            folder=settings.cache / "ccache",
            templates=wiring.templates,
        )
        carry = cache.keep if arguments.action == "keep" else cache.restore
        one = carry(wiring.buildx, console)
        carried += [one] if one else []
    return carried
