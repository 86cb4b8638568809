"""The verbs that measure: a built image, its speed and whether it lasts; the pipeline itself."""

import argparse
import shlex
from functools import partial
from pathlib import Path

from build.doors.console import Console
from build.errors import BadRequest
from build.settings import Settings
from build.several import each
from build.verbs.group import Verbs, finished

__all__ = ["add"]


def add(verbs: Verbs) -> None:
    """Add `bench` and `benchmarks`."""
    _add_benchmarks(verbs)
    bench = verbs.add_for_recipes(
        "bench",
        _bench,
        "measure the speed of built images over several runs, and fail where it falls",
        detail="On this host's GPU where there is one that fits, else on the CPU, and says so.",
    )
    bench.add_argument("--runs", type=_count, default=10, help="measured runs in one server process (10)")
    bench.add_argument(
        "--warm-ups",
        type=partial(_count, least=0),
        default=1,
        help="runs before them that count for no mean (1)",
    )
    bench.add_argument("--prompt", type=_count, default=2000, metavar="N", help="tokens of the prompt (2000)")
    bench.add_argument("--predict", type=_count, default=256, metavar="N", help="tokens of each answer (256)")
    bench.add_argument(
        "--context",
        type=_counts,
        metavar="N,N,...",
        help="prompts of the sweep after the runs, in tokens, three runs each; '' for none; a usual few that fit",
    )
    bench.add_argument("--model", type=Path, metavar="FILE", help="model file; mounted read-only")
    bench.add_argument(
        "--beside",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="a further file in the model's folder, such as a draft model; may be repeated",
    )
    bench.add_argument(
        "--serve",
        metavar="TEXT",
        help="the server's whole command line instead of the recipe's: '-m {model} -ngl 99 -c 8192'",
    )
    bench.add_argument(
        "--arguments",
        default="",
        metavar="TEXT",
        help="further arguments of the server, after the recipe's: '--spec-draft-model /ingot/model/draft.gguf'",
    )
    bench.add_argument("--gpu", action="store_true", help="a GPU is required: without one nothing is run")


def _add_benchmarks(verbs: Verbs) -> None:
    text = "measure the pipeline against the tools below it, as ratios, and fail where one is over its limit"
    detail = "On an engine and a cache of its own, which are removed again."
    measure = verbs.add("benchmarks", _benchmarks, text, detail=detail)
    measure.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help="noop cold bake warm kernel resumed together push-again push-server static watch; none: all",
    )
    measure.add_argument("--runs", type=_count, default=3, metavar="N", help="runs of each side (3)")
    measure.add_argument(
        "--kernels", type=_count, default=224, metavar="N", help="kernel files of the sample, 1 to 256 (224)"
    )
    measure.add_argument("--write", action="store_true", help="put the figures into docs/benchmarks.md")


def _count(text: str, least: int = 1) -> int:
    if not text.strip().isdigit() or int(text) < least:
        message = f"'{text}' is no number from {least} on"
        raise argparse.ArgumentTypeError(message)
    return int(text)


def _counts(text: str) -> tuple[int, ...]:
    return tuple(_count(word) for word in text.split(",") if word.strip())


def _words(option: str, text: str) -> tuple[str, ...]:
    """Split a command line as a shell would; nothing in it is ever given to one."""
    try:
        return tuple(shlex.split(text))
    except ValueError as error:
        message = f"{option} cannot be read: {error}"
        raise BadRequest(message, hint="quote it as on a command line") from error


def _bench(arguments: argparse.Namespace, settings: Settings, console: Console) -> object:
    from build.bench.measure import Wanted
    from build.road import Road

    wanted = Wanted(
        runs=arguments.runs,
        warm_ups=arguments.warm_ups,
        prompt=arguments.prompt,
        predict=arguments.predict,
        contexts=arguments.context,
        model=arguments.model,
        beside=tuple(arguments.beside),
        serve=None if arguments.serve is None else _words("--serve", arguments.serve),
        arguments=_words("--arguments", arguments.arguments),
    )
    road = Road(settings=settings, reporter=console)
    return each(
        (
            (name, partial(road.bench, name, wanted, gpu=arguments.gpu))
            for name in finished(arguments, settings, "image.json")
        ),
        console,
    )


def _benchmarks(arguments: argparse.Namespace, settings: Settings, console: Console) -> object:
    from build.bench.pipeline.run import Asked, benchmarks

    asked = Asked(
        names=tuple(arguments.names),
        runs=arguments.runs,
        kernels=arguments.kernels,
        write=arguments.write,
    )
    return benchmarks(asked, settings, console)
