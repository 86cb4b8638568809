"""Runs every running check of an image. A check that cannot be carried out has not passed."""

import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from threading import Event
from typing import Final

from build.errors import IngotError, Unavailable
from build.recipe.model import Family, Smoke, SmokeModel
from build.smoke.clihelp import HelpFlag
from build.smoke.gpu import HostGpu, NoGpu
from build.smoke.model import CheckResult, Outcome
from build.smoke.running import arguments, broken_model, packages, serveargs, server, version
from build.smoke.running import help as helptext
from build.smoke.running.image import RunningImage
from build.smoke.running.session import ServerCheck, Session, session
from build.smoke.running.words import plain, plain_detail
from build.smoke.static.image import Verdict

__all__ = ["GPU", "PROTECTS", "Ran", "names_of", "run_running", "skipped_by"]

GPU = "gpu"
_ALWAYS: Final = {
    "version": "The image is not the commit that its tag says, and bug reports go to the wrong place.",
    "help": "Nobody learns which flags are gone, new or changed in this image: its help cannot be read.",
    "arguments": "A flag was renamed upstream: the chart's pod ends at once, restarts and ends again.",
}
_BROKEN_MODEL: Final = {
    "broken_model": "A download that was cut short crashes the server, and the log does not say why.",
}
_PYTHON: Final = {
    "registries": "A backend or parser of the command line is unknown: the server says so when the model is half loaded.",
    "imports": "A patch or a package that does not fit broke a module: the server dies when it gets to it.",
    "toolkit": "The torch in it is built for another CUDA than the driver that the labels ask for.",
    "bytecode": "Python runs what a file was before it was patched, or compiles everything anew at each start.",
}
_SERVER: Final = {check.name: check.protects for check in server.CHECKS}
PROTECTS: Final = {
    **_ALWAYS,
    **_PYTHON,
    **_BROKEN_MODEL,
    **_SERVER,
    GPU: "What works on the CPU fails, or answers differently, on the card.",
}
"""What would have gone wrong for the user without each check, in one sentence."""

_NEEDS_MODEL: Final = ("broken_model", *(check.name for check in server.CHECKS if check.needs_model))

_NO_MODEL = "the recipe names no test model"


def names_of(family: Family) -> tuple[str, ...]:
    """Name the checks that are run on every image of a family, in order; the one on a GPU is beside them."""
    return (*_ALWAYS, *(_PYTHON if family is Family.PYTHON else ()), *_BROKEN_MODEL, *_SERVER)


def skipped_by(smoke: Smoke) -> tuple[str, ...]:
    """Name the checks that a recipe's own words leave out: nothing more can be required of its image."""
    server_checks = tuple(_SERVER) if smoke.no_server else ()
    return (*server_checks, *(_NEEDS_MODEL if smoke.model is SmokeModel.NONE else ()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What all running checks found, and the flags that the image's help lists."""

    checks: tuple[CheckResult, ...]
    flags: tuple[HelpFlag, ...] = ()


def run_running(image: RunningImage, *, gpu: HostGpu | NoGpu) -> Ran:
    """Run all checks, those of the server also on the GPU where there is one.

    The server is asked while other containers try the command line: both mostly wait for the engine.
    """
    broken_off, clock = Event(), image.clock
    image = replace(
        image,
        until=clock() + image.limits.whole_s,
        clock=lambda: math.inf if broken_off.is_set() else clock(),
    )
    with ThreadPoolExecutor(1) as beside, image.swept():
        try:
            served = beside.submit(_server, image)
            ran = _commands(image)
            results = [*ran.checks, *served.result()]
        except BaseException:
            # An interrupt, or no engine any more: the server's checks begin nothing new, as if their time were up.
            broken_off.set()
            raise
    if image.expect.no_server and isinstance(gpu, HostGpu):
        gpu = NoGpu(
            reason="the checks on a GPU are those of the server, which this recipe does not start for a test"
        )
    if isinstance(gpu, NoGpu):
        results.append(_skipped(GPU, gpu.reason))
    else:
        results.append(_timed(GPU, lambda: _on_gpu(image, gpu)))
    return Ran(checks=tuple(results), flags=ran.flags)


def _commands(image: RunningImage) -> Ran:
    """Run the checks that start the image and wait for its end."""
    read = helptext.Read(verdict=Verdict(findings=()))

    def help_() -> Verdict:
        nonlocal read
        read = helptext.check(image)
        return read.verdict

    checks = (
        _timed("version", lambda: version.check(image)),
        _timed("help", help_),
        *(
            _python(image, read.flags)
            if image.expect.family is Family.PYTHON
            else _compiled(image, read.flags)
        ),
        _broken_model(image),
    )
    return Ran(checks=checks, flags=read.flags)


def _broken_model(image: RunningImage) -> CheckResult:
    if image.expect.model is SmokeModel.NONE:
        return _skipped("broken_model", _NO_MODEL)
    return _timed("broken_model", lambda: broken_model.check(image))


def _compiled(image: RunningImage, flags: tuple[HelpFlag, ...]) -> tuple[CheckResult, ...]:
    return (_timed("arguments", lambda: arguments.check(image, flags)),)


def _python(image: RunningImage, flags: tuple[HelpFlag, ...]) -> Iterator[CheckResult]:
    judge = cache(lambda: serveargs.judge(image))
    yield _timed("arguments", lambda: serveargs.check(judge(), flags))
    yield _timed("registries", lambda: serveargs.registries(judge()))
    yield _timed("imports", lambda: packages.imports(image))
    yield _timed("toolkit", lambda: packages.toolkit(image))
    yield _timed("bytecode", lambda: packages.bytecode(image))


def _server(image: RunningImage, checks: tuple[ServerCheck, ...] = server.CHECKS) -> list[CheckResult]:
    if image.expect.no_server:
        return [_skipped(check.name, image.expect.no_server) for check in checks]
    results: list[CheckResult] = []
    try:
        with session(image) as started:
            results += (_asked(check, started) for check in checks)
    except Unavailable:
        raise
    except IngotError as error:
        done = {result.name for result in results}
        missing = [check.name for check in checks if check.name not in done]
        results += [
            CheckResult(name=name, outcome=Outcome.FAILED, reason=plain(error.message)) for name in missing
        ]
    return results


def _asked(check: ServerCheck, started: Session) -> CheckResult:
    if check.needs_model and started.image.expect.model is SmokeModel.NONE:
        return _skipped(check.name, _NO_MODEL)
    if check.needs_health and not started.healthy:
        return _skipped(check.name, "the server did not become healthy")
    return _timed(check.name, lambda: check.run(started))


def _on_gpu(image: RunningImage, gpu: HostGpu) -> Verdict:
    """The same server checks with the host's own driver and GPU."""
    results = _server(replace(image, gpu=gpu), (*server.CHECKS, server.ON_GPU))
    failed = [result for result in results if result.outcome is Outcome.FAILED]
    findings = tuple(f"{result.name}: {result.reason}" for result in failed)
    return Verdict(findings=findings, detail={"on": str(gpu)})


def _skipped(name: str, reason: str) -> CheckResult:
    return CheckResult(name=name, outcome=Outcome.SKIPPED, reason=reason)


def _timed(name: str, check: Callable[[], Verdict]) -> CheckResult:
    begun = time.perf_counter()
    try:
        verdict = check()
    except Unavailable:
        raise
    except IngotError as error:
        verdict = Verdict(findings=(error.message,))
    return CheckResult(
        name=name,
        outcome=Outcome.FAILED if verdict.findings else Outcome.PASSED,
        reason=plain("\n".join(verdict.findings)),
        seconds=round(time.perf_counter() - begun, 3),
        detail={key: plain_detail(value) for key, value in verdict.detail.items()},
    )
