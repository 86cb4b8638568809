"""The command line: arguments in, one station call, an exit code out. The only place that catches IngotError and exits."""

import argparse
import errno
import json
import os
import traceback
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from build.doors import store
from build.doors.console import Console
from build.errors import BadRecipes, IngotError, NothingSelected, Unavailable, WorkFailed
from build.settings import Settings, from_env
from build.several import SeveralFailed, each

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

Handler = Callable[[argparse.Namespace, Settings, Console], object]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb. Returns its exit code."""
    arguments = _parser().parse_args(argv)
    console = Console()
    try:
        settings = from_env(os.environ, ROOT)
        console = Console(color=settings.color, github=settings.github, step_summary=settings.step_summary)
        handler: Handler = arguments.handler
        answer = handler(arguments, settings, console)
        if arguments.json:
            print(json.dumps(store.to_data(answer), indent=2))  # noqa: T201  (stdout is the machine's)
    except KeyboardInterrupt:
        return _ended(console, _INTERRUPTED)
    except (IngotError, OSError) as error:
        if arguments.verbose:
            traceback.print_exc()
        return _failed(arguments, console, error if isinstance(error, IngotError) else _from_system(error))
    return 0


def _from_system(error: OSError) -> IngotError:
    """Name the file that a system call failed on."""
    where = f"{error.filename}: " if error.filename else ""
    hint = "free some space" if error.errno == errno.ENOSPC else ""
    hint = "the path belongs to somebody else" if isinstance(error, PermissionError) else hint
    return WorkFailed(f"{where}{error.strerror or error}", hint=hint)


def _failed(arguments: argparse.Namespace, console: Console, error: IngotError) -> int:
    problems = [str(problem) for problem in error.problems] if isinstance(error, BadRecipes) else []
    for problem in problems:
        console.output(problem)
    if not isinstance(error, SeveralFailed):  # whose parts were said when they happened
        console.error(error.message, error.hint)
    if arguments.json:
        answer = {
            "error": error.message,
            "hint": error.hint,
            "exit_code": error.exit_code,
            "problems": problems,
        }
        print(json.dumps(answer, indent=2))  # noqa: T201  (stdout is the machine's)
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
    verbs = _Verbs(parser)
    _road_verbs(verbs)
    _house_verbs(verbs)
    return parser


class _Verbs:
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


def _road_verbs(verbs: _Verbs) -> None:
    """Add the stations of the road, in its order."""
    verbs.add(
        "check",
        _check,
        "read every recipe and report all problems at once",
        detail="Needs nothing but the tree.",
    )
    verbs.add_for_recipes(
        "render",
        partial(_station, station="render"),
        "write Dockerfile and bake file below out/",
        detail="Needs nothing but the tree; digests are zeros until `resolve` has proven them.",
    )
    verbs.add_for_recipes(
        "resolve",
        partial(_station, station="resolve"),
        "prove the pin: source, patches, toolchain and base",
    )
    verbs.add_for_recipes("plan", partial(_station, station="plan"), "resolve, render and fingerprint")
    for name in ("image", "build"):
        text = "make images and smoke-test them; does nothing for what is done already"
        one = verbs.add_for_recipes(name, partial(_station, station="image"), text)
        one.add_argument(
            "--force", action="store_true", help="build and smoke-test even when there is nothing to do"
        )
    verbs.add_for_recipes("smoke", _smoke, "smoke-test images that were built, again")
    verbs.add_for_recipes(
        "push",
        _push,
        "push smoke-tested images to INGOT_REGISTRY",
        detail="The immutable tag first, read back and compared, then the moving tags.",
    )


def _house_verbs(verbs: _Verbs) -> None:
    """Add what a person needs beside the road."""
    pins = verbs.add("pins", _pins, "refresh the committed locks")
    pins.add_argument(
        "locks",
        nargs="*",
        metavar="LOCK",
        help="CUDA versions (13.0), `python`, `debian`, `samples`; none: all",
    )
    new = verbs.add(
        "new",
        _new,
        "begin a recipe for a fork: writes recipes/<name>.yaml and says what a person must decide",
    )
    new.add_argument("url", metavar="URL", help="https address of the git repository")
    new.add_argument("--ref", default="", help="branch, tag or full commit; without it the default branch")
    new.add_argument("--name", default="", help="the recipe's name; without it the repository's")
    engine = verbs.add("engine", _engine, "look after the private engine and its loopback registry")
    engine.add_argument("action", choices=("status", "start", "stop"), nargs="?", default="status")
    engine.add_argument("--purge", action="store_true", help="with stop: also delete its images and caches")
    verbs.add("doctor", _doctor, "say what this machine has and lacks, with the command that mends it")
    verbs.add("demo", _demo, "build, smoke-test and push the sample fork to a registry on loopback")
    text = "measure the pipeline against a bare bake of the same file, as ratios"
    measure = verbs.add("benchmarks", _benchmarks, text)
    measure.add_argument("names", nargs="*", metavar="NAME", help="noop, cold; none: all")


def _benchmarks(arguments: argparse.Namespace, settings: Settings, console: Console) -> object:
    from build.bench.run import benchmarks

    return benchmarks(tuple(arguments.names), settings, console)


def _selected(arguments: argparse.Namespace, settings: Settings) -> tuple[Any, ...]:
    from build.recipe.check import check
    from build.recipe.select import select

    return select(check(settings.root), arguments.recipes, variant=arguments.variant)


def _check(_arguments: argparse.Namespace, settings: Settings, console: Console) -> object:
    from build.recipe.check import check

    recipes = check(settings.root)
    console.note(f"{len(recipes)} recipes, no problem")
    return [recipe.name for recipe in recipes]


def _station(arguments: argparse.Namespace, settings: Settings, console: Console, station: str) -> object:
    """Run a station for every selected recipe; a failure does not stop the others."""
    from build.road import Road

    road = Road(settings=settings, reporter=console, force=getattr(arguments, "force", False))
    call, variant = getattr(road, station), arguments.variant
    return each(
        ((recipe.name, partial(call, recipe, variant)) for recipe in _selected(arguments, settings)), console
    )


def _finished(arguments: argparse.Namespace, settings: Settings, artifact: str) -> list[str]:
    """Name the folders of the selected images; without a selection all below out/ that have the artifact."""
    from build.plan.model import directory_name

    if arguments.recipes:
        return [directory_name(recipe.name, arguments.variant) for recipe in _selected(arguments, settings)]
    variant = f"+{arguments.variant}" if arguments.variant else ""
    names = [path.parent.name for path in sorted(settings.out.glob(f"*{variant}/{artifact}"))]
    if not names:
        message = f"no {arguments.variant or 'image'} below {settings.out} has {artifact}"
        raise NothingSelected(message, hint="build an image first: nox -s build-minifork")
    return names


def _smoke(arguments: argparse.Namespace, settings: Settings, console: Console) -> object:
    from build.road import Road

    road = Road(settings=settings, reporter=console)
    return each(
        ((name, partial(road.smoke, name)) for name in _finished(arguments, settings, "image.json")), console
    )


def _push(arguments: argparse.Namespace, settings: Settings, console: Console) -> object:
    from build.road import Road

    road = Road(settings=settings, reporter=console)
    return each(
        ((name, partial(road.push, name)) for name in _finished(arguments, settings, "smoke.json")), console
    )


def _pins(arguments: argparse.Namespace, settings: Settings, console: Console) -> object:
    from build.road import Road

    return Road(settings=settings, reporter=console).refresh(tuple(arguments.locks))


def _engine(arguments: argparse.Namespace, settings: Settings, console: Console) -> object:
    from build.host.manage import manage

    return manage(arguments.action, settings, console, purge=arguments.purge)


def _doctor(_arguments: argparse.Namespace, settings: Settings, console: Console) -> object:
    from build.host.doctor import doctor

    findings = doctor(settings)
    rows = tuple(("ok" if one.ok else "missing", one.name, one.found, one.mend) for one in findings)
    console.summary("doctor", ("", "what", "found", "mend"), rows)
    if missing := [one.name for one in findings if not one.ok]:
        message = f"this machine lacks: {', '.join(missing)}"
        raise Unavailable(message, hint="the table says how to mend each")
    return findings


def _new(arguments: argparse.Namespace, settings: Settings, console: Console) -> object:
    from build.follow.new import new
    from build.road import Road

    sources = Road(settings=settings, reporter=console).resolver.sources
    return new(
        arguments.url,
        ref=arguments.ref,
        name=arguments.name,
        root=settings.root,
        sources=sources,
        reporter=console,
    )


def _demo(_arguments: argparse.Namespace, settings: Settings, console: Console) -> object:
    from build.demo import demo

    return demo(settings, console)
