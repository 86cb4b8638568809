"""The committed locks: one per CUDA version, one for Debian. Reading and checking them; pure but for the read."""

import re
from dataclasses import dataclass
from pathlib import Path

from build.doors import store
from build.errors import BadRequest

__all__ = [
    "CudaLock",
    "DebianLock",
    "WheelLock",
    "locked_versions",
    "read_cuda_lock",
    "read_debian_lock",
    "read_package_lock",
]

_PINNED = re.compile(r"([a-z0-9-]+)==([0-9][a-z0-9.+!]*)\s(.*)")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelLock:
    """Wheels, each one version locked by its hashes."""

    title: str
    """What messages call them together."""
    path: Path
    sha256: str
    """Hash of the lock's requirements, comments left out."""
    wheels: tuple[tuple[str, str], ...]
    """Name and version."""
    hashes: tuple[tuple[str, tuple[str, ...]], ...]
    """The SHA-256 of each wheel that may be taken, by name: one a platform."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CudaLock(WheelLock):
    """The wheels of one CUDA version."""

    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DebianLock:
    """Where the Debian root file systems come from."""

    suite: str
    image: str
    """Image in a registry, without a host as docker reads it: `debian:bookworm-slim`."""
    digest: str
    toolchain_packages: tuple[str, ...]
    cross_packages: tuple[str, ...] = ()
    """The toolchain's packages where it compiles for another architecture than it runs on."""


def read_cuda_lock(toolchains: Path, version: str) -> CudaLock:
    """Read recipes/toolchains/cuda-<version>.txt.

    Raises:
        BadRequest: there is none, or a requirement in it is not locked by a hash.
    """
    path = toolchains / f"cuda-{version}.txt"
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        known = sorted(file.stem.removeprefix("cuda-") for file in toolchains.glob("cuda-*.txt"))
        message = f"no lock for CUDA {version}: {path} does not exist"
        raise BadRequest(
            message, hint=f"locked versions: {', '.join(known)}; `nox -s pins -- {version}` adds one"
        ) from None
    title = f"CUDA {version}"
    found = _wheel_lock(path, text, title=title, refresh=version)
    return CudaLock(
        version=version,
        title=title,
        path=path,
        sha256=found.sha256,
        wheels=found.wheels,
        hashes=found.hashes,
    )


def read_package_lock(recipes: Path, name: str) -> WheelLock:
    """Read the lock of a recipe that is made of wheels; `name` is its path below recipes/.

    Raises:
        BadRequest: there is none, or a requirement in it is not locked by a hash.
    """
    path = recipes / name
    stem = path.stem
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        message = f"no lock {name}: {path} does not exist"
        raise BadRequest(message, hint=f"`nox -s pins -- {stem}` makes it from {stem}.in") from None
    return _wheel_lock(path, text, title=stem, refresh=stem)


def locked_versions(text: str) -> dict[str, str]:
    """Return the version of each package that a lock's text names. Pure; what is no lock's line is passed over."""
    found = (_PINNED.match(f"{line.strip()} ") for line in _body(text).splitlines())
    return {match[1]: match[2] for match in found if match}


def _body(text: str) -> str:
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    return "\n".join(lines).replace("\\\n", " ")


def _wheel_lock(path: Path, text: str, *, title: str, refresh: str) -> WheelLock:
    body = _body(text)
    wheels, hashes = [], []
    for line in filter(str.strip, body.splitlines()):
        found = _PINNED.fullmatch(line.strip())
        if not found or not _HASH.search(found[3]):
            message = f"{path}: {line.split('--hash')[0].strip()} is not one version locked by a hash"
            raise BadRequest(message, hint=f"refresh it: nox -s pins -- {refresh}")
        wheels.append((found[1], found[2]))
        hashes.append((found[1], tuple(_HASH.findall(found[3]))))
    if not wheels:
        message = f"{path} names no wheel"
        raise BadRequest(message, hint=f"refresh it: nox -s pins -- {refresh}")
    return WheelLock(
        title=title, path=path, sha256=store.sha256_text(body), wheels=tuple(wheels), hashes=tuple(hashes)
    )


def read_debian_lock(toolchains: Path) -> DebianLock:
    """Read recipes/toolchains/debian.json. Raises BadRequest."""
    return store.read_artifact(toolchains / "debian.json", DebianLock, made_by="nox -s pins -- debian")
