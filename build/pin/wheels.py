"""Wheels of a lock: fetched on the host by hash, never inside a build."""

import sys
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

from build.doors import process, store
from build.doors.effects import Reporter
from build.errors import BadRequest, CommandFailed, IngotError, Unreachable, WorkFailed
from build.pin.custody import Custody, obtained, wheels_name
from build.pin.locks import CudaLock, WheelLock

__all__ = [
    "Pip",
    "cuda_header",
    "cuda_target",
    "download",
    "download_command",
    "fetch_wheels",
    "package_name",
    "proven",
    "wheels_folder",
]

_GLIBC = (28, 27, 17, 12, 5)
"""manylinux_2_N tags that NVIDIA's wheels carry; pip matches each exactly."""


_ABSENT = "No matching distribution found"
_UNANSWERED = "connection broken by"
"""pip's words. It says the first after the second too, and the second only when it tries again: so it is told to."""
_SHOWN = 6


Pip = Callable[[tuple[str, ...]], object]
"""Runs a command to its end; raises CommandFailed with what it printed."""


def fetch_wheels(
    lock: CudaLock,
    machine: str,
    cache: Path,
    reporter: Reporter,
    *,
    pip: Pip = process.run,
    custody: Custody | None = None,
) -> Path:
    """Return a folder with the lock's wheels for `machine` (`x86_64` or `aarch64`), downloading what is not there.

    Raises:
        Unreachable: the package index did not answer.
        BadRequest: it has not all wheels of the lock.
        WorkFailed: a wheel's bytes are not those of the lock.
    """
    folder = wheels_folder(lock, machine, cache)
    if folder.is_dir():
        return _proven(lock, folder)
    with (
        store.locked(folder.with_name(f"{folder.name}.lock")),
        reporter.step(f"{lock.title} wheels, {machine}"),
    ):
        if folder.is_dir():
            return _proven(lock, folder)
        part = folder.with_name(f".{folder.name}.part")

        def downloaded() -> Path:
            part.mkdir(parents=True, exist_ok=True)
            download(lock, part, cuda_target(machine), pip=pip)
            return part

        def copied(keeper: Custody) -> Path | None:
            store.discard(part)
            return _proven(lock, part) if keeper.files(wheels_name(lock, machine), part) else None

        obtained(custody, f"CUDA {lock.version} wheels", downloaded, copied)
        store.replace_dir(part, folder)
    return folder


def wheels_folder(lock: CudaLock, machine: str, cache: Path) -> Path:
    """Say where the wheels of a lock lie."""
    return cache / "wheels" / f"cuda-{lock.version}-{lock.sha256[:12]}-{machine}"


def download(lock: WheelLock, folder: Path, options: Iterable[str], *, pip: Pip = process.run) -> None:
    """Download a lock's wheels into a folder; what is there already is not fetched again. `options` say for what machine.

    Raises:
        Unreachable: the package index did not answer.
        BadRequest: it has not all wheels of the lock.
        WorkFailed: a wheel's bytes are not those of the lock.
    """
    try:
        pip(download_command(lock, folder, options))
    except CommandFailed as error:
        raise _refusal(lock, error) from error


def _proven(lock: WheelLock, folder: Path) -> Path:
    proven(lock, folder, sorted(folder.iterdir()))
    return folder


def proven(lock: WheelLock, folder: Path, files: Iterable[Path]) -> None:
    """Hold the wheels below a folder against their lock: each is there, with its bytes, and nothing else is.

    Raises:
        WorkFailed: with both hashes.
    """
    hint = f"delete {folder}; the wheels are then fetched again"
    wanted, found = dict(lock.hashes), set()
    for path in files:
        name = package_name(path)
        digest = store.sha256_file(path) if path.is_file() else "none, it is no file"
        if digest not in wanted.get(name, ()):
            named = " or ".join(wanted.get(name, ())) or "no such wheel"
            message = f"{path} is not the locked wheel: its hash is {digest}, {lock.path.name} names {named}"
            raise WorkFailed(message, hint=hint)
        found.add(name)
    if missing := sorted(set(wanted) - found):
        message = f"{folder} lacks wheels that {lock.path.name} names: {', '.join(missing)}"
        raise WorkFailed(message, hint=hint)


def package_name(wheel: Path) -> str:
    """Return the normalised name of the package in a wheel file. Pure."""
    return wheel.name.partition("-")[0].replace("_", "-").replace(".", "-").lower()


def cuda_target(machine: str) -> tuple[str, ...]:
    """Say for what NVIDIA's toolchain wheels are chosen: any Python, Linux on `machine`. Pure."""
    platforms = [f"--platform=manylinux_2_{minor}_{machine}" for minor in _GLIBC]
    platforms += [f"--platform=manylinux{name}_{machine}" for name in ("2014", "2010", "1")]
    return ("--implementation=py", "--python-version=3.11", "--platform=any", *platforms)


def download_command(lock: WheelLock, folder: Path, options: Iterable[str]) -> tuple[str, ...]:
    """Write the pip call: exactly the lock's files, nothing built, nothing resolved. Pure."""
    return (
        *(
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--retries=2",
            "--require-hashes",
            "--no-deps",
            "--only-binary=:all:",
        ),
        *options,
        *("--requirement", str(lock.path), "--dest", str(folder)),
    )


def _refusal(lock: WheelLock, error: CommandFailed) -> IngotError:
    """Tell three things apart: other bytes, an index that does not have a wheel, an index that did not answer."""
    words = error.output.strip()
    if "DO NOT MATCH THE HASHES" in words:
        return WorkFailed(
            f"a wheel of {lock.title} is not the one that {lock.path.name} names:\n{words}",
            hint="the index serves other bytes: find out why before `nox -s pins`",
        )
    said = [line for line in words.splitlines() if line.startswith("ERROR:") or _UNANSWERED in line]
    reason = "\n".join(said[-_SHOWN:]) or words
    if _ABSENT in words and _UNANSWERED not in words:
        return BadRequest(
            f"the package index has not all wheels of {lock.title}:\n{reason}",
            hint="is the index of pip's settings complete? The index that the lock was made from has them",
        )
    return Unreachable(
        f"the wheels of {lock.title} could not be downloaded:\n{reason}",
        hint="pip's own settings (PIP_INDEX_URL, PIP_CERT, pip.conf) say where they come from",
    )


def cuda_header(wheels: Path) -> str:
    """Return the text of cuda.h out of the runtime wheel. Raises WorkFailed where no wheel has one."""
    for wheel in sorted(wheels.glob("nvidia_cuda_runtime-*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                if name.endswith("/include/cuda.h"):
                    return archive.read(name).decode("utf-8", errors="replace")
    message = f"no wheel in {wheels} has cuda.h"
    raise WorkFailed(message)
