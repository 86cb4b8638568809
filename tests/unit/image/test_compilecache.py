"""The compile cache as a file, with a builder that is none; tests/integration has a real one."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from build.doors import store
from build.errors import WorkFailed
from build.image.compilecache import CompileCache
from build.pin.model import PinnedImage
from build.recipe.refs import Digest
from tests.fakes import FakeBuilder, RecordingReporter

TEMPLATES = Path(__file__).parents[3] / "dockerfiles"
LOCK = "0123456789abcdef" * 4
IMAGE = PinnedImage(lock=LOCK, digest=Digest(f"sha256:{'1' * 64}"), origin="registry: x", packages=())


@pytest.fixture
def said() -> RecordingReporter:
    return RecordingReporter()


@pytest.fixture
def cache(tmp_path: Path, said: RecordingReporter) -> CompileCache:
    return CompileCache(
        cuda="13.0",
        lock=LOCK,
        toolchain=lambda: (IMAGE, Path("/layout")),
        builder=lambda: FakeBuilder(writes=refusing),
        reporter=said,
        folder=tmp_path / "ccache",
        templates=TEMPLATES,
    )


def with_builder(cache: CompileCache, writes: Callable[[str, Path], object]) -> CompileCache:
    return replace(cache, builder=lambda: FakeBuilder(writes=writes))


def packing(cache: CompileCache, data: bytes, counts: str = "3 1 0 0\n") -> CompileCache:
    def write(_target: str, folder: Path) -> None:
        (folder / "kept").mkdir(parents=True)
        (folder / "kept" / "ccache.tar").write_bytes(data)
        (folder / "kept" / "counts").write_text(counts)

    return with_builder(cache, write)


def answering(cache: CompileCache, **files: str) -> CompileCache:
    def write(_target: str, folder: Path) -> None:
        folder.mkdir()
        for name, text in files.items():
            (folder / name).write_text(text)

    return with_builder(cache, write)


def refusing(_target: str, _folder: Path) -> None:
    message = "the builder is gone"
    raise WorkFailed(message)


def test_the_file_is_named_after_the_toolchain_and_replaced_whole(
    cache: CompileCache, said: RecordingReporter
) -> None:
    kept = packing(cache, b"x" * 1_500_000).keep()
    assert kept
    assert kept.file == str(cache.folder / "0123456789ab.tar")
    assert (kept.cuda, kept.size, kept.left_out) == ("13.0", 1_500_000, 0)
    assert said.all("verdict") == ["1.5 MB"]
    assert said.all("note") == []
    packing(cache, b"new").keep()
    assert cache.file.read_bytes() == b"new"


def test_a_builder_that_fails_leaves_the_file_of_before(cache: CompileCache) -> None:
    packing(cache, b"old").keep()
    with pytest.raises(WorkFailed):
        cache.keep()
    assert cache.file.read_bytes() == b"old"


def test_a_builder_that_has_compiled_nothing_leaves_the_file_of_before(
    cache: CompileCache, said: RecordingReporter
) -> None:
    packing(cache, b"old").keep()
    assert packing(cache, b"an archive of nothing", "0 0 0 0\n").keep() is None
    assert cache.file.read_bytes() == b"old"
    assert said.all("note") == ["the builder has no compile cache of CUDA 13.0; a file of before stays"]


def test_the_limit_is_told_to_the_builder_and_what_it_left_out_to_people(
    cache: CompileCache, said: RecordingReporter
) -> None:
    texts: list[str] = []

    def write(_target: str, folder: Path) -> None:
        texts.append((folder.parent / "Dockerfile").read_text())
        (folder / "kept").mkdir(parents=True)
        (folder / "kept" / "ccache.tar").write_bytes(b"x")
        (folder / "kept" / "counts").write_text("3 400000 12 7300000\n")

    kept = with_builder(cache, write).keep(max_size=500_000)
    assert kept
    assert kept.left_out == 7_300_000
    assert "sh /pack-ccache.sh /ccache 500000 /kept" in texts[0]
    assert said.all("note") == [
        "left out: 12 entries, 7.3 MB, that nobody has asked for the longest; at most 0.5 MB are kept (--max-size)"
    ]


def test_a_limit_that_no_entry_fits_is_not_called_an_empty_cache(
    cache: CompileCache, said: RecordingReporter
) -> None:
    assert packing(cache, b"an archive of nothing", "0 0 3 9000\n").keep() is None
    assert said.all("note") == [
        "left out: 3 entries, 0.0 MB, that nobody has asked for the longest; at most 2000.0 MB are kept (--max-size)"
    ]


def test_what_was_kept_is_handed_to_the_builder_alone(cache: CompileCache, said: RecordingReporter) -> None:
    packing(cache, b"kept").keep()
    (cache.folder / "somebody-elses.tar").write_bytes(b"")
    seen: list[list[str]] = []
    dockerfiles: list[str] = []

    def write(_target: str, folder: Path) -> None:
        bake = json.loads((folder.parent / "docker-bake.json").read_text())
        contexts = bake["target"]["restore"]["contexts"]
        assert contexts["toolchain"] == f"oci-layout:///layout@sha256:{'1' * 64}"
        seen.append(sorted(path.name for path in Path(contexts["kept"]).iterdir()))
        seen.append(sorted(path.name for path in (folder.parent / "context").iterdir()))
        dockerfiles.append((folder.parent / "Dockerfile").read_text())
        folder.mkdir()
        (folder / "entries").write_text("7\n")

    restored = with_builder(cache, write).restore()
    assert restored
    assert restored.size == 4
    assert seen == [["ccache.tar"], ["pack-ccache.sh", "run", "unpack-ccache.sh"]]
    assert said.all("verdict")[1:] == ["7 entries"]
    (text,) = dockerfiles
    assert text.count("id=ingot-ccache-0123456789ab,target=/ccache") == 2
    left = sorted(path.name for path in cache.folder.iterdir())
    assert left == [".0123456789ab.lock", "0123456789ab.tar", "somebody-elses.tar"]


def test_what_nobody_can_read_is_removed_and_said(cache: CompileCache, said: RecordingReporter) -> None:
    packing(cache, b"half a file").keep()
    assert answering(cache, damage="tar: Unexpected EOF in archive\ntar: more\n").restore() is None
    assert not cache.file.exists()
    assert said.all("verdict")[1:] == ["damaged"]
    (warning,) = said.all("warning")
    assert warning == (
        f"{cache.file} was no whole archive (tar: Unexpected EOF in archive) and is removed: builds compile anew, "
        "and the next `keep` writes it anew"
    )
    assert answering(cache).restore() is None, "the next run finds none"


def test_a_builder_that_fails_is_not_the_files_fault(cache: CompileCache) -> None:
    packing(cache, b"kept").keep()
    with pytest.raises(WorkFailed, match="the builder is gone"):
        cache.restore()
    assert cache.file.read_bytes() == b"kept"


@pytest.mark.parametrize("action", ["keep", "restore"])
def test_another_run_that_carries_it_is_waited_for(
    cache: CompileCache, said: RecordingReporter, action: str
) -> None:
    """The one in work meets a second: that one says so before it waits, and its folder is not touched."""

    class WaitsNoLongerError(Exception):
        pass

    class Meeting(RecordingReporter):
        def note(self, message: str) -> None:
            super().note(message)
            raise WaitsNoLongerError

    packing(cache, b"kept").keep()
    other = Meeting()

    def write(_target: str, folder: Path) -> None:
        with pytest.raises(WaitsNoLongerError):
            getattr(replace(cache, reporter=other), action)()
        assert (folder.parent / "Dockerfile").exists()
        (folder / "kept").mkdir(parents=True)
        (folder / "kept" / "ccache.tar").write_bytes(b"new")
        (folder / "kept" / "counts").write_text("1 1 0 0")
        (folder / "entries").write_text("1")

    getattr(with_builder(cache, write), action)()
    assert other.all("note") == ["waiting for another run that carries the compile cache of CUDA 13.0"]


def test_the_mount_is_that_of_the_compile_stages() -> None:
    mount = "--mount=type=cache,id=ingot-ccache-{{ toolchain_lock[:12] }},target=/ccache"
    for name in ("llama-cpp.Dockerfile.j2", "compilecache.Dockerfile.j2"):
        assert mount in (TEMPLATES / name).read_text()


def test_what_is_packed_is_not_copied_before_it_is_exported() -> None:
    """The archive is as big as the cache: each stage on its way would hold it once more."""
    text = (TEMPLATES / "compilecache.Dockerfile.j2").read_text()
    keep = text.partition("FROM scratch AS keep\n")[2].partition("\nFROM ")[0]
    assert "sh /pack-ccache.sh /ccache" in keep
    assert keep.count("COPY") == 1, "the links"


def test_without_a_file_neither_builder_nor_toolchain_is_asked(
    cache: CompileCache, said: RecordingReporter
) -> None:
    def nobody() -> tuple[PinnedImage, Path]:
        message = "no toolchain is needed"
        raise AssertionError(message)

    assert replace(cache, toolchain=nobody).restore() is None
    assert said.all("note") == [f"no compile cache of CUDA 13.0 was kept: {cache.file} is not there"]


def test_with_a_file_the_toolchain_is_got_as_a_build_gets_it(cache: CompileCache) -> None:
    packing(cache, b"kept").keep()
    asked: list[str] = []

    def made() -> tuple[PinnedImage, Path]:
        asked.append("toolchain")
        return IMAGE, Path("/layout")

    assert answering(replace(cache, toolchain=made), entries="1").restore()
    assert asked == ["toolchain"]
    assert store.sha256_file(cache.file) == store.sha256_text("kept")
