"""Which GPU architectures a compiler knows, and which of them may be asked for. Pure.

https://docs.nvidia.com/cuda/cuda-compiler-driver-nvcc/#gpu-feature-list and the release notes of 12.8, 12.9 and 13.0.
"""

import re
from collections.abc import Iterator, Sequence

from build.recipe.words import Finding, meant, names, quoted, repeated

__all__ = ["architecture_findings", "known_architectures"]

_CUDA_12 = ("50", "52", "53", "60", "61", "62", "70", "72", "75", "80", "86", "87", "89", "90", "90a")
_CUDA_12_8 = ("100", "100a", "101", "101a", "120", "120a")
_CUDA_12_9 = ("100f", "101f", "103", "103a", "103f", "120f", "121", "121a", "121f")
_CUDA_13 = (
    *("75", "80", "86", "87", "88", "89", "90", "90a", "100", "100a", "100f", "103", "103a", "103f"),
    *("110", "110a", "110f", "120", "120a", "120f", "121", "121a", "121f"),
)
_SM_12X = {"120": "12.8", "121": "12.9"}
"""Consumer Blackwell, and the first compiler that knows it."""
_FORM = re.compile(r"([0-9]+)([a-z]?)(-real|-virtual)?")
_MOVING = {
    "native": "means the GPU of the machine that compiles, which has none",
    "all": "means every GPU the compiler knows",
    "all-major": "means every GPU generation the compiler knows",
}


def known_architectures(cuda: str) -> tuple[str, ...]:
    """Return what the compiler of a CUDA version compiles for, without -real and -virtual."""
    release = _release(cuda)
    if release >= (13, 0):
        return _CUDA_13
    return _CUDA_12 + (_CUDA_12_8 if release >= (12, 8) else ()) + (_CUDA_12_9 if release >= (12, 9) else ())


def _release(cuda: str) -> tuple[int, int]:
    major, minor, *_ = (*(int(number[:4]) for number in re.findall(r"[0-9]+", cuda)), 0, 0)
    return major, minor


def architecture_findings(key: str, architectures: Sequence[str], cuda: str) -> Iterator[Finding]:
    """Find what is not an explicit architecture that the compiler of this CUDA version knows."""
    if not architectures:
        yield Finding(key, "names no architecture", "for example [120a-real]")
    yield from repeated(key, architectures)
    for index, name in enumerate(architectures):
        fault, hint = _fault(name, cuda)
        if fault:
            yield Finding(f"{key}.{index}", f"{quoted(name)} {fault}", hint)
    yield from _overlaps(key, architectures)


def _fault(name: str, cuda: str) -> tuple[str, str]:
    if name in _MOVING:
        return _MOVING[name], "name the architectures, for example 120a-real"
    match = _FORM.fullmatch(name)
    if not match:
        return "is not an architecture as CMake takes it", _spelling(name, cuda)
    number, letter, _ = match.groups()
    if number + letter not in known_architectures(cuda):
        return _unknown(name, number, cuda)
    if letter == "f":
        return "needs a CMake newer than 3.25, which the toolchain has", f"write {number}a-real"
    if number in _SM_12X and not letter:
        why = "leaves out the block-scaled matrix instructions: kernels are slower or do not compile"
        return why, f"write {number}a-real"
    return "", ""


def _unknown(name: str, number: str, cuda: str) -> tuple[str, str]:
    known = known_architectures(cuda)
    if number in _SM_12X and number not in known:
        first = _SM_12X[number]
        return (
            f"needs nvcc {first} or newer, CUDA {cuda} has an older one",
            f"set toolchain.cuda to {first} or later",
        )
    near = meant(name, [*known, *(f"{one}-real" for one in known)])
    return f"is not known to the compiler of CUDA {cuda}", near or f"known are {names(known)}"


def _spelling(name: str, cuda: str) -> str:
    """Guess from `sm_120a`, `compute_89` or `12.0` what was meant."""
    digits = re.search(
        r"([0-9]+)\.?([0-9]?)([a-z]?)", name.lower().removeprefix("sm_").removeprefix("compute_")
    )
    guess = "".join(digits.groups()) if digits else ""
    if guess in _SM_12X:
        guess += "a"
    return f"write {guess}-real" if guess in known_architectures(cuda) else "for example 120a-real"


def _overlaps(key: str, architectures: Sequence[str]) -> Iterator[Finding]:
    """`120a` alone means both -real and -virtual, so it says the others again."""
    for index, name in enumerate(architectures):
        bare = name.removesuffix("-real").removesuffix("-virtual")
        if bare != name and bare in architectures:
            message = f"{quoted(name)} is part of {quoted(bare)}, which is listed too"
            yield Finding(f"{key}.{index}", message, "keep one of the two")
