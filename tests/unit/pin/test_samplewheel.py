"""The sample package's wheel: its hash is a pin, so its bytes depend on the sample's files alone."""

import hashlib
import os
import shutil
import zipfile
from pathlib import Path

from build.pin.locks import read_package_lock
from build.pin.samplewheel import ensure_sample_wheel

ROOT = Path(__file__).resolve().parents[3]
STALE = "samples/miniserve was changed and recipes/packages/miniserve.txt still locks the wheel of before: python -m build pins miniserve"


def made(samples: Path, cache: Path) -> Path:
    wheel = ensure_sample_wheel("miniserve", samples, cache)
    assert wheel is not None
    return wheel


def test_the_lock_names_the_sample_as_it_is(tmp_path: Path) -> None:
    wheel = made(ROOT / "samples", tmp_path)
    hashes = dict(read_package_lock(ROOT / "recipes", "packages/miniserve.txt").hashes)["miniserve"]
    assert (hashlib.sha256(wheel.read_bytes()).hexdigest(),) == hashes, STALE


def test_place_times_and_modes_do_not_count(tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere" / "samples"
    shutil.copytree(
        ROOT / "samples" / "miniserve", copy / "miniserve", ignore=shutil.ignore_patterns("__pycache__")
    )
    for path in copy.rglob("*.py"):
        os.utime(path, (1, 1))
        path.chmod(0o600)
    assert made(copy, tmp_path / "a").read_bytes() == made(ROOT / "samples", tmp_path / "b").read_bytes()


def test_it_is_a_wheel_whose_record_is_right(tmp_path: Path) -> None:
    with zipfile.ZipFile(made(ROOT / "samples", tmp_path)) as archive:
        assert archive.testzip() is None
        names = set(archive.namelist())
        record = archive.read("miniserve-0.3.1.dist-info/RECORD").decode().splitlines()
        assert {line.split(",")[0] for line in record} == names
        assert (
            "miniserve = miniserve.cli:main"
            in archive.read("miniserve-0.3.1.dist-info/entry_points.txt").decode()
        )


def test_a_changed_file_is_another_wheel(tmp_path: Path) -> None:
    copy = tmp_path / "samples"
    shutil.copytree(ROOT / "samples" / "miniserve", copy / "miniserve")
    before = made(copy, tmp_path).read_bytes()
    (copy / "miniserve" / "miniserve" / "limits.py").write_text("WORKERS = 2\n")
    assert made(copy, tmp_path).read_bytes() != before


def test_what_is_no_sample_has_no_wheel(tmp_path: Path) -> None:
    assert ensure_sample_wheel("vllm", ROOT / "samples", tmp_path) is None
