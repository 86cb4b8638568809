"""Runs every running check of an image. A check that cannot be carried out has not passed."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from build.errors import IngotError, Unavailable
from build.recipe.model import SmokeModel
from build.smoke.clihelp import HelpFlag
from build.smoke.gpu import HostGpu, NoGpu
from build.smoke.model import CheckResult, Outcome
from build.smoke.running import arguments, broken_model, server, version
from build.smoke.running import help as helptext
from build.smoke.running.image import RunningImage
from build.smoke.running.limits import WHOLE_S
from build.smoke.running.session import ServerCheck, Session, session
from build.smoke.running.words import plain, plain_detail
from build.smoke.static.image import Verdict

__all__ = ["GPU", "NAMES", "NEEDS_MODEL", "PROTECTS", "Ran", "run_running"]

GPU = "gpu"
PROTECTS: Final = {
    "version": "The image is not the commit that its tag says, and bug reports go to the wrong place.",
    "help": "Nobody learns which flags are gone, new or changed in this image: its help cannot be read.",
    "arguments": "A flag was renamed upstream: the chart's pod ends at once, restarts and ends again.",
    "broken_model": "A download that was cut short crashes the server, and the log does not say why.",
    **{check.name: check.protects for check in server.CHECKS},
    GPU: "What works on the CPU fails, or answers differently, on the card.",
}
"""What would have gone wrong for the user without each check, in one sentence."""

NAMES = tuple(name for name in PROTECTS if name != GPU)
"""The checks that every image must pass on a machine without a GPU."""

NEEDS_MODEL = ("broken_model", *(check.name for check in server.CHECKS if check.needs_model))
"""Those that a recipe without a test model cannot have."""

_NO_MODEL = "the recipe names no test model"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What all running checks found, and the flags that the image's help lists."""

    checks: tuple[CheckResult, ...]
    flags: tuple[HelpFlag, ...] = ()


def run_running(image: RunningImage, *, gpu: HostGpu | NoGpu) -> Ran:
    """Run all checks, those of the server also on the GPU where there is one."""
    image = replace(image, until=image.clock() + WHOLE_S)
    read = helptext.Read(verdict=Verdict(findings=()))

    def help_() -> Verdict:
        nonlocal read
        read = helptext.check(image)
        return read.verdict

    results = [
        _timed("version", lambda: version.check(image)),
        _timed("help", help_),
        _timed("arguments", lambda: arguments.check(image, read.flags)),
        _broken_model(image),
        *_server(image),
    ]
    if isinstance(gpu, NoGpu):
        results.append(_skipped(GPU, gpu.reason))
    else:
        results.append(_timed(GPU, lambda: _on_gpu(image, gpu)))
    return Ran(checks=tuple(results), flags=read.flags)


def _broken_model(image: RunningImage) -> CheckResult:
    if image.expect.model is SmokeModel.NONE:
        return _skipped("broken_model", _NO_MODEL)
    return _timed("broken_model", lambda: broken_model.check(image))


def _server(image: RunningImage, checks: tuple[ServerCheck, ...] = server.CHECKS) -> list[CheckResult]:
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
