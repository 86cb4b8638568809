"""The committed locks held against what the world offers: a newer patch level of CUDA, a moved base image."""

import re
from collections.abc import Callable, Iterable

from build.doors.packageindex import IndexFile
from build.errors import BadRequest
from build.follow.candidates import Candidate, Nothing, Verdict
from build.follow.order import version_key
from build.pin.locks import CudaLock, DebianLock

__all__ = ["CUDA_PACKAGE", "base_verdict", "cuda_verdict"]

CUDA_PACKAGE = "cuda-toolkit"
"""The meta package whose requirement is what a lock resolves."""
_WHEEL = re.compile(r"(?P<package>[^-]+)-(?P<version>[^-]+)-[^/]+\.whl")


def cuda_verdict(lock: CudaLock, files: Callable[[], Iterable[IndexFile]]) -> Verdict:
    """Say whether there is a newer patch level of a locked CUDA version. `files` asks the index for the meta package."""
    name, pinned = f"cuda-{lock.version}", dict(lock.wheels).get(CUDA_PACKAGE, "")
    there = {
        match["version"]
        for file in files()
        if not file.yanked and (match := _WHEEL.fullmatch(file.url.partition("?")[0].rpartition("/")[2]))
    }
    fitting = [version for version in there if version.startswith(f"{lock.version}.")]
    newest = max(fitting, key=version_key, default="")
    if not newest:
        message = f"the package index has no {CUDA_PACKAGE} {lock.version}"
        raise BadRequest(message, hint="is the index complete? The lock's own wheels must be there")
    if version_key(newest) <= version_key(pinned):
        return Nothing(recipe=name, reason=f"{CUDA_PACKAGE} {pinned} is the newest")
    why = f"nox -s pins -- {lock.version}"
    return Candidate(recipe=name, ref="", commit="", version=newest, pinned=pinned, why=why)


def base_verdict(lock: DebianLock, digest_of: Callable[[str], str | None]) -> Verdict:
    """Say whether the base image's tag leads to another digest than the locked one."""
    digest = digest_of(lock.image)
    if digest is None:
        message = f"the registry has no {lock.image}"
        raise BadRequest(message, hint="correct `image` in recipes/toolchains/debian.json")
    if digest == lock.digest:
        return Nothing(recipe="debian", reason=f"{lock.image} is the locked digest")
    return Candidate(
        recipe="debian",
        ref="",
        commit="",
        version=digest.removeprefix("sha256:")[:12],
        pinned=lock.digest.removeprefix("sha256:")[:12],
        why="nox -s pins -- debian",
    )
