"""Runs every running check of an image. A check that cannot be carried out has not passed."""

import time
from collections.abc import Callable
from dataclasses import replace

from build.errors import IngotError, Unavailable
from build.recipe.model import SmokeModel
from build.smoke.model import CheckResult, Outcome
from build.smoke.running import arguments, server, version
from build.smoke.running.image import RunningImage
from build.smoke.static.image import Verdict

__all__ = ["GPU", "NAMES", "run_running"]

GPU = "gpu"
NAMES = ("version", "arguments", *(name for name, _ in server.CHECKS))
"""The checks that every image must pass on a machine without a GPU."""


def run_running(image: RunningImage, *, gpu: str) -> tuple[CheckResult, ...]:
    """Run all checks. `gpu` says why they are not also run on a GPU; it is empty where this host has a fitting one."""
    results = [
        _timed("version", lambda: version.check(image)),
        _timed("arguments", lambda: arguments.check(image)),
        *_server(image),
    ]
    if gpu:
        results.append(CheckResult(name=GPU, outcome=Outcome.SKIPPED, reason=gpu))
    else:
        results.append(_timed(GPU, lambda: _on_gpu(image)))
    return tuple(results)


def _server(image: RunningImage) -> list[CheckResult]:
    results: list[CheckResult] = []
    try:
        with server.session(image) as session:
            for name, check in server.CHECKS:
                if name == "tokens" and image.expect.model is SmokeModel.NONE:
                    results.append(_skipped(name, "the recipe names no test model"))
                elif name != "health" and not session.healthy:
                    results.append(_skipped(name, "the server did not become healthy"))
                else:
                    results.append(_timed(name, lambda check=check: check(session)))  # type: ignore[misc]
    except Unavailable:
        raise
    except IngotError as error:
        done = {result.name for result in results}
        missing = [name for name, _ in server.CHECKS if name not in done]
        results += [CheckResult(name=name, outcome=Outcome.FAILED, reason=error.message) for name in missing]
    return results


def _on_gpu(image: RunningImage) -> Verdict:
    """The same server checks with the host's own driver and GPU."""
    failed = [result for result in _server(replace(image, gpu=True)) if result.outcome is Outcome.FAILED]
    return Verdict(findings=tuple(f"{result.name}: {result.reason}" for result in failed))


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
