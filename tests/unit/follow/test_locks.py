"""Locks against the world."""

from pathlib import Path

import pytest

from build.doors.packageindex import IndexFile
from build.errors import BadRequest
from build.follow.candidates import Candidate, Nothing
from build.follow.locks import base_verdict, cuda_verdict
from build.pin.locks import CudaLock, DebianLock

LOCK = CudaLock(
    title="CUDA 13.0", version="13.0", path=Path("x"), sha256="", wheels=(("cuda-toolkit", "13.0.2"),)
)
BASE = DebianLock(
    suite="bookworm", image="debian:bookworm-slim", digest="sha256:" + "a" * 64, toolchain_packages=()
)


def wheels(*versions: str, yanked: bool = False) -> tuple[IndexFile, ...]:
    url = "https://files.example.org/x/cuda_toolkit-{}-py2.py3-none-any.whl"
    return tuple(IndexFile(url=url.format(version), sha256="", yanked=yanked) for version in versions)


def test_a_newer_patch_level() -> None:
    found = cuda_verdict(LOCK, lambda: wheels("13.0.2", "13.0.10", "13.0.9", "13.1.0"))
    assert isinstance(found, Candidate)
    assert (found.recipe, found.version, found.pinned) == ("cuda-13.0", "13.0.10", "13.0.2")
    assert found.why == "nox -s pins -- 13.0"


def test_the_lock_is_the_newest() -> None:
    there = (*wheels("13.0.2", "13.1.0"), *wheels("13.0.3", yanked=True))
    assert cuda_verdict(LOCK, lambda: there) == Nothing(
        recipe="cuda-13.0", reason="cuda-toolkit 13.0.2 is the newest"
    )


def test_an_index_without_it() -> None:
    with pytest.raises(BadRequest, match=r"the package index has no cuda-toolkit 13\.0"):
        cuda_verdict(LOCK, lambda: wheels("13.1.0"))


def test_the_base() -> None:
    other = "sha256:" + "b" * 64
    assert base_verdict(BASE, lambda _image: BASE.digest) == Nothing(
        recipe="debian", reason="debian:bookworm-slim is the locked digest"
    )
    moved = base_verdict(BASE, lambda _image: other)
    assert isinstance(moved, Candidate)
    assert (moved.version, moved.pinned, moved.why) == ("b" * 12, "a" * 12, "nox -s pins -- debian")
    with pytest.raises(BadRequest, match="the registry has no debian:bookworm-slim"):
        base_verdict(BASE, lambda _image: None)
