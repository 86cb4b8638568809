"""Runs every static check over one pass through an image's layers."""

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from build.errors import IngotError
from build.image.layout import BrokenLayout, Layout
from build.image.rootfs import ELF_MAGIC, open_rootfs
from build.image.tree import Entry, Kind, Rootfs, printable
from build.recipe.model import Family
from build.smoke.model import CheckResult, Expectations, Outcome
from build.smoke.static import (
    closure,
    driver_boundary,
    gpu_code,
    labels,
    link_facts,
    links,
    patches,
    platform_plugin,
    residue,
    timestamps,
    user,
)
from build.smoke.static.elf import BrokenElfError, Elf, read_elf
from build.smoke.static.image import StaticCheck, StaticImage, Verdict
from build.smoke.static.installed import METADATA, read_installed

__all__ = ["CHECKS", "LAYOUT", "PROTECTS", "PYTHON", "checks_of", "names_of", "run_static", "unreadable"]

LAYOUT: Final = "layout"
"""The first result: the layers are whole and what their digests say. Without it nothing else can be looked at."""

CHECKS: Final[tuple[StaticCheck, ...]] = (
    closure.CHECK,
    driver_boundary.CHECK,
    link_facts.CHECK,
    gpu_code.CHECK,
    labels.CHECK,
    user.CHECK,
    links.CHECK,
    residue.CHECK,
    timestamps.CHECK,
)

PYTHON: Final[tuple[StaticCheck, ...]] = (platform_plugin.CHECK, patches.CHECK)
"""Those that only an image of Python packages has beside them."""

PROTECTS: Final = {
    LAYOUT: "A layer is cut short or is not what its digest says, and the pull fails halfway.",
    **{check.name: check.protects for check in (*CHECKS, *PYTHON)},
}
"""What would have gone wrong for the user without each check, in one sentence."""

_TEXTS: Final = re.compile(
    r"etc/(?:passwd-?|shadow-?|group|hostname|hosts|resolv\.conf|machine-id|os-release|environment|profile|fstab)"
    r"|etc/ld\.so\.(?:conf|cache|preload)|etc/ld\.so\.conf\.d/.+|etc/apt/.+|etc/profile\.d/.+|usr/lib/os-release"
    r"|var/lib/dbus/machine-id|var/lib/dpkg/(?:status(?:\.d/.+)?|arch)|var/log/.+|root/.+|home/.+|run/.+"
    r"|opt/ingot/ledger\.json"
)
_CUBIN: Final = (190).to_bytes(2, "little")
"""EM_CUDA: packages bring thousands of files of GPU code in ELF form, which no loader of the host looks at."""
_MACHINE: Final = slice(18, 20)
_SOURCE: Final = re.compile(r"(?:.+/)?site-packages/.+\.py")
"""May be patched: compared with the ledger."""
_LARGEST_TEXT: Final = 16 << 20
_NAMED: Final = 12
"""So many of the biggest files stand in the report."""


def checks_of(family: Family) -> tuple[StaticCheck, ...]:
    """List the checks of a family's images, in order."""
    return (*CHECKS, *PYTHON) if family is Family.PYTHON else CHECKS


def names_of(family: Family) -> tuple[str, ...]:
    """Name what `run_static` returns for an image of a family, in order."""
    return (LAYOUT, *(check.name for check in checks_of(family)))


def run_static(
    layout: Layout,
    expect: Expectations,
    *,
    host_words: tuple[str, ...] = (),
    checks: tuple[StaticCheck, ...] | None = None,
    scratch: Path | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[CheckResult, ...]:
    """Run static checks, all of the family if not told otherwise; each layer is read once.

    Args:
        layout: the image.
        expect: what the recipe promises.
        host_words: names of the build host that must stand nowhere: its own, the user's home, the checkout.
        checks: which of them.
        scratch: where ELF files are put while they are looked at, as many bytes as the image has of them.
        clock: for the seconds of each result.
    """
    started = clock()
    checks = checks_of(expect.family) if checks is None else checks
    try:
        with open_rootfs(layout, keep=_is_wanted, scratch=scratch) as rootfs:
            image = _examine(layout, rootfs, host_words)
            detail = {
                "entries": rootfs.count,
                "layers": len(layout.layers),
                "elf_files": len(image.elves),
                "largest": _largest(rootfs),
            }
            first = CheckResult(name=LAYOUT, outcome=Outcome.PASSED, seconds=clock() - started, detail=detail)
            return (first, *(_result(check, image, expect, clock) for check in checks))
    except BrokenLayout as error:
        return unreadable(error, checks, seconds=clock() - started)


def unreadable(
    error: BrokenLayout, checks: tuple[StaticCheck, ...], *, seconds: float = 0.0
) -> tuple[CheckResult, ...]:
    """Say of an image that cannot be read that it failed, and that nothing else of it is known."""
    return (
        CheckResult(name=LAYOUT, outcome=Outcome.FAILED, reason=error.message, seconds=seconds),
        *(
            CheckResult(name=check.name, outcome=Outcome.SKIPPED, reason="the layout cannot be read")
            for check in checks
        ),
    )


def _is_wanted(path: str, size: int, start: bytes) -> bool:
    if start.startswith(ELF_MAGIC):
        return start[_MACHINE] != _CUBIN
    texts = (_TEXTS, METADATA, _SOURCE)
    return size <= _LARGEST_TEXT and any(text.fullmatch(path) for text in texts)


def _examine(layout: Layout, rootfs: Rootfs, host_words: tuple[str, ...]) -> StaticImage:
    elves: dict[str, Elf] = {}
    broken: dict[str, str] = {}
    known: dict[Path, Elf | str] = {}
    for entry in rootfs:
        if entry.content is None or entry.head != ELF_MAGIC:
            continue
        if entry.content not in known:
            known[entry.content] = _read(entry.content)
        facts = known[entry.content]
        if isinstance(facts, str):
            broken[entry.path] = facts
        else:
            elves[entry.path] = facts
    return StaticImage(
        config=layout.config,
        rootfs=rootfs,
        elves=elves,
        broken=broken,
        installed=read_installed(rootfs, (*elves, *broken)),
        host_words=host_words,
    )


def _largest(rootfs: Rootfs) -> list[dict[str, Any]]:
    """Name the files that make the image big; a file that has several names is named once."""
    names: dict[str, Entry] = {}
    for entry in rootfs:
        if entry.kind is Kind.FILE and entry.size:
            names.setdefault(entry.source or entry.path, entry)
    top = sorted(names.values(), key=lambda entry: (-entry.size, entry.path))[:_NAMED]
    return [{"path": printable(entry.path), "bytes": entry.size, "layer": entry.layer} for entry in top]


def _read(path: Path) -> Elf | str:
    try:
        return read_elf(path)
    except BrokenElfError as error:
        return str(error)


def _result(
    check: StaticCheck, image: StaticImage, expect: Expectations, clock: Callable[[], float]
) -> CheckResult:
    started = clock()
    try:
        verdict = check.run(image, expect)
    except IngotError as error:
        verdict = Verdict(findings=(error.message,))
    except Exception as error:  # noqa: BLE001  (a check that cannot be carried out is a check that did not pass)
        verdict = Verdict(findings=(f"the check itself failed: {type(error).__name__}: {error}",))
    return CheckResult(
        name=check.name,
        outcome=Outcome.FAILED if verdict.findings else Outcome.PASSED,
        reason="\n".join(verdict.findings),
        seconds=clock() - started,
        detail=verdict.detail,
    )
