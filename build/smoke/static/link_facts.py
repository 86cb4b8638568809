"""The compiled libraries use the driver's own interface exactly when the recipe says so."""

from collections.abc import Iterator
from typing import Final

from build.image.tree import printable
from build.recipe.model import Driver
from build.smoke.model import Expectations
from build.smoke.static.driver import DRIVER, driver_symbols
from build.smoke.static.elf import ElfKind
from build.smoke.static.image import StaticCheck, StaticImage, Verdict

__all__ = ["CHECK", "check"]

_SHOWN: Final = 5


def check(image: StaticImage, expect: Expectations) -> Verdict:
    """Compare imports and DT_NEEDED with `toolchain.driver`."""
    imports = {}
    linked = []
    for entry in image.built(expect):
        elf = image.elves[entry.path]
        if elf.kind is ElfKind.OBJECT:
            continue
        symbols = image.symbols(entry.path)
        imports[entry.path] = driver_symbols(symbols.undefined | symbols.weak)
        if DRIVER in elf.needed:
            linked.append(entry.path)
    findings = _needless(imports, linked) if expect.driver is Driver.NONE else _unlinked(imports, linked)
    return Verdict(
        findings=tuple(findings),
        detail={
            "driver": str(expect.driver),
            "linked": [printable(path) for path in linked],
            "imports": {printable(path): list(names) for path, names in imports.items() if names},
        },
    )


CHECK: Final = StaticCheck(
    name="link_facts",
    protects="A `no-vmm` image crashes under a GPU-sharing shim such as HAMi, because the driver calls are still in it.",
    run=check,
)


def _needless(imports: dict[str, tuple[str, ...]], linked: list[str]) -> Iterator[str]:
    for path, names in imports.items():
        if names:
            more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
            yield f"{printable(path)} imports {', '.join(names[:_SHOWN])}{more}, the recipe promises driver: none"
    for path in linked:
        yield f"{printable(path)} needs {DRIVER}, the recipe promises driver: none"


def _unlinked(imports: dict[str, tuple[str, ...]], linked: list[str]) -> Iterator[str]:
    if not linked:
        yield f"no compiled library needs {DRIVER}, the recipe says driver: linked"
    for path, names in imports.items():
        if names and path not in linked:
            yield f"{printable(path)} imports {names[0]} and does not need {DRIVER}"
