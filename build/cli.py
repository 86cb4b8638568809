"""The command line: arguments in, one station call, an exit code out. The only place that catches IngotError and exits."""

import argparse
import json
import os
import sys
import traceback
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from build.doors import store
from build.doors.console import Console
from build.errors import BadRecipes, IngotError, from_system
from build.settings import from_env
from build.several import SeveralFailed
from build.verbs import (
    bench,
    ci,
    compare,
    custody,
    follow,
    house,
    inspect,
    publish,
    rebuild,
    report,
    road,
    size,
    verify,
)
from build.verbs.group import Handler, Verbs

__all__ = ["main"]

ROOT = Path(__file__).resolve().parent.parent

_INTERRUPTED = 130
_MEANING = {
    1: "the work failed",
    2: "the request is wrong",
    3: "nothing was selected",
    4: "a tool or a service is missing or unreachable",
    _INTERRUPTED: "interrupted",
}

_EPILOG = """\
exit codes: 0 done, also when there was nothing to do; 1 the work failed; 2 the request is wrong; 3 the selection matched
nothing; 4 a tool or a service is missing or unreachable; 130 interrupted.
stdout is for machines (--json), stderr for people. Settings are environment variables: see README.md.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb. Returns its exit code."""
    arguments = _parser().parse_args(argv)
    console = Console()
    try:
        settings = from_env(os.environ, ROOT)
        settings = replace(settings, builder=getattr(arguments, "builder", "") or settings.builder)
        console = Console(color=settings.color, github=settings.github, step_summary=settings.step_summary)
        handler: Handler = arguments.handler
        answer = handler(arguments, settings, console)
        if arguments.json:
            _answer(store.to_data(answer))
    except KeyboardInterrupt:
        return _ended(console, _INTERRUPTED)
    except (IngotError, OSError) as error:
        if arguments.verbose:
            traceback.print_exc()
        return _failed(arguments, console, error if isinstance(error, IngotError) else from_system(error))
    return 0


def _answer(document: object) -> None:
    """Write the answer to stdout. Whoever reads it may have gone, `| head` for one: that is no failure of the verb."""
    try:
        print(json.dumps(document, indent=2), flush=True)  # noqa: T201  (stdout is the machine's)
    except BrokenPipeError:
        # Else Python would try once more at its end, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _failed(arguments: argparse.Namespace, console: Console, error: IngotError) -> int:
    problems = [str(problem) for problem in error.problems] if isinstance(error, BadRecipes) else []
    for problem in problems:
        console.output(problem)
    # Of several, each said why when it happened, which may be an hour ago.
    if said := error.recap if isinstance(error, SeveralFailed) else error.message:
        console.error(said, error.hint)
    if arguments.json:
        answer = {
            **({} if error.answer is None else store.to_data(error.answer)),
            "error": error.message,
            "hint": error.hint,
            "exit_code": error.exit_code,
            "problems": problems,
        }
        _answer(answer)
    return _ended(console, error.exit_code)


def _ended(console: Console, code: int) -> int:
    console.output(f"exit {code}: {_MEANING[code]}")
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m build",
        description="Ingot: declarative recipes become proven CUDA runtime images.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = Verbs(parser)
    for group in (
        road,
        verify,
        report,
        bench,
        publish,
        custody,
        follow,
        rebuild,
        house,
        compare,
        inspect,
        size,
        ci,
    ):
        group.add(verbs)
    return parser
