"""Runs every running check of an image. A check that cannot be carried out has not passed."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from build.errors import IngotError, Unavailable
from build.recipe.model import SmokeModel
from build.smoke.model import CheckResult, Outcome
from build.smoke.running import arguments, server, version
from build.smoke.running.image import RunningImage
from build.smoke.static.image import Verdict

__all__ = ["GPU", "NAMES", "PROTECTS", "run_running"]

GPU = "gpu"
PROTECTS: Final = {
    "version": "The image is not the commit that its tag says, and bug reports go to the wrong place.",
    "arguments": "A flag was renamed upstream: the chart's pod ends at once, restarts and ends again.",
    **{check.name: check.protects for check in server.CHECKS},
    GPU: "What works on the CPU fails, or answers differently, on the card.",
}
"""What would have gone wrong for the user without each check, in one sentence."""

NAMES = tuple(name for name in PROTECTS if name != GPU)
"""The checks that every image must pass on a machine without a GPU."""


def run_running(image: RunningImage, *, gpu: str, on: str = "") -> tuple[CheckResult, ...]:
    """Run all checks. `gpu` says why they are not also run on a GPU; it is empty where this host has a fitting one: `on`."""
    results = [
        _timed("version", lambda: version.check(image)),
        _timed("arguments", lambda: arguments.check(image)),
        *_server(image),
    ]
    if gpu:
        results.append(CheckResult(name=GPU, outcome=Outcome.SKIPPED, reason=gpu))
    else:
        results.append(_timed(GPU, lambda: _on_gpu(image, on)))
    return tuple(results)


def _server(image: RunningImage, checks: tuple[server.ServerCheck, ...] = server.CHECKS) -> list[CheckResult]:
    results: list[CheckResult] = []
    try:
        with server.session(image) as session:
            results += (_asked(check, session) for check in checks)
    except Unavailable:
        raise
    except IngotError as error:
        done = {result.name for result in results}
        missing = [check.name for check in checks if check.name not in done]
        results += [CheckResult(name=name, outcome=Outcome.FAILED, reason=error.message) for name in missing]
    return results


def _asked(check: server.ServerCheck, session: server.Session) -> CheckResult:
    if check.needs_model and session.image.expect.model is SmokeModel.NONE:
        return _skipped(check.name, "the recipe names no test model")
    if check.needs_health and not session.healthy:
        return _skipped(check.name, "the server did not become healthy")
    return _timed(check.name, lambda: check.run(session))


def _on_gpu(image: RunningImage, on: str) -> Verdict:
    """The same server checks with the host's own driver and GPU."""
    results = _server(replace(image, gpu=True), (*server.CHECKS, server.ON_GPU))
    failed = [result for result in results if result.outcome is Outcome.FAILED]
    findings = tuple(f"{result.name}: {result.reason}" for result in failed)
    return Verdict(findings=findings, detail={"on": on} if on else {})


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
        reason="\n".join(verdict.findings),
        seconds=round(time.perf_counter() - begun, 3),
        detail=verdict.detail,
    )
