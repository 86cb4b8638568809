"""Every library that a program or library of the image needs is in the image, whole, and new enough."""

import re
from collections.abc import Iterator
from typing import Any, Final

from build.image.tree import Kind, printable
from build.recipe.model import Driver, Family
from build.smoke.model import Expectations
from build.smoke.static.driver import DRIVER, INJECTED, provides
from build.smoke.static.elf import BrokenElfError, ElfKind, Symbols
from build.smoke.static.image import StaticCheck, StaticImage, Verdict
from build.smoke.static.loader import Loaded, Loader
from build.smoke.static.program import find_program
from build.smoke.static.residents import Residents, is_for_another_python, tolerated

__all__ = ["CHECK", "check"]

_LIBRARY_NAME: Final = re.compile(r".+\.so(?:\.[0-9.]+)?")


def check(image: StaticImage, expect: Expectations) -> Verdict:
    """Load every ELF file as the loader would, programs first."""
    injected = tuple(name for name in INJECTED if name != DRIVER or expect.driver is Driver.LINKED)
    loader = Loader(
        rootfs=image.rootfs,
        elves=image.elves,
        broken=image.broken,
        workdir=image.config.workdir,
        injected=injected,
        library_path=tuple(image.config.variable("LD_LIBRARY_PATH").split(":"))
        if image.config.variable("LD_LIBRARY_PATH")
        else (),
    )
    roots = list(_load_all(image, loader, Residents(image, loader)))
    findings = [
        *(f"{printable(path)} is {why}" for path, why in sorted(image.broken.items())),
        *_dangling(image),
        *(finding for root in roots for finding in _missing(root, image)),
        *(finding for root in roots for finding in _versions(root)),
        *_symbols(image, expect, roots),
    ]
    start = find_program(image.rootfs, image.config, expect.entrypoint)
    shown: set[str] = set()
    tree = next((_tree(root, shown) for root in roots if start and root.path == start.path), {})
    return Verdict(
        findings=tuple(dict.fromkeys(findings)),
        detail={
            "files": len(image.elves),
            **_not_loaded(image),
            **_by_others(roots),
            "injected": sorted(
                {name for root in roots for one in root.everything() for name in one.injected}
            ),
            "tree": tree,
            "others": _others(roots, shown, expect.app) if expect.family is not Family.PYTHON else [],
        },
    )


CHECK: Final = StaticCheck(
    name="closure",
    protects="The server dies at its start: a shared library, or the symbol version it needs, is not in the image.",
    run=check,
)


def _load_all(image: StaticImage, loader: Loader, residents: Residents) -> Iterator[Loaded]:
    """Yield each program, then each library that none of them brings in: it is loaded by dlopen."""
    seen: set[str] = set()
    needed = {name for elf in image.elves.values() for name in elf.needed}
    programs = [path for path, elf in image.elves.items() if elf.kind is ElfKind.PROGRAM]
    libraries = [
        path
        for path, elf in image.elves.items()
        if elf.kind is ElfKind.LIBRARY and not is_for_another_python(path)
    ]
    libraries.sort(key=lambda path: (image.elves[path].soname or path.rpartition("/")[2]) in needed)
    for path in [*programs, *libraries]:
        if path not in seen:
            root = loader.load(path, residents.of(path))
            seen.update(one.path for one in root.everything())
            yield root


def _not_loaded(image: StaticImage) -> dict[str, list[str]]:
    """Name what no Python of the image ever loads; nothing is asked of it."""
    others = [printable(path) for path in sorted(image.elves) if is_for_another_python(path)]
    return {"for_another_python": others} if others else {}


def _missing(root: Loaded, image: StaticImage) -> Iterator[str]:
    if root.elf.loader and image.rootfs.resolve(root.elf.loader) is None:
        yield f"{printable(root.path)} is started by {root.elf.loader}, which is nowhere in the image"
    for one in root.everything():
        for name, why in one.missing.items():
            if tolerated(one.path, name):
                continue
            yield f"{printable(one.path)} needs {name}: {'it ' if why.startswith('is ') else ''}{why}"


def _versions(root: Loaded) -> Iterator[str]:
    files = list(root.everything())
    by_name = {name: found for one in files for name, found in one.needs.items()}
    wants = [(one.path, need) for one in files for need in one.elf.needs]
    for path, need in wants:
        provider = by_name.get(need.library)
        # A library without any versions is taken as it is, by the loader too.
        if provider is None or not provider.elf.defines or need.weak or need.version in provider.elf.defines:
            continue
        yield (
            f"{printable(path)} wants {need.version} of {need.library}, "
            f"which {printable(provider.path)} does not have{_newest(need.version, provider.elf.defines)}"
        )


def _newest(wanted: str, defined: frozenset[str]) -> str:
    """Name the newest version of the same family, the way to see that a library is too old."""
    family = wanted.rpartition("_")[0]
    numbers = [
        name.rpartition("_")[2].split(".") for name in defined if name.rpartition("_")[0] == family and family
    ]
    known = [tuple(map(int, number)) for number in numbers if all(part.isdigit() for part in number)]
    return f" (its newest is {family}_{'.'.join(map(str, max(known)))})" if known else ""


def _dangling(image: StaticImage) -> Iterator[str]:
    for entry in image.rootfs:
        name = entry.path.rpartition("/")[2]
        if (
            entry.kind is Kind.SYMLINK
            and _LIBRARY_NAME.fullmatch(name)
            and not image.rootfs.resolve(f"/{entry.path}")
        ):
            yield f"{printable(entry.path)} is a link to {printable(entry.target)[1:]}, which is not there"


def _symbols(image: StaticImage, expect: Expectations, roots: list[Loaded]) -> Iterator[str]:
    """Find functions that the recipe's own files call and nothing provides: a link with undefined symbols allowed."""
    tables = _Tables(image)
    ours = {entry.path for entry in image.built(expect)}
    for root in roots:
        scope = list(root.everything())
        if any(one.missing for one in scope):
            # Said already; what the missing library provides cannot be known.
            continue
        defined = [
            tables.of(one.path).defined for one in scope if ours.intersection(each.path for each in scope)
        ]
        injected = {name for one in scope for name in one.injected}
        for one in (each for each in scope if each.path in ours):
            left = tables.of(one.path).undefined.difference(*defined)
            left = frozenset(
                name for name in left if not any(provides(library, name) for library in injected)
            )
            if left and root.elf.kind is ElfKind.LIBRARY:
                # What a program loads by dlopen may call back into the program.
                left -= tables.of_programs(roots)
            for name in sorted(left):
                yield f"{printable(one.path)} calls {name}, which nothing that it loads provides"
    for path in sorted(ours.intersection(tables.unreadable)):
        yield f"{printable(path)} has {tables.unreadable[path]}"


class _Tables:
    """Symbol tables, each read once."""

    def __init__(self, image: StaticImage) -> None:
        self._image = image
        self._known: dict[str, Symbols] = {}
        self.unreadable: dict[str, str] = {}

    def of(self, path: str) -> Symbols:
        if path not in self._known:
            try:
                self._known[path] = self._image.symbols(path)
            except BrokenElfError as error:
                self.unreadable[path] = str(error)
                self._known[path] = Symbols(defined=frozenset(), undefined=frozenset(), weak=frozenset())
        return self._known[path]

    def of_programs(self, roots: list[Loaded]) -> frozenset[str]:
        programs = (root.path for root in roots if root.elf.kind is ElfKind.PROGRAM)
        return frozenset().union(*(self.of(path).defined for path in programs))


def _others(roots: list[Loaded], shown: set[str], app: str) -> list[dict[str, Any]]:
    """Draw what lies beside the server and is not linked to it: libraries for dlopen, further programs."""
    folder = app.strip("/") + "/"
    return [_tree(root, shown) for root in roots if root.path.startswith(folder) and root.path not in shown]


def _by_others(roots: list[Loaded]) -> dict[str, Any]:
    """Say what is only found because it is loaded before, and what may be missing."""
    files = [one for root in roots for one in root.everything()]
    resident = {
        printable(one.path): {name: printable(path) for name, path in one.resident.items()}
        for one in files
        if one.resident
    }
    unloadable = {
        printable(one.path): {name: why for name in sorted(one.missing) if (why := tolerated(one.path, name))}
        for one in files
        if one.missing
    }
    return {"resident": resident, "unloadable": unloadable} if resident or unloadable else {}


def _tree(one: Loaded, shown: set[str]) -> dict[str, Any]:
    """Draw what a file brings in; what was shown above is named and not drawn again."""
    shown.add(one.path)
    return {
        "path": printable(one.path),
        "needs": {
            **{
                name: _tree(found, shown) if found.path not in shown else {"path": printable(found.path)}
                for name, found in one.needs.items()
            },
            **{name: {"path": "", "from": "driver"} for name in one.injected},
            **{name: {"path": "", "from": "missing"} for name in one.missing},
        },
    }
