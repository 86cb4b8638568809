"""The compile cache out of a real builder and back, in cache mounts of its own, so that no build sees it."""

import io
import tarfile
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from build.doors.console import Console
from build.errors import WorkFailed
from build.image.compilecache import CompileCache
from build.pin.locks import read_cuda_lock, read_debian_lock
from build.settings import Settings
from build.wiring import Wiring

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def wiring(settings: Settings) -> Wiring:
    return Wiring(settings=settings, reporter=Console())


@pytest.fixture
def cache(wiring: Wiring, tmp_path: Path) -> CompileCache:
    cuda, debian = read_cuda_lock(wiring.toolchains, "13.0"), read_debian_lock(wiring.toolchains)
    image = wiring.images.toolchain(cuda, debian, mode=wiring.settings.base)
    return CompileCache(
        cuda="13.0",
        toolchain=replace(image, lock=uuid4().hex * 2),
        layout=wiring.images.layout(wiring.images.toolchain_name("13.0", image), image),
        folder=tmp_path,
        templates=wiring.templates,
    )


def write(cache: CompileCache, **files: str) -> None:
    cache.folder.mkdir(exist_ok=True)
    with tarfile.open(cache.file, "w") as archive:
        for name, text in files.items():
            header = tarfile.TarInfo(f"./{name}")
            header.size = len(text)
            archive.addfile(header, io.BytesIO(text.encode()))


def read(cache: CompileCache) -> dict[str, str]:
    with tarfile.open(cache.file) as archive:
        return {
            member.name.removeprefix("./"): (
                file.read().decode() if (file := archive.extractfile(member)) else ""
            )
            for member in archive
            if member.isfile()
        }


def test_what_was_kept_is_there_again_and_what_is_there_is_newer(wiring: Wiring, cache: CompileCache) -> None:
    write(cache, one="1", two="2")
    restored = cache.restore(wiring.buildx, Console())
    assert restored
    cache.file.unlink()
    kept = cache.keep(wiring.buildx, Console())
    assert read(cache) == {"one": "1", "two": "2"}
    assert (kept.file, kept.size) == (str(cache.file), cache.file.stat().st_size)
    write(cache, two="other", three="3")
    cache.restore(wiring.buildx, Console())
    cache.keep(wiring.buildx, Console())
    assert read(cache) == {"one": "1", "two": "2", "three": "3"}
    assert [path.name for path in cache.folder.iterdir()] == [cache.file.name], "nothing else is left behind"


def test_a_file_that_is_no_archive_fails_and_stays(wiring: Wiring, cache: CompileCache) -> None:
    cache.folder.mkdir(exist_ok=True)
    cache.file.write_bytes(b"half a file")
    with pytest.raises(WorkFailed, match="tar"):
        cache.restore(wiring.buildx, Console())
    assert cache.file.read_bytes() == b"half a file"


def test_nothing_kept_is_nothing_to_restore(wiring: Wiring, cache: CompileCache) -> None:
    assert cache.restore(wiring.buildx, Console()) is None
