"""Wheels as a source: fetched once, sorted into layers, proven by hash before every build."""

import hashlib
import re
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from build.errors import CommandFailed, Unreachable, WorkFailed
from build.pin.packages import Packages, layer_of
from build.recipe.model import PackagesSource, Recipe
from build.recipe.sources import LeftOut
from tests.fakes import RecordingReporter
from tests.unit.plan.plans import RECIPE

SOURCE = PackagesSource(
    packages="packages/mini.txt",
    application="mini",
    upstream="https://git.example.org/mini",
    version="1.2",
)
WHEELS = {
    "mini-1.2-py3-none-any.whl": {"mini/__init__.py": "", "mini/native.a": "x"},
    "torch-2.0-cp311-cp311-manylinux_2_28_x86_64.whl": {"torch/__init__.py": ""},
    "nvidia_cuda_runtime-13.0.96-py3-none-manylinux_2_27_x86_64.whl": {"nvidia/lib/libcudart.so.13": "so"},
    "h11-0.16-py3-none-any.whl": {"h11/__init__.py": ""},
}
PIP = {"pip-26.0-py3-none-any.whl": {"pip/__init__.py": ""}}


def wheel(folder: Path, name: str, files: dict[str, str]) -> str:
    """Write a wheel; the same names and files give the same bytes. Returns its hash."""
    with zipfile.ZipFile(folder / name, "w") as archive:
        for path, text in files.items():
            archive.writestr(zipfile.ZipInfo(path, (2026, 5, 15, 4, 51, 58)), text)
    return hashlib.sha256((folder / name).read_bytes()).hexdigest()


def lock(index: Path, wheels: dict[str, dict[str, str]]) -> str:
    lines = []
    for name, files in sorted(wheels.items()):
        package, version = name.split("-")[:2]
        digest = wheel(index, name, files)
        lines.append(
            f"{package.replace('_', '-')}=={version} \\\n    --hash=sha256:{'0' * 64} \\\n    --hash=sha256:{digest}\n"
        )
    return "".join(lines)


class Index:
    """Stands in for pip and the index behind it: what the requirements name is copied to where they are wanted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.words = ""
        self.calls: list[tuple[str, ...]] = []

    def __call__(self, command: tuple[str, ...]) -> None:
        self.calls.append(command)
        if self.words:
            raise CommandFailed(command, 1, output=self.words)
        asked = Path(command[command.index("--requirement") + 1]).read_text()
        dest = Path(command[command.index("--dest") + 1])
        for path in self.folder.iterdir():
            if f"{path.name.split('-')[0].replace('_', '-')}==" in asked:
                (dest / path.name).write_bytes(path.read_bytes())


Made = tuple[Packages, Recipe, Index]


@pytest.fixture(name="made")
def make(tmp_path: Path) -> Made:
    index = Index(tmp_path / "index")
    (tmp_path / "recipes" / "packages").mkdir(parents=True)
    index.folder.mkdir()
    (tmp_path / "recipes" / "packages" / "mini.txt").write_text(lock(index.folder, WHEELS))
    (tmp_path / "recipes" / "packages" / "pip.txt").write_text(lock(index.folder, PIP))
    packages = Packages(
        recipes=tmp_path / "recipes",
        samples=tmp_path / "samples",
        cache=tmp_path / "cache",
        reporter=RecordingReporter(),
        pip=index,
    )
    return packages, replace(RECIPE, name="mini", source=SOURCE), index


@pytest.mark.parametrize(
    ("package", "layer"),
    [
        ("vllm", "application"), ("torch", "cuda"), ("torchvision", "cuda"), ("nvidia-cublas", "cuda"),
        ("cuda-bindings", "cuda"), ("triton", "cuda"), ("flashinfer-cubin", "cuda"),
        ("flashinfer-python", "dependencies"), ("transformers", "dependencies"), ("tokenspeed-triton", "dependencies"),
    ],
)  # fmt: skip
def test_layers_are_by_rate_of_change(package: str, layer: str) -> None:
    assert layer_of(package, "vllm") == layer


def test_an_application_of_cuda_s_name_has_its_own_layer_all_the_same() -> None:
    assert layer_of("torchserve", "torchserve") == "application"


def test_a_pin_names_every_wheel_with_its_hash_and_its_layer(made: Made) -> None:
    packages, recipe, index = made
    pinned = packages.pin(recipe, SOURCE)
    assert [(wheel.layer, wheel.name, wheel.version) for wheel in pinned.wheels] == [
        ("cuda", "nvidia-cuda-runtime", "13.0.96"),
        ("cuda", "torch", "2.0"),
        ("dependencies", "h11", "0.16"),
        ("application", "mini", "1.2"),
    ]
    for one in pinned.wheels:
        assert one.sha256 == hashlib.sha256((index.folder / one.file).read_bytes()).hexdigest()
    assert (pinned.commit, pinned.tree, pinned.committed_at) == ("", "", "2026-05-15T04:51:58Z")


def test_pip_chooses_for_debian_s_python_on_x86_64_wherever_it_runs(made: Made) -> None:
    packages, recipe, index = made
    packages.pin(recipe, SOURCE)
    first = index.calls[0]
    for word in (
        "--require-hashes", "--no-deps", "--only-binary=:all:", "--implementation=cp", "--python-version=3.11",
        "--abi=cp311", "--abi=abi3", "--abi=none", "--platform=manylinux_2_36_x86_64", "--platform=any",
    ):  # fmt: skip
        assert word in first
    assert not [word for word in first if "aarch64" in word or "2_37" in word or "://" in word]


def test_contexts_hold_each_layer_s_wheels_alone(made: Made) -> None:
    packages, recipe, _ = made
    contexts = dict(packages.folders(packages.pin(recipe, SOURCE)))
    assert {name: sorted(path.name.split("-")[0] for path in folder.iterdir()) for name, folder in contexts.items()} == {
        "wheels-installer": ["pip"],
        "wheels-cuda": ["nvidia_cuda_runtime", "torch"],
        "wheels-dependencies": ["h11"],
        "wheels-application": ["mini"],
    }  # fmt: skip


def test_what_is_there_is_not_fetched_again(made: Made) -> None:
    packages, recipe, index = made
    first = packages.pin(recipe, SOURCE)
    calls = len(index.calls)
    assert packages.pin(recipe, SOURCE) == first
    assert len(index.calls) == calls


def test_another_lock_shares_the_files_of_the_first(made: Made, tmp_path: Path) -> None:
    packages, recipe, index = made
    first = dict(packages.folders(packages.pin(recipe, SOURCE)))
    newer = {name: files for name, files in WHEELS.items() if not name.startswith("h11")}
    (tmp_path / "recipes" / "packages" / "mini.txt").write_text(lock(index.folder, newer))
    second = dict(packages.folders(packages.pin(recipe, SOURCE)))
    torch = "torch-2.0-cp311-cp311-manylinux_2_28_x86_64.whl"
    assert first["wheels-cuda"] != second["wheels-cuda"]
    assert (first["wheels-cuda"] / torch).samefile(second["wheels-cuda"] / torch)
    assert any(word == f"--find-links={first['wheels-cuda']}" for word in index.calls[-2])


Fault = Callable[[Path], object]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (lambda folder: (folder / "h11-0.16-py3-none-any.whl").write_bytes(b"other"), "h11-0.16-py3-none-any.whl is not the locked wheel"),
        (lambda folder: (folder / "h11-0.16-py3-none-any.whl").unlink(), "lacks wheels that mini.txt names: h11"),
        (lambda folder: (folder / "evil-1-py3-none-any.whl").write_bytes(b"x"), "evil-1-py3-none-any.whl is not the locked wheel"),
    ],
)  # fmt: skip
def test_wheels_that_were_changed_are_refused_before_a_build(made: Made, fault: Fault, said: str) -> None:
    packages, recipe, _ = made
    pinned = packages.pin(recipe, SOURCE)
    fault(dict(packages.folders(pinned))["wheels-dependencies"])
    with pytest.raises(WorkFailed, match=re.escape(said)):
        packages.prove(SOURCE, pinned)


def test_a_changed_wheel_is_named_with_both_hashes(made: Made) -> None:
    packages, recipe, index = made
    pinned = packages.pin(recipe, SOURCE)
    path = dict(packages.folders(pinned))["wheels-application"] / "mini-1.2-py3-none-any.whl"
    right = hashlib.sha256((index.folder / path.name).read_bytes()).hexdigest()
    path.write_bytes(b"other")
    with pytest.raises(WorkFailed) as caught:
        packages.prove(SOURCE, pinned)
    assert right in caught.value.message
    assert hashlib.sha256(b"other").hexdigest() in caught.value.message
    assert "the wheels are then fetched again" in caught.value.hint


def test_a_wheel_in_the_wrong_layer_is_refused(made: Made) -> None:
    packages, recipe, _ = made
    folders = dict(packages.folders(pinned := packages.pin(recipe, SOURCE)))
    (folders["wheels-cuda"] / "torch-2.0-cp311-cp311-manylinux_2_28_x86_64.whl").rename(
        folders["wheels-dependencies"] / "torch-2.0-cp311-cp311-manylinux_2_28_x86_64.whl"
    )
    with pytest.raises(WorkFailed, match="belongs into cuda"):
        packages.prove(SOURCE, pinned)


def test_an_index_that_does_not_answer_is_unreachable_and_nothing_is_kept(made: Made) -> None:
    packages, recipe, index = made
    index.words = "Could not find a version that satisfies the requirement h11 (connection refused)"
    with pytest.raises(Unreachable, match="the wheels of mini could not be downloaded") as caught:
        packages.pin(recipe, SOURCE)
    assert caught.value.exit_code == 4
    assert "connection refused" in caught.value.message
    index.words = ""
    assert len(packages.pin(recipe, SOURCE).wheels) == 4


def test_other_bytes_from_the_index_are_the_work_s_failure(made: Made) -> None:
    packages, recipe, index = made
    index.words = "THESE PACKAGES DO NOT MATCH THE HASHES\n Expected sha256 aa\n Got        bb"
    with pytest.raises(
        WorkFailed, match=re.escape("a wheel of mini is not the one that mini.txt names")
    ) as caught:
        packages.pin(recipe, SOURCE)
    assert caught.value.exit_code == 1
    assert "Expected sha256 aa" in caught.value.message
    assert "bb" in caught.value.message


def test_a_recipe_s_version_is_the_lock_s(made: Made) -> None:
    packages, recipe, _ = made
    with pytest.raises(WorkFailed, match=re.escape("mini: mini.txt locks mini 1.2, the recipe says 1.3")):
        packages.pin(recipe, replace(SOURCE, version="1.3"))


def test_what_is_left_out_must_be_there(made: Made) -> None:
    packages, recipe, _ = made
    packages.pin(recipe, replace(SOURCE, leave_out=(LeftOut(files="*.a", why="no linker"),)))
    gone = (LeftOut(files="*.a", why="no linker"), LeftOut(files="mini/cubins/*", why="other GPUs"))
    with pytest.raises(
        WorkFailed, match=re.escape("no wheel has a file mini/cubins/* that could be left out")
    ):
        packages.pin(recipe, replace(SOURCE, leave_out=gone))


def test_a_lock_s_other_hash_is_another_input(made: Made, tmp_path: Path) -> None:
    packages, _, _ = made
    before = packages.inputs(SOURCE)
    path = tmp_path / "recipes" / "packages" / "pip.txt"
    path.write_text(path.read_text().replace("0" * 64, "1" * 64))
    assert packages.inputs(SOURCE) != before
