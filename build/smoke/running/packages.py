"""The installed packages: modules import, torch is built for the promised CUDA, compiled files are those of their sources."""

from collections.abc import Mapping
from typing import Any, Final

from build.smoke.running.image import RunningImage
from build.smoke.running.inside import ask
from build.smoke.static.image import Verdict

__all__ = ["bytecode", "imports", "toolkit"]

_IMPORT_S: Final = 120
_LEDGER: Final = "/opt/ingot/ledger.json"


def imports(image: RunningImage) -> Verdict:
    """Import every module that the recipe names, and every one that was patched, each in a fresh interpreter."""
    answer = ask(
        image,
        "imports",
        # Each module has its own limit; how many were patched is known inside alone.
        timeout_s=image.limits.whole_s,
        modules=list(image.expect.imports),
        ledger=_LEDGER,
        seconds=_IMPORT_S,
    )
    findings = tuple(f"`import {name}`: {why}" for name, why in answer.items() if why)
    unasked = [name for name in image.expect.imports if name not in answer]
    return Verdict(
        findings=(*findings, *(f"`import {name}` was not tried" for name in unasked)),
        detail={"imported": [name for name, why in answer.items() if not why]},
    )


def toolkit(image: RunningImage) -> Verdict:
    """Compare the CUDA version that torch was built with; a server without torch has none to compare."""
    answer = ask(image, "toolkit", seconds=_IMPORT_S)
    torch, cuda = (str(answer.get(key) or "") for key in ("torch", "cuda"))
    said = str(answer.get("failed") or "")
    findings = []
    if said:
        findings.append(f"`import torch`: {said}")
    elif torch and cuda != image.expect.cuda:
        findings.append(f"torch {torch} is built with CUDA {cuda}, the recipe says {image.expect.cuda}")
    return Verdict(findings=tuple(findings), detail={"torch": torch, "cuda": cuda})


def bytecode(image: RunningImage) -> Verdict:
    """Compare compiled files with their sources everywhere; compile what has none in the packages that are promised."""
    packages = sorted({name.partition(".")[0] for name in image.expect.imports})
    answer = ask(image, "bytecode", compile=packages)
    findings = [str(one) for one in answer.get("findings") or ()]
    more = _count(answer, "more")
    return Verdict(
        findings=(*findings, *((f"and {more} more",) if more else ())),
        detail={"compiled": _count(answer, "compiled"), "sources": _count(answer, "sources")},
    )


def _count(answer: Mapping[str, Any], key: str) -> int:
    value = answer.get(key)
    return value if isinstance(value, int) else 0
