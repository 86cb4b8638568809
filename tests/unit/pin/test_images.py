"""What toolchain and base are made from decides under which name they are kept."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from build.doors import store as files_door
from build.doors.effects import Builder
from build.errors import BadRequest, Unreachable, WorkFailed
from build.pin.images import ImageStore
from build.pin.locks import CudaLock, DebianLock
from build.pin.model import PinnedImage
from build.pin.wheels import wheels_folder
from build.recipe.refs import Digest
from tests.fakes import RecordingReporter

ROOT = Path(__file__).resolve().parents[3]
DEBIAN = DebianLock(
    suite="bookworm", image="debian:x", digest="sha256:" + "1" * 64, toolchain_packages=("g++",)
)
CUDA = CudaLock(
    title="CUDA 13.0", version="13.0", path=Path("cuda-13.0.txt"), sha256="2" * 64, wheels=(), hashes=()
)


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
        ("toolchain.Dockerfile.j2", "-shared -fPIC -O1", "-shared -fPIC -O2"),
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


SNAPSHOT = "http://snapshot.example.org/archive/debian/20261101T000000Z"


def test_a_snapshot_is_part_of_every_lock(tmp_path: Path) -> None:
    plain, _ = store_of(tmp_path)
    there = replace(plain, snapshot=SNAPSHOT)
    later = replace(plain, snapshot=SNAPSHOT.replace("1101", "1102"))
    locks = [one.debian_locks(DEBIAN, ("curl",)) for one in (plain, there, later)]
    assert len({each["registry"] for each in locks}) == 3
    assert len({each["bootstrap"] for each in locks}) == 3
    assert len({one.toolchain_lock(CUDA, DEBIAN) for one in (plain, there, later)}) == 3


def test_the_registrys_base_has_all_its_sources_replaced(tmp_path: Path) -> None:
    plain, _ = store_of(tmp_path)
    text = replace(plain, snapshot=SNAPSHOT)._maker.debian_file("registry", DEBIAN, ("curl",))
    assert "rm -rf /etc/apt/sources.list /etc/apt/sources.list.d" in text
    assert text.count("'deb [signed-by=") == 3
    assert text.count("https://") == 0
    update, check, install = (
        text.index(word) for word in (" update;", "which is not of the snapshot", " install -y")
    )
    assert update < check < install, "nothing is installed from an index that was not looked at"
    assert "Check-Valid-Until=false" in text
    assert "AllowUnauthenticated" not in text
    assert "trusted=yes" not in text
    assert "snapshot" not in plain._maker.debian_file("registry", DEBIAN, ("curl",))


CROSS = replace(DEBIAN, cross_packages=("g++-x86-64-linux-gnu", "libc6-dev:amd64"))


def test_where_a_toolchain_runs_is_in_its_name_and_not_in_its_lock(tmp_path: Path) -> None:
    here, _ = store_of(tmp_path)
    there = replace(here, platform="linux/arm64")
    assert there.toolchain_lock(CUDA, CROSS) == here.toolchain_lock(CUDA, CROSS)
    assert here.toolchain_names(CUDA, CROSS, mode="auto") == (
        "toolchain-13.0-registry", "toolchain-13.0-bootstrap",
    )  # fmt: skip
    (name,) = there.toolchain_names(CUDA, CROSS, mode="bootstrap")
    assert name.startswith("toolchain-13.0-bootstrap-cross-")
    image = PinnedImage(
        lock="", digest=Digest("sha256:" + "0" * 64), origin="bootstrapped: debian/bookworm", packages=(),
        cross=name.rpartition("-")[2],
    )  # fmt: skip
    assert there.toolchain_name("13.0", image) == name


@pytest.mark.parametrize("file", ["scripts/cross.sh", "cross.cmake", "toolchain.Dockerfile.j2"])
def test_what_makes_a_cross_toolchain_is_in_its_name(tmp_path: Path, file: str) -> None:
    there = replace(store_of(tmp_path)[0], platform="linux/arm64")
    before = there.toolchain_names(CUDA, CROSS, mode="auto")
    assert there.toolchain_names(CUDA, replace(CROSS, cross_packages=()), mode="auto") != before
    path = tmp_path / "dockerfiles" / file
    path.write_text(path.read_text().replace("x86_64-linux-gnu-gcc", "x86_64-linux-gnu-gcc-12"))
    assert there.toolchain_names(CUDA, CROSS, mode="auto") != before


def test_the_root_of_a_cross_toolchain_is_kept_apart(tmp_path: Path) -> None:
    store, _ = store_of(tmp_path)
    ours = store.debian_locks(DEBIAN, ("curl",))
    theirs = store.debian_locks(DEBIAN, ("curl",), "linux/arm64")
    assert not set(ours.values()) & set(theirs.values())


def test_a_toolchain_that_would_be_emulated_is_not_made(tmp_path: Path) -> None:
    store, reporter = store_of(tmp_path)

    def refused() -> None:
        message = "emulated"
        raise BadRequest(message)

    with pytest.raises(BadRequest, match="emulated"):
        replace(store, before_compilers=refused).toolchain(CUDA, DEBIAN, mode="bootstrap")
    assert reporter.said == []


def test_programs_of_a_cross_toolchain_are_the_build_machines_and_the_rest_the_targets(
    tmp_path: Path,
) -> None:
    names = {
        machine: [
            f"nvidia_{name}-1-py3-none-manylinux_{machine}.whl" for name in ("cuda_nvcc", "nvvm", "cublas")
        ]
        for machine in ("x86_64", "aarch64")
    }
    lock = replace(
        CUDA,
        hashes=tuple(
            (name, tuple(files_door.sha256_text(file) for files in names.values() for file in files))
            for name in ("nvidia-cuda-nvcc", "nvidia-nvvm", "nvidia-cublas")
        ),
    )
    images, _ = store_of(tmp_path)
    for machine, files in names.items():
        for file in files:
            files_door.write_text(wheels_folder(lock, machine, images.cache) / file, file)
    (tmp_path / "work").mkdir()
    folder = images._maker._wheels(tmp_path / "work", lock, "linux/arm64")
    assert {path.name for path in folder.iterdir()} == {*names["aarch64"][:2], names["x86_64"][2]}
    assert images._maker._wheels(tmp_path / "work", lock, "linux/amd64") == wheels_folder(
        lock, "x86_64", images.cache
    )
