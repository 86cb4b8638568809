import hashlib
import re
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from build.errors import BadRequest, CommandFailed, Unreachable, WorkFailed
from build.pin.locks import CudaLock
from build.pin.wheels import cuda_header, cuda_target, download_command, fetch_wheels
from tests.fakes import RecordingReporter

HASH = hashlib.sha256(b"wheel").hexdigest()
LOCK = CudaLock(
    title="CUDA 13.0",
    version="13.0",
    path=Path("/r/cuda-13.0.txt"),
    sha256="ab" * 32,
    wheels=(("nvidia-x", "1"),),
    hashes=(("nvidia-x", ("f" * 64, HASH)),),
)


@dataclass
class FakePip:
    """Puts a file where `--dest` says, or ends with these words."""

    words: str = ""
    calls: list[tuple[str, ...]] = field(default_factory=list)

    def __call__(self, command: tuple[str, ...]) -> None:
        self.calls.append(command)
        folder = Path(command[command.index("--dest") + 1])
        (folder / "nvidia_x-1-py3-none-any.whl").write_bytes(b"wheel")
        if self.words:
            raise CommandFailed(command, 1, output=self.words)


def test_pip_is_told_everything_that_decides_which_file_it_takes(tmp_path: Path) -> None:
    command = download_command(LOCK, tmp_path, cuda_target("aarch64"))
    assert command[1:] == (
        *(
            "-m",
            "pip",
            "download",
            "--quiet",
            "--retries=2",
            "--require-hashes",
            "--no-deps",
            "--only-binary=:all:",
        ),
        *("--implementation=py", "--python-version=3.11", "--platform=any"),
        *(f"--platform=manylinux_2_{minor}_aarch64" for minor in (28, 27, 17, 12, 5)),
        *(f"--platform=manylinux{name}_aarch64" for name in ("2014", "2010", "1")),
        *("--requirement", "/r/cuda-13.0.txt", "--dest", str(tmp_path)),
    )


def test_wheels_are_fetched_once(tmp_path: Path) -> None:
    pip, reporter = FakePip(), RecordingReporter()
    first = fetch_wheels(LOCK, "x86_64", tmp_path, reporter, pip=pip)
    assert first == tmp_path / "wheels" / "cuda-13.0-abababababab-x86_64"
    assert [path.name for path in first.iterdir()] == ["nvidia_x-1-py3-none-any.whl"]
    assert fetch_wheels(LOCK, "x86_64", tmp_path, reporter, pip=pip) == first
    assert len(pip.calls) == 1
    assert reporter.all("step") == ["CUDA 13.0 wheels, x86_64"]


@pytest.mark.parametrize(
    ("words", "kind", "what"),
    [
        (
            "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.\n    Got ff",
            WorkFailed,
            "a wheel of CUDA 13.0 is not the one that cuda-13.0.txt names",
        ),
        (
            "WARNING: Retrying after connection broken by 'refused': /srv/hash/index\nERROR: No matching distribution found for nvidia-x",
            Unreachable,
            "the wheels of CUDA 13.0 could not be downloaded",
        ),
    ],
)
def test_what_pip_says_becomes_the_right_error(
    tmp_path: Path, words: str, kind: type[Exception], what: str
) -> None:
    with pytest.raises(kind) as refused:
        fetch_wheels(LOCK, "x86_64", tmp_path, RecordingReporter(), pip=FakePip(words))
    assert str(refused.value) == f"{what}:\n{words}"
    assert type(refused.value) is kind
    assert not (tmp_path / "wheels" / "cuda-13.0-abababababab-x86_64").exists()


def test_after_a_failure_the_next_run_is_right(tmp_path: Path) -> None:
    with pytest.raises(Unreachable):
        fetch_wheels(LOCK, "x86_64", tmp_path, RecordingReporter(), pip=FakePip("no route"))
    assert (
        len(list(fetch_wheels(LOCK, "x86_64", tmp_path, RecordingReporter(), pip=FakePip()).iterdir())) == 1
    )


def test_a_wheel_that_was_changed_is_refused_with_both_hashes(tmp_path: Path) -> None:
    folder = fetch_wheels(LOCK, "x86_64", tmp_path, RecordingReporter(), pip=FakePip())
    wheel = folder / "nvidia_x-1-py3-none-any.whl"
    wheel.write_bytes(b"whee1")
    with pytest.raises(WorkFailed) as refused:
        fetch_wheels(LOCK, "x86_64", tmp_path, RecordingReporter(), pip=FakePip())
    found = hashlib.sha256(b"whee1").hexdigest()
    assert refused.value.message == (
        f"{wheel} is not the locked wheel: its hash is {found}, cuda-13.0.txt names {'f' * 64} or {HASH}"
    )
    assert refused.value.hint == f"delete {folder}; the wheels are then fetched again"


def test_a_wheel_too_many_or_too_few_is_refused(tmp_path: Path) -> None:
    folder = fetch_wheels(LOCK, "x86_64", tmp_path, RecordingReporter(), pip=FakePip())
    more = folder / "nvidia_y-1-py3-none-any.whl"
    more.write_bytes(b"wheel")
    with pytest.raises(WorkFailed) as refused:
        fetch_wheels(LOCK, "x86_64", tmp_path, RecordingReporter(), pip=FakePip())
    assert refused.value.message == (
        f"{more} is not the locked wheel: its hash is {HASH}, cuda-13.0.txt names no such wheel"
    )
    more.unlink()
    (folder / "nvidia_x-1-py3-none-any.whl").unlink()
    with pytest.raises(WorkFailed) as refused:
        fetch_wheels(LOCK, "x86_64", tmp_path, RecordingReporter(), pip=FakePip())
    assert refused.value.message == f"{folder} lacks wheels that cuda-13.0.txt names: nvidia-x"


def test_the_header_comes_out_of_the_runtime_wheel(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "nvidia_cuda_runtime-13.0.96-py3-none-any.whl", "w") as wheel:
        wheel.writestr("nvidia/cu13/include/cuda_runtime.h", "no")
        wheel.writestr("nvidia/cu13/include/cuda.h", "CUresult CUDAAPI cuInit(int);")
    assert cuda_header(tmp_path) == "CUresult CUDAAPI cuInit(int);"


def test_no_header_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(WorkFailed) as refused:
        cuda_header(tmp_path)
    assert refused.value.message == f"no wheel in {tmp_path} has cuda.h"


def test_an_index_without_a_wheel_is_not_one_that_did_not_answer(tmp_path: Path) -> None:
    absent = "Collecting nvidia-x==1\nERROR: No matching distribution found for nvidia-x==1"
    with pytest.raises(
        BadRequest, match=re.escape("the package index has not all wheels of CUDA 13.0")
    ) as caught:
        fetch_wheels(LOCK, "x86_64", tmp_path, RecordingReporter(), pip=FakePip(absent))
    assert "Collecting" not in caught.value.message
    silent = f"WARNING: Retrying (Retry(total=0)) after connection broken by 'refused': /simple/\n{absent}"
    with pytest.raises(Unreachable, match="connection broken by 'refused'"):
        fetch_wheels(LOCK, "x86_64", tmp_path, RecordingReporter(), pip=FakePip(silent))
