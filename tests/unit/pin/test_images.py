"""What toolchain and base are made from decides under which name they are kept."""

import shutil
from pathlib import Path

import pytest

from build.doors.effects import Builder
from build.errors import Unreachable, WorkFailed
from build.pin.images import ImageStore
from build.pin.locks import CudaLock, DebianLock
from tests.fakes import RecordingReporter

ROOT = Path(__file__).resolve().parents[3]
DEBIAN = DebianLock(
    suite="bookworm", image="debian:x", digest="sha256:" + "1" * 64, toolchain_packages=("g++",)
)
CUDA = CudaLock(title="CUDA 13.0", version="13.0", path=Path("cuda-13.0.txt"), sha256="2" * 64, wheels=())


def no_builder() -> Builder:
    message = "no builder is needed here"
    raise AssertionError(message)


def store_of(tmp_path: Path, *, answers: bool | Exception = False) -> tuple[ImageStore, RecordingReporter]:
    templates = tmp_path / "dockerfiles"
    if not templates.exists():
        shutil.copytree(ROOT / "dockerfiles", templates)
    reporter = RecordingReporter()

    def registry_has(_reference: str) -> bool:
        if isinstance(answers, Exception):
            raise answers
        return answers

    store = ImageStore(
        cache=tmp_path / "cache",
        templates=templates,
        builder=no_builder,
        reporter=reporter,
        registry_has=registry_has,
    )
    return store, reporter


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("toolchain.Dockerfile.j2", "gcc -shared -fPIC -O1", "gcc -shared -fPIC -O2"),
        ("scripts/unpack-cuda.sh", "chmod 0755", "chmod 0750"),
    ],
)
def test_what_makes_the_toolchain_is_in_its_lock(tmp_path: Path, file: str, old: str, new: str) -> None:
    store, _ = store_of(tmp_path)
    before = store.toolchain_lock(CUDA, DEBIAN)
    path = tmp_path / "dockerfiles" / file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    assert store.toolchain_lock(CUDA, DEBIAN) != before


def test_what_makes_the_base_is_in_its_lock(tmp_path: Path) -> None:
    store, _ = store_of(tmp_path)
    before = store.debian_locks(DEBIAN, ("curl",))
    assert store.debian_locks(DEBIAN, ("curl", "bash")) != before
    path = tmp_path / "dockerfiles" / "debian.Dockerfile.j2"
    path.write_text(path.read_text().replace("apt-get clean", "apt-get clean; true"))
    after = store.debian_locks(DEBIAN, ("curl",))
    assert after["registry"] != before["registry"]
    assert after["bootstrap"] == before["bootstrap"]
    assert before["registry"] != before["bootstrap"]


def test_a_registry_that_has_not_the_pinned_base_is_no_reason_to_bootstrap(tmp_path: Path) -> None:
    store, _ = store_of(tmp_path, answers=False)
    with pytest.raises(WorkFailed, match=r"the registry answers and has no debian:x@sha256:1{64}"):
        store.base(DEBIAN, ("curl",), mode="auto")


def test_an_unreachable_registry_is_an_error_where_it_was_asked_for(tmp_path: Path) -> None:
    store, _ = store_of(tmp_path, answers=Unreachable("no route"))
    with pytest.raises(Unreachable, match="no route"):
        store.base(DEBIAN, ("curl",), mode="registry")
