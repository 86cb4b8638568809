import re
from pathlib import Path

import pytest

from build.errors import BadRequest
from build.pin.locks import locked_versions, read_cuda_lock, read_debian_lock, read_package_lock

HASH = "--hash=sha256:" + "a" * 64
GOOD = f"# CUDA 13.0\ncuda-toolkit==13.0.2 \\\n    {HASH}\nnvidia-cublas==13.1.0.3 \\\n    {HASH} \\\n    {HASH}\n    # via\n"


def write(folder: Path, text: str, name: str = "cuda-13.0.txt") -> Path:
    (folder / name).write_text(text)
    return folder / name


def test_a_lock_names_its_wheels(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD)
    lock = read_cuda_lock(tmp_path, "13.0")
    assert lock.path == path
    assert lock.wheels == (("cuda-toolkit", "13.0.2"), ("nvidia-cublas", "13.1.0.3"))


def test_comments_are_no_part_of_a_locks_hash_and_hashes_are(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    before = read_cuda_lock(tmp_path, "13.0").sha256
    write(tmp_path, "# another word\n" + GOOD)
    assert read_cuda_lock(tmp_path, "13.0").sha256 == before
    write(tmp_path, GOOD.replace("a" * 64, "b" * 64))
    assert read_cuda_lock(tmp_path, "13.0").sha256 != before


@pytest.mark.parametrize(
    "line", ["nvidia-nvcc==13.0.88", "nvidia-nvcc>=13", "nvidia-nvcc", "nvidia-nvcc==13.* "]
)
def test_a_wheel_without_a_hash_or_a_version_is_refused(tmp_path: Path, line: str) -> None:
    path = write(tmp_path, f"{GOOD}{line}\n")
    with pytest.raises(BadRequest) as refused:
        read_cuda_lock(tmp_path, "13.0")
    assert refused.value.message == f"{path}: {line.strip()} is not one version locked by a hash"
    assert refused.value.hint == "refresh it: nox -s pins -- 13.0"


@pytest.mark.parametrize("text", ["", "# nothing\n"])
def test_an_empty_lock_is_refused(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(BadRequest) as refused:
        read_cuda_lock(tmp_path, "13.0")
    assert refused.value.message == f"{path} names no wheel"


def test_a_version_without_a_lock_says_which_there_are(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    write(tmp_path, GOOD, "cuda-13.1.txt")
    with pytest.raises(BadRequest) as refused:
        read_cuda_lock(tmp_path, "12.9")
    assert refused.value.message == f"no lock for CUDA 12.9: {tmp_path / 'cuda-12.9.txt'} does not exist"
    assert refused.value.hint == "locked versions: 13.0, 13.1; `nox -s pins -- 12.9` adds one"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (None, " does not exist"),
        (
            '{"suite": "bookworm"',
            " is not what it should be: Expecting ',' delimiter: line 1 column 21 (char 20)",
        ),
        (
            '{"suite": "bookworm", "image": "debian", "toolchain_packages": []}',
            " is not what it should be: required field missing @ $.digest",
        ),
        (
            '{"suite": "s", "image": "i", "digest": "d", "toolchain_packages": [], "extra": 1}',
            " is not what it should be: extra fields found (extra) @ $",
        ),
    ],
)
def test_a_broken_debian_lock_is_refused(tmp_path: Path, text: str | None, what: str) -> None:
    if text is not None:
        (tmp_path / "debian.json").write_text(text)
    with pytest.raises(BadRequest) as refused:
        read_debian_lock(tmp_path)
    assert refused.value.message == f"{tmp_path / 'debian.json'}{what}"
    assert refused.value.hint == "make it with `nox -s pins -- debian`"


def test_the_committed_locks_are_read() -> None:
    toolchains = Path(__file__).parents[3] / "recipes" / "toolchains"
    assert "g++" in read_debian_lock(toolchains).toolchain_packages
    for version in ("13.0", "13.1"):
        names = {name for name, _ in read_cuda_lock(toolchains, version).wheels}
        assert {"nvidia-cuda-nvcc", "nvidia-cuda-runtime", "nvidia-cublas"} <= names


def packages(root: Path, text: str) -> Path:
    (root / "packages").mkdir()
    (root / "packages" / "vllm-1.txt").write_text(text)
    return root


def test_a_lock_of_packages_knows_post_releases_and_local_versions(tmp_path: Path) -> None:
    text = f"# Refresh\nxgrammar==0.2.1.post1 \\\n    --hash=sha256:{'a' * 64}\ntorch==2.11.0+cu130 --hash=sha256:{'b' * 64}\n"
    lock = read_package_lock(packages(tmp_path, text), "packages/vllm-1.txt")
    assert (lock.title, lock.wheels) == ("vllm-1", (("xgrammar", "0.2.1.post1"), ("torch", "2.11.0+cu130")))
    assert locked_versions(text) == dict(lock.wheels)


@pytest.mark.parametrize(
    "line", ["vllm>=1 --hash=sha256:" + "a" * 64, "vllm==1", "vllm @ file:///x.whl", "-r other.txt"]
)
def test_what_is_not_one_version_by_hash_is_refused(tmp_path: Path, line: str) -> None:
    with pytest.raises(BadRequest, match="is not one version locked by a hash") as caught:
        read_package_lock(packages(tmp_path, f"{line}\n"), "packages/vllm-1.txt")
    assert caught.value.hint == "refresh it: nox -s pins -- vllm-1"


def test_a_lock_of_packages_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match=re.escape("no lock packages/vllm-2.txt")) as caught:
        read_package_lock(packages(tmp_path, "x"), "packages/vllm-2.txt")
    assert caught.value.hint == "`nox -s pins -- vllm-2` makes it from vllm-2.in"
