"""The verbs that a person needs beside the road: locks, machine, engine, a new recipe, the demo."""

import argparse

from build.doors.console import Console
from build.errors import Unavailable
from build.settings import Settings
from build.verbs.group import Verbs

__all__ = ["add"]


def add(verbs: Verbs) -> None:
    """Add what a person needs beside the road."""
    pins = verbs.add(
        "pins",
        _pins,
        "refresh the committed locks",
        detail="A CUDA version is recipes/toolchains/cuda-<version>.txt, the wheels of its toolchain; one that is new begins a "
        "lock. `debian` is recipes/toolchains/debian.json, the digest of the base; `python` is requirements.txt, Ingot's own "
        "packages; `samples` are the commits of the sample forks, in their recipes.",
    )
    pins.add_argument(
        "locks",
        nargs="*",
        metavar="LOCK",
        help="CUDA versions (13.0), files in recipes/packages (vllm-0.21.0), `python`, `debian`, `samples`; none: all",
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
