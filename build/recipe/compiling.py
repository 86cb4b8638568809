"""Rules about how the source is compiled: toolchain, link fix, options, steps, targets, variants. Pure."""

import re
from collections.abc import Iterator, Mapping

from build.recipe.architectures import architecture_findings
from build.recipe.cmake import option_findings
from build.recipe.effective import effective
from build.recipe.identity import name_findings
from build.recipe.model import Driver, GitSource, LinkFix, Recipe, SdistSource, Variant
from build.recipe.words import Finding, names, path_findings, plain, quoted, repeated

__all__ = ["compiling_findings"]

MAIN_STEP = "main"
"""What reports call the first cmake call."""

_CUDA = re.compile(r"[0-9]{1,2}\.[0-9]{1,2}")
_NVCC = re.compile(r"^nvidia-cuda-nvcc(?:-cu[0-9]+)?==(13\.2\.([0-9]{1,6}))\b", re.MULTILINE)
_FIRST_GOOD_NVCC_13_2 = 86
_MISCOMPILES = "https://github.com/ggml-org/llama.cpp/issues/28581"
_TARGET = "A-Za-z0-9_.+-"


def compiling_findings(recipe: Recipe, locks: Mapping[str, str]) -> Iterator[Finding]:
    """Find what is wrong with how the recipe is compiled. `locks` are the toolchain locks' texts by CUDA version."""
    toolchain = recipe.toolchain
    if not isinstance(recipe.source, GitSource | SdistSource):
        message = f"a {recipe.family} recipe is compiled from source"
        yield Finding("source", message, "write family: python, or name a repo or an sdist")
    yield from _cuda(toolchain.cuda, locks)
    yield from architecture_findings("toolchain.architectures", toolchain.architectures, _release(recipe))
    yield from option_findings("cmake", recipe.cmake, recipe.source)
    yield from _targets("targets", recipe.targets)
    yield from _steps(recipe)
    link_fault = _link_fault(recipe)
    if link_fault:
        yield Finding("link_fix", *link_fault)
    for name, variant in recipe.variants:
        yield from _variant(recipe, name, variant)
        fault = _link_fault(effective(recipe, name))
        if fault and not link_fault:
            yield Finding(f"variants.{name}.driver", *fault)


def _cuda(cuda: str, locks: Mapping[str, str]) -> Iterator[Finding]:
    key = "toolchain.cuda"
    if not _CUDA.fullmatch(cuda):
        yield Finding(key, f"{quoted(cuda)} is not a CUDA version", "major.minor, for example '13.0'")
    elif cuda not in locks:
        there = f"there are locks for {names(sorted(locks))}" if locks else "there is no lock at all"
        yield Finding(key, f"CUDA {cuda} has no lock recipes/toolchains/cuda-{cuda}.txt", there)
    else:
        nvcc = _NVCC.search(locks[cuda])
        if nvcc and int(nvcc[2]) < _FIRST_GOOD_NVCC_13_2:
            message = f"nvcc {nvcc[1]} miscompiles IQ1_S, IQ2_S and IQ3_S ({_MISCOMPILES})"
            yield Finding(key, message, "13.0, 13.1, 13.2.86 and 13.3 do not")


def _release(recipe: Recipe) -> str:
    """Return the CUDA version to judge architectures by, a usual one where the recipe's own is none."""
    return recipe.toolchain.cuda if _CUDA.fullmatch(recipe.toolchain.cuda) else "13.0"


def _targets(key: str, targets: tuple[str, ...]) -> Iterator[Finding]:
    yield from repeated(key, targets)
    for index, target in enumerate(targets):
        if target.startswith("-"):
            yield Finding(
                f"{key}.{index}", f"{quoted(target)} looks like an option", "name a target of the project"
            )
        yield from plain(f"{key}.{index}", target, allowed=_TARGET)


def _steps(recipe: Recipe) -> Iterator[Finding]:
    seen = {MAIN_STEP}
    for index, step in enumerate(recipe.steps):
        key = f"steps.{index}"
        yield from name_findings(f"{key}.name", step.name)
        if step.name in seen:
            what = (
                "is the first cmake call's name" if step.name == MAIN_STEP else "is another step's name too"
            )
            yield Finding(f"{key}.name", f"{quoted(step.name)} {what}", "choose another")
        seen.add(step.name)
        yield from path_findings(f"{key}.dir", step.dir, absolute=False)
        yield from option_findings(f"{key}.cmake", step.cmake, recipe.source)
        yield from _targets(f"{key}.targets", step.targets)


def _variant(recipe: Recipe, name: str, variant: Variant) -> Iterator[Finding]:
    key = f"variants.{name}"
    yield from name_findings(key, name, limit=40)
    if variant == Variant():
        yield Finding(key, "changes nothing", "override architectures, driver or cmake")
    elif effective(recipe, name) == recipe:
        yield Finding(
            key, "changes nothing: it says what the recipe says", "override something, or leave it out"
        )
    if variant.architectures:
        release = _release(recipe)
        yield from architecture_findings(f"{key}.architectures", variant.architectures, release)
    yield from option_findings(f"{key}.cmake", variant.cmake, recipe.source)


def _link_fault(recipe: Recipe) -> tuple[str, str] | None:
    """Return what is contradictory between the driver and the link fix."""
    linked = recipe.toolchain.driver is Driver.LINKED
    fixed = recipe.link_fix is not LinkFix.NONE
    if fixed and not linked:
        message = f"'{recipe.link_fix}' has nothing to mend: the driver is not linked"
        return message, "write link_fix: none, or toolchain.driver: linked"
    loaded_late = any(o.name.endswith("_BACKEND_DL") and o.value == "ON" for o in recipe.cmake)
    if linked and not fixed and not loaded_late:
        message = "is none, so no executable would link: the driver's library is not there when compiling"
        return message, f"write link_fix: {LinkFix.STUB_RPATH_LINK}, or toolchain.driver: none"
    return None
