"""The compile cache as a file, with a builder that is none; tests/integration has a real one."""

import json
from pathlib import Path

import pytest

from build.errors import WorkFailed
from build.image.compilecache import CompileCache
from build.pin.model import PinnedImage
from build.recipe.refs import Digest
from tests.fakes import FakeBuilder, RecordingReporter

TEMPLATES = Path(__file__).parents[3] / "dockerfiles"
LOCK = "0123456789abcdef" * 4


@pytest.fixture
def cache(tmp_path: Path) -> CompileCache:
    image = PinnedImage(lock=LOCK, digest=Digest(f"sha256:{'1' * 64}"), origin="registry: x", packages=())
    return CompileCache(
        cuda="13.0", toolchain=image, layout=Path("/layout"), folder=tmp_path / "ccache", templates=TEMPLATES
    )


def packing(data: bytes) -> FakeBuilder:
    def write(_target: str, folder: Path) -> None:
        folder.mkdir()
        (folder / "ccache.tar").write_bytes(data)

    return FakeBuilder(writes=write)


def refusing(_target: str, _folder: Path) -> None:
    message = "the builder is gone"
    raise WorkFailed(message)


def test_the_file_is_named_after_the_toolchain_and_replaced_whole(cache: CompileCache) -> None:
    said = RecordingReporter()
    kept = cache.keep(packing(b"x" * 1_500_000), said)
    assert kept.file == str(cache.folder / "0123456789ab.tar")
    assert (kept.cuda, kept.size) == ("13.0", 1_500_000)
    assert said.all("verdict") == ["1.5 MB"]
    cache.keep(packing(b"new"), said)
    assert cache.file.read_bytes() == b"new"


def test_a_builder_that_fails_leaves_the_file_of_before(cache: CompileCache) -> None:
    cache.keep(packing(b"old"), RecordingReporter())
    with pytest.raises(WorkFailed):
        cache.keep(FakeBuilder(writes=refusing), RecordingReporter())
    assert cache.file.read_bytes() == b"old"


def test_what_was_kept_is_handed_to_the_builder_alone(cache: CompileCache) -> None:
    cache.keep(packing(b"kept"), RecordingReporter())
    (cache.folder / "somebody-elses.tar").write_bytes(b"")
    seen: list[list[str]] = []
    dockerfiles: list[str] = []

    def write(_target: str, folder: Path) -> None:
        bake = json.loads((folder.parent / "docker-bake.json").read_text())
        contexts = bake["target"]["restore"]["contexts"]
        assert contexts["toolchain"] == f"oci-layout:///layout@sha256:{'1' * 64}"
        seen.append(sorted(path.name for path in Path(contexts["kept"]).iterdir()))
        dockerfiles.append((folder.parent / "Dockerfile").read_text())
        folder.mkdir()
        (folder / "files").write_text("7\n")

    said = RecordingReporter()
    restored = cache.restore(FakeBuilder(writes=write), said)
    assert restored
    assert restored.size == 4
    assert seen == [["ccache.tar"]]
    assert said.all("verdict") == ["7 files"]
    (text,) = dockerfiles
    assert text.count("id=ingot-ccache-0123456789ab,target=/ccache") == 2
    assert sorted(path.name for path in cache.folder.iterdir()) == ["0123456789ab.tar", "somebody-elses.tar"]


def test_the_mount_is_that_of_the_compile_stages() -> None:
    mount = "--mount=type=cache,id=ingot-ccache-{{ toolchain_lock[:12] }},target=/ccache"
    for name in ("llama-cpp.Dockerfile.j2", "compilecache.Dockerfile.j2"):
        assert mount in (TEMPLATES / name).read_text()


def test_without_a_file_no_builder_is_asked(cache: CompileCache) -> None:
    said = RecordingReporter()
    assert cache.restore(FakeBuilder(writes=refusing), said) is None
    assert said.all("note") == [f"no compile cache of CUDA 13.0 was kept: {cache.file} is not there"]
