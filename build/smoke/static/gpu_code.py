"""The GPU code in the compiled libraries is for exactly the architectures that the recipe promises.

Published wheels have code for many. There the promised ones must be among them, in the server's package and in torch; a
server that is pure Python has none.
"""

import hashlib
import re
from collections.abc import Iterator
from typing import Any, Final

from build.image.tree import Entry, printable
from build.recipe.model import Family
from build.smoke.model import Expectations
from build.smoke.static.elf import BrokenElfError
from build.smoke.static.fatbin import DeviceCode, UnknownLayoutError, read_device_code
from build.smoke.static.image import StaticCheck, StaticImage, Verdict, is_vendor

__all__ = ["CHECK", "check", "promised_targets"]

_TORCH: Final = "torch"
_ARCHITECTURE: Final = re.compile(r"(\d+[af]?)(-real|-virtual)?")


def check(image: StaticImage, expect: Expectations) -> Verdict:
    """Read every entry back and compare."""
    try:
        promised = promised_targets(expect.architectures)
    except ValueError as error:
        return Verdict(findings=(str(error),))
    codes: dict[str, tuple[DeviceCode, ...]] = {}
    findings: list[str] = []
    for entry in (*image.built(expect), *_torch(image, expect)):
        try:
            codes[entry.path] = _read(entry)
        except (UnknownLayoutError, BrokenElfError) as error:
            findings.append(f"{printable(entry.path)}: the device code cannot be read: {error}")
    if expect.family is Family.PYTHON:
        findings += _not_among(image, codes, promised, expect)
    else:
        findings += _unpromised(codes, promised, expect)
        findings += _absent(codes, promised, expect)
    return Verdict(
        findings=tuple(findings),
        detail={
            "promised": list(promised),
            "libraries": {printable(path): _evidence(found) for path, found in codes.items() if found},
            "vendor": dict(_vendor(image)),
        },
    )


CHECK: Final = StaticCheck(
    name="gpu_code",
    protects="The server has no kernels for the user's card, or silently slower ones: sm_120 where sm_120a was meant.",
    run=check,
)


def promised_targets(architectures: tuple[str, ...]) -> tuple[str, ...]:
    """Turn `120a-real`, `120a-virtual`, `120a` into the entries they promise: `sm_120a`, `compute_120a`, or both.

    Raises:
        ValueError: one is not explicit, as `native` or `all-major`.
    """
    targets: list[str] = []
    for name in architectures:
        match = _ARCHITECTURE.fullmatch(name)
        if match is None:
            message = f"the architecture '{name}' is not explicit, nothing can be compared with it"
            raise ValueError(message)
        targets += [f"sm_{match[1]}"] if match[2] != "-virtual" else []
        targets += [f"compute_{match[1]}"] if match[2] != "-real" else []
    return tuple(dict.fromkeys(targets))


def _read(entry: Entry) -> tuple[DeviceCode, ...]:
    assert entry.content is not None
    return read_device_code(entry.content)


def _unpromised(
    codes: dict[str, tuple[DeviceCode, ...]], promised: tuple[str, ...], expect: Expectations
) -> Iterator[str]:
    for path, found in codes.items():
        for code in dict.fromkeys((code.kind, code.target) for code in found if code.target not in promised):
            kind, target = code
            yield f"{printable(path)} holds {kind} {target}{_meant(target, promised)}, {_promise(promised, expect)}"


def _absent(
    codes: dict[str, tuple[DeviceCode, ...]], promised: tuple[str, ...], expect: Expectations
) -> Iterator[str]:
    there = {code.target for found in codes.values() for code in found if not code.empty}
    if not there:
        yield f"no compiled library below {expect.app} holds device code, {_promise(promised, expect)}"
        return
    for target in promised:
        if target not in there:
            yield f"no compiled library holds {target}, {_promise(promised, expect)}"


def _torch(image: StaticImage, expect: Expectations) -> Iterator[Entry]:
    """Yield torch's own libraries where the server needs torch: without kernels of its own it runs nothing of anybody's."""
    server = image.installed.server(expect.entrypoint)
    if expect.family is not Family.PYTHON or server is None:
        return
    needed = {package.name for package in image.installed.needs(server.name)}
    for path, owner in sorted(image.installed.owners.items()):
        entry = image.rootfs.get(path)
        if owner == _TORCH and owner in needed and path in image.elves and entry is not None:
            yield entry


def _not_among(
    image: StaticImage,
    codes: dict[str, tuple[DeviceCode, ...]],
    promised: tuple[str, ...],
    expect: Expectations,
) -> Iterator[str]:
    """Find what a package has no code for; one that has libraries and no code at all is built for the CPU."""
    there: dict[str, set[str]] = {}
    for path, found in codes.items():
        owned = there.setdefault(image.installed.owners[path], set())
        owned.update(code.target for code in found if not code.empty)
    for package, targets in sorted(there.items()):
        for target in promised:
            if _plain(target) not in map(_plain, targets):
                has = ", ".join(sorted(targets)) or "no device code at all"
                yield f"the package {package} has no code for {target}, {_promise(promised, expect)}; it has {has}"


def _plain(target: str) -> str:
    """An `a` or `f` in a wheel is code of its own beside, or in place of, what runs on the same card."""
    return target.rstrip("af")


def _promise(promised: tuple[str, ...], expect: Expectations) -> str:
    return f"the recipe promises {', '.join(expect.architectures)} ({', '.join(promised)})"


def _meant(target: str, promised: tuple[str, ...]) -> str:
    """Name the promised target that differs in the suffix alone."""
    plain = target.rstrip("af")
    return next((f" where {other} is meant" for other in promised if other.rstrip("af") == plain), "")


def _evidence(found: tuple[DeviceCode, ...]) -> dict[str, Any]:
    """Sum up one library. Equal kernels have an equal identity, whatever the host code around them."""
    targets: dict[str, dict[str, int]] = {}
    for code in found:
        row = targets.setdefault(f"{code.kind} {code.target}", {"entries": 0, "compressed": 0, "bytes": 0})
        row["entries"] += 1
        row["compressed"] += code.compressed
        row["bytes"] += code.size
    identity = hashlib.sha256("\n".join(sorted(code.sha256 for code in found)).encode()).hexdigest()
    return {"targets": targets, "identity": identity}


def _vendor(image: StaticImage) -> Iterator[tuple[str, list[str]]]:
    """List what NVIDIA's own libraries carry. It is not the recipe's promise, so it is shown and not judged."""
    for path, elf in sorted(image.elves.items()):
        entry = image.rootfs.get(path)
        if entry is None or not is_vendor(elf.soname or path):
            continue
        try:
            targets = sorted({code.target for code in _read(entry)})
        except (UnknownLayoutError, BrokenElfError):
            targets = ["unknown layout"]
        yield printable(path), targets
