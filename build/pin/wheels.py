"""NVIDIA's CUDA wheels: fetched on the host by hash, never inside a build."""

import sys
import zipfile
from pathlib import Path

from build.doors import process, store
from build.doors.effects import Reporter
from build.errors import CommandFailed, Unreachable, WorkFailed
from build.pin.locks import CudaLock

__all__ = ["cuda_header", "fetch_wheels"]

_GLIBC = (28, 27, 17, 12, 5)
"""manylinux_2_N tags that NVIDIA's wheels carry; pip matches each exactly."""


def fetch_wheels(lock: CudaLock, machine: str, cache: Path, reporter: Reporter) -> Path:
    """Return a folder with the lock's wheels for a build host's architecture, downloading what is not there.

    Args:
        machine: `x86_64` or `aarch64`.

    Raises:
        Unreachable: the package index did not answer.
        WorkFailed: a wheel's bytes are not those of the lock.
    """
    folder = cache / "wheels" / f"cuda-{lock.version}-{lock.sha256[:12]}-{machine}"
    if folder.is_dir():
        return folder
    with (
        store.locked(folder.with_name(f"{folder.name}.lock")),
        reporter.step(f"CUDA {lock.version} wheels, {machine}"),
    ):
        if folder.is_dir():
            return folder
        part = folder.with_name(f".{folder.name}.part")
        part.mkdir(parents=True, exist_ok=True)
        _download(lock, machine, part)
        store.replace_dir(part, folder)
    return folder


def _download(lock: CudaLock, machine: str, part: Path) -> None:
    platforms = [f"--platform=manylinux_2_{minor}_{machine}" for minor in _GLIBC]
    platforms += [f"--platform=manylinux{name}_{machine}" for name in ("2014", "2010", "1")]
    command = (
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--require-hashes",
        "--no-deps",
        "--only-binary=:all:",
        "--implementation=py",
        "--python-version=3.11",
        "--platform=any",
        *platforms,
        "--requirement",
        str(lock.path),
        "--dest",
        str(part),
    )
    try:
        process.run(command)
    except CommandFailed as error:
        if "HASHES" in error.output or "hash" in error.output.lower():
            message = f"a wheel of CUDA {lock.version} is not the one that {lock.path.name} names:\n{error.output.strip()}"
            raise WorkFailed(
                message, hint="the index serves other bytes: find out why before `nox -s pins`"
            ) from error
        message = f"the wheels of CUDA {lock.version} could not be downloaded:\n{error.output.strip()}"
        raise Unreachable(
            message, hint="pip's own settings (PIP_INDEX_URL, PIP_CERT, pip.conf) say where they come from"
        ) from error


def cuda_header(wheels: Path) -> str:
    """Return the text of cuda.h out of the runtime wheel. Raises WorkFailed where no wheel has one."""
    for wheel in sorted(wheels.glob("nvidia_cuda_runtime-*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                if name.endswith("/include/cuda.h"):
                    return archive.read(name).decode("utf-8", errors="replace")
    message = f"no wheel in {wheels} has cuda.h"
    raise WorkFailed(message)
