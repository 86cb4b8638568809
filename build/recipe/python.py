"""Rules of the family python: which keys mean something there, and what its lock must say. Pure."""

import re
from collections.abc import Iterator, Mapping, Sequence

from build.recipe.architectures import known_architectures
from build.recipe.model import LinkFix, PackagesSource, Recipe, VendorSource
from build.recipe.words import Finding, meant, names, prose, quoted, repeated, shown

__all__ = ["python_findings"]

_CUDA = re.compile(r"[0-9]{1,2}\.[0-9]{1,2}")
_RUNTIME = re.compile(r"^nvidia-cuda-runtime(?:-cu[0-9]+)?==([0-9]+\.[0-9]+)\.", re.MULTILINE)
"""The wheel whose version is that of CUDA itself."""
_PATTERN = re.compile(r"[A-Za-z0-9_*?][A-Za-z0-9_.*?/-]*")
_COMPILES = "nothing is compiled in family python"


def python_findings(recipe: Recipe, locks: Mapping[str, str]) -> Iterator[Finding]:
    """Find what is wrong with a recipe of wheels. `locks` are the texts of the lock files below recipes/ by path."""
    source = recipe.source
    if not isinstance(source, PackagesSource | VendorSource):
        message = "of a python recipe is neither a lock of wheels nor an image"
        yield Finding("source", message, "write packages: <lock file>, or image: name@sha256:...")
    yield from _meaningless(recipe)
    yield from _architectures(recipe.toolchain.architectures, recipe.toolchain.cuda)
    if isinstance(source, PackagesSource):
        yield from _lock(recipe, source, locks)
        yield from _left_out(source)
        if "python3" not in recipe.runtime.packages:
            message = "has no python3, which runs everything else"
            yield Finding("runtime.packages", message, "add python3")


def _left_out(source: PackagesSource) -> Iterator[Finding]:
    for index, one in enumerate(source.leave_out):
        key = f"source.leave_out.{index}"
        if not _PATTERN.fullmatch(one.files) or ".." in one.files:
            hint = "letters, digits, _ - . / * and ?, for example flashinfer_cubin/cubins/*"
            yield Finding(
                f"{key}.files", f"{quoted(one.files)} is not a pattern of paths below site-packages", hint
            )
        yield from prose(f"{key}.why", one.why)


def _meaningless(recipe: Recipe) -> Iterator[Finding]:
    written = (
        ("cmake", bool(recipe.cmake)),
        ("targets", bool(recipe.targets)),
        ("steps", bool(recipe.steps)),
        ("link_fix", recipe.link_fix is not LinkFix.NONE),
    )
    for key, there in written:
        if there:
            yield Finding(key, f"means nothing here: {_COMPILES}", "leave it out")
    if recipe.runtime.links:
        message = "means nothing here: programs lie in /opt/venv/bin, which is on PATH"
        yield Finding("runtime.links", message, "leave it out")
    for name, _ in recipe.variants:
        message = f"changes nothing in the image: {_COMPILES}"
        yield Finding(f"variants.{name}", message, "write a recipe of its own")


def _architectures(architectures: Sequence[str], cuda: str) -> Iterator[Finding]:
    """Wheels carry code for many GPUs: a recipe names those that must be among them."""
    key = "toolchain.architectures"
    if not _CUDA.fullmatch(cuda):
        yield Finding(
            "toolchain.cuda", f"{quoted(cuda)} is not a CUDA version", "major.minor, for example '13.0'"
        )
        return
    if not architectures:
        yield Finding(key, "names no architecture", "for example [120-real]")
    yield from repeated(key, architectures)
    known = [f"{one}-real" for one in known_architectures(cuda)]
    for index, name in enumerate(architectures):
        if name not in known:
            hint = meant(name, known) or f"known are {names(known)}"
            message = f"{quoted(name)} is no code that a compiler of CUDA {cuda} makes for one GPU"
            yield Finding(f"{key}.{index}", message, hint)


def _lock(recipe: Recipe, source: PackagesSource, locks: Mapping[str, str]) -> Iterator[Finding]:
    if source.packages not in locks:
        message = f"recipes/{shown(source.packages)} does not exist"
        hint = meant(source.packages, locks) or "`nox -s pins` writes it from the .in file beside it"
        yield Finding("source.packages", message, hint)
        return
    text = locks[source.packages]
    locked = re.search(rf"^{re.escape(source.application)}==(\S+)", text, re.MULTILINE)
    if not locked:
        message = f"recipes/{shown(source.packages)} names no {shown(source.application)}"
        yield Finding("source.application", message, "the package that the image is about")
    elif locked[1] != source.version:
        message = f"recipes/{shown(source.packages)} locks {shown(source.application)} {shown(locked[1])}"
        yield Finding("source.version", message, f"write {shown(locked[1])}, or renew the lock")
    runtime = _RUNTIME.search(text)
    cuda = recipe.toolchain.cuda
    if runtime and _CUDA.fullmatch(cuda) and runtime[1] != cuda:
        message = f"recipes/{shown(source.packages)} brings CUDA {runtime[1]}, not {shown(cuda)}"
        yield Finding("toolchain.cuda", message, f"write '{runtime[1]}'")
