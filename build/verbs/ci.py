"""The verbs that a scheduler needs beside the road: the matrix of jobs, whether runs still succeed, the compile cache as a file."""

import argparse
import re
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
        detail="For machines that are new for every run: restore before a build, keep after it. What is restored is the file of "
        "the toolchain that builds use, which is made if it is not there.",
    )
    takes_builder(ccache)
    ccache.add_argument("action", choices=("keep", "restore"))
    ccache.add_argument(
        "--max-size",
        type=_size,
        metavar="SIZE",
        help="keep: what was used last, up to this many bytes of each toolchain's, as in 500M; 2G where it is not said",
    )


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
    from build.image.compilecache import MAX_SIZE
    from build.pin.locks import read_cuda_lock, read_debian_lock
    from build.recipe.check import check
    from build.wiring import Wiring

    if arguments.action == "restore" and arguments.max_size is not None:
        message = "--max-size cannot be meant for restore"
        raise BadRequest(message, hint="`keep` decides how much is in the file")
    wiring = Wiring(settings=settings, reporter=console)
    versions = sorted({recipe.toolchain.cuda for recipe in check(settings.root) if recipe.family.compiles})
    if arguments.action == "restore":
        restored = [wiring.compile_cache(version).restore() for version in versions]
        return [one for one in restored if one]
    debian, kept = read_debian_lock(wiring.toolchains), []
    for version in versions:
        lock = read_cuda_lock(wiring.toolchains, version)
        if not wiring.images.found_toolchain(lock, debian, mode=settings.base):
            console.note(f"no toolchain of CUDA {version} is here: nothing was compiled with it")
            continue
        one = wiring.compile_cache(version).keep(max_size=arguments.max_size or MAX_SIZE)
        kept += [one] if one else []
    return kept


def _size(text: str) -> int:
    """Read a size from the command line: bytes, or with k, M, G in powers of a thousand, as ccache reads them."""
    found = re.fullmatch(r"([1-9][0-9]{0,11})([kMG]?)", text)
    if not found:
        message = f"{text!r} is no size such as 500M or 2G"
        raise argparse.ArgumentTypeError(message)
    return int(found[1]) * {"": 1, "k": 10**3, "M": 10**6, "G": 10**9}[found[2]]
