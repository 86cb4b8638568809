"""A model file that is none: the server must say so and end, not crash and not wait."""

import hashlib
import signal
from dataclasses import replace
from pathlib import Path
from typing import Final

from build.doors.effects import RunResult
from build.smoke.running.image import RunningImage
from build.smoke.running.words import fate, stopped, tail
from build.smoke.static.image import Verdict

__all__ = ["BROKEN", "check", "write_broken"]

BROKEN: Final = {
    "noise": "a file of noise",
    "cut": "a model that was cut short",
}
"""Name of each broken model beside the good one, and what it is."""

_NOISE_BYTES: Final = 1 << 16
_END_S: Final = 60.0
_BY_SIGNAL: Final = 128


def write_broken(model: Path) -> None:
    """Write the broken models beside a good one."""
    data = model.read_bytes()
    noise = hashlib.shake_256(b"ingot broken model").digest(_NOISE_BYTES)
    for name, content in (("noise", noise), ("cut", data[: len(data) * 2 // 3])):
        path = _beside(model, name)
        path.write_bytes(content)
        path.chmod(0o644)


def check(image: RunningImage) -> Verdict:
    """Start the server with each of them."""
    assert image.model is not None
    findings, detail = [], {}
    for name, what in BROKEN.items():
        broken = replace(image, model=_beside(image.model, name))
        result = broken.run(*broken.arguments(image.expect.args), timeout_s=_END_S)
        detail[name] = {"exit": result.exit_code, "said": tail(result.stderr or result.stdout, 3)}
        if fault := _fault(result):
            findings.append(f"with {what} as its model the server {fault}")
    return Verdict(findings=tuple(findings), detail=detail)


def _beside(model: Path, name: str) -> Path:
    return model.with_name(f"{name}{model.suffix}")


def _fault(result: RunResult) -> str:
    said = tail(result.stderr or result.stdout, 3)
    if stopped(result):
        return f"{fate(result)}: {said}"
    if result.exit_code == 0:
        return f"ended with status 0, as if nothing were wrong: {said}"
    if result.exit_code > _BY_SIGNAL:
        return f"crashed with status {result.exit_code} ({_signal(result.exit_code)}): {said}"
    return "" if said.strip() else f"ended with status {result.exit_code} and without a word"


def _signal(status: int) -> str:
    try:
        return signal.Signals(status - _BY_SIGNAL).name
    except ValueError:
        return "a signal"
