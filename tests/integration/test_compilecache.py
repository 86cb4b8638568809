"""The compile cache out of a real builder and back, in cache mounts of its own, so that no build sees it."""

import io
import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

import pytest

from build.doors import store
from build.doors.console import Console
from build.doors.effects import EngineHandle
from build.image.compilecache import CompileCache
from build.pin.custody import image_name, made_name
from build.pin.model import Pin
from build.publish.custody import keep, pieces
from build.recipe.check import check
from build.recipe.select import select
from build.settings import Settings
from build.wiring import Wiring
from tests.fakes import RecordingReporter
from tests.integration.conftest import Checkout
from tests.integration.mounts import own_mount

pytestmark = pytest.mark.engine


@pytest.fixture
def said() -> RecordingReporter:
    return RecordingReporter()


@pytest.fixture
def cache(settings: Settings, said: RecordingReporter, tmp_path: Path) -> CompileCache:
    own = Wiring(settings=settings, reporter=Console()).compile_cache("13.0")
    return replace(own, lock=uuid4().hex * 2, folder=tmp_path, reporter=said)


def write(cache: CompileCache, **files: str) -> None:
    """Write a file as `keep` does: entries by the end of their names, from the one that was used the longest ago."""
    cache.folder.mkdir(exist_ok=True)
    with tarfile.open(cache.file, "w") as archive:
        for age, (name, text) in enumerate(files.items()):
            header = tarfile.TarInfo(f"./0/1/{name}R")
            header.size, header.mtime = len(text), 1_000_000 + age
            archive.addfile(header, io.BytesIO(text.encode()))


def read(cache: CompileCache) -> dict[str, str]:
    with tarfile.open(cache.file) as archive:
        return {
            member.name.removeprefix("./0/1/").removesuffix("R"): (
                file.read().decode() if (file := archive.extractfile(member)) else ""
            )
            for member in archive
            if member.isfile()
        }


def test_what_was_kept_is_there_again_and_what_is_there_is_newer(
    cache: CompileCache, said: RecordingReporter
) -> None:
    write(cache, one="1", two="2")
    assert cache.restore()
    assert said.all("verdict") == ["2 entries"]
    cache.file.unlink()
    kept = cache.keep()
    assert kept
    assert read(cache) == {"one": "1", "two": "2"}
    assert (kept.file, kept.size) == (str(cache.file), cache.file.stat().st_size)
    write(cache, two="other", three="3")
    cache.restore()
    cache.keep()
    assert read(cache) == {"one": "1", "two": "2", "three": "3"}
    left = {path.name for path in cache.folder.iterdir()}
    assert left == {cache.file.name, f".{cache.file.stem}.lock"}, "nothing else is left behind"


def test_what_was_used_the_longest_ago_does_not_fit(cache: CompileCache, said: RecordingReporter) -> None:
    write(cache, one="1" * 4000, two="2" * 400, three="3" * 400)
    cache.restore()
    kept = cache.keep(max_size=4 * 512)
    assert kept
    assert read(cache) == {"two": "2" * 400, "three": "3" * 400}
    assert kept.left_out == 9 * 512
    assert said.all("note") == [
        "left out: 1 entries, 0.0 MB, that nobody has asked for the longest; at most 0.0 MB are kept (--max-size)"
    ]
    cache.keep()
    assert set(read(cache)) == {"one", "two", "three"}, "the builder's own cache is as it was"


def test_a_file_that_is_no_archive_is_removed_and_the_next_is_good(
    cache: CompileCache, said: RecordingReporter
) -> None:
    cache.folder.mkdir(exist_ok=True)
    cache.file.write_bytes(b"half a file")
    assert cache.restore() is None
    assert not cache.file.exists()
    (warning,) = said.all("warning")
    assert "was no whole archive (tar: This does not look like a tar archive) and is removed" in warning
    assert cache.keep() is None, "the builder has nothing either"
    assert not cache.file.exists()


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A cache folder of its own, beside the engine of the tests."""

    checkout: Checkout
    cache: Path
    env: dict[str, str]

    def run(self, *words: str) -> str:
        checkout = replace(self.checkout, env=self.checkout.env | self.env | {"INGOT_CACHE": str(self.cache)})
        ran = checkout.run(*words)
        assert ran.code == 0, ran.err
        return ran.out

    def carry(self, action: str) -> dict[str, object]:
        (carried,) = json.loads(self.run("ccache", action, "--json"))
        assert isinstance(carried, dict)
        return carried

    def built(self) -> tuple[list[str], int, int]:
        """Build the sample; return its layers, hits and misses."""
        self.run("image", "minifork")
        image = self.checkout.artifact("image")
        used = image["compile_cache"]
        return [layer["digest"] for layer in image["layers"]], used["hits"], used["misses"]

    @property
    def kept(self) -> Path:
        (file,) = (self.cache / "ccache").glob("*.tar")
        return file


@pytest.fixture
def machines(
    checkout: Checkout, settings: Settings, engine: EngineHandle, tmp_path: Path
) -> Iterator[tuple[Machine, Machine]]:
    """One with the images that builds start from, and a new one, which can get them from a folder of copies alone."""
    env = {**dict(engine.environment), "INGOT_ENGINE": "host", "INGOT_CUSTODY": str(tmp_path / "custody")}
    old, new = (Machine(checkout=checkout, cache=tmp_path / name, env=env) for name in ("old", "new"))
    for machine in (old, new):
        (machine.cache / "ccache").mkdir(parents=True)
    (old.cache / "images").symlink_to(settings.cache / "images")
    yield old, new
    for folder in (new.cache, tmp_path / "custody"):  # pytest keeps some runs' folders
        store.discard(folder)


def copy_images(machine: Machine, settings: Settings) -> None:
    """Copy toolchain and base of the image that a machine has built."""
    checkout = machine.checkout
    wiring = Wiring(
        settings=replace(settings, root=checkout.root, custody=Path(machine.env["INGOT_CUSTODY"])),
        reporter=Console(),
    )
    (recipe,) = select(check(checkout.root), ["minifork"], variant="")
    pin = store.read_artifact(checkout.out / "minifork" / "pin.json", Pin, made_by="image")
    assert pin.toolchain
    assert wiring.custody
    wanted = {
        *(image_name(image.digest) for image in (pin.toolchain, pin.base)),
        made_name(wiring.images.toolchain_name("13.0", pin.toolchain), pin.toolchain.lock),
        made_name("base", pin.base.lock),
    }
    found = [piece for piece in pieces(recipe, pin, wiring.resolver) if piece.name in wanted]
    assert {piece.name for piece in found} == wanted
    keep(found, wiring.custody, Console())


def damage(file: Path) -> int:
    """Cut the smaller half of all results off, change a bit in them, or end them in zeros; return how many."""
    with tarfile.open(file) as archive:
        members = [(member, archive.extractfile(member)) for member in archive]
        data = {member.name: body.read() for member, body in members if body}
    results = sorted((name for name in data if name.endswith("R")), key=lambda name: len(data[name]))
    for number, name in enumerate(results[: len(results) // 2]):
        whole, middle = data[name], len(data[name]) // 2
        wrong = (
            whole[:middle],
            whole[:middle] + bytes((whole[middle] ^ 1,)) + whole[middle + 1 :],
            whole[:middle] + bytes(len(whole) - middle),
        )
        data[name] = wrong[number % 3]
    with tarfile.open(file, "w") as archive:
        for name, content in data.items():
            header = tarfile.TarInfo(name)
            header.size = len(content)
            archive.addfile(header, io.BytesIO(content))
    return len(results) // 2


def test_a_new_machine_compiles_nothing_that_another_has_compiled(
    checkout: Checkout, settings: Settings, machines: tuple[Machine, Machine]
) -> None:
    """Each time the builder's mount is another and empty. Entries that were damaged are misses, and the image is the same."""
    old, new = machines
    checkout.edit("recipes/minifork.yaml", 'MINI_CUDA: "ON"', 'MINI_CUDA: "ON"\n  MINI_CUDA_INSTANCES: "1"')
    own_mount(checkout)
    layers, hits, misses = old.built()
    assert (hits, misses > 2) == (0, True)
    assert old.carry("keep") == {
        "cuda": "13.0",
        "file": str(old.kept),
        "size": old.kept.stat().st_size,
        "left_out": 0,
    }
    copy_images(old, settings)

    own_mount(checkout)
    (new.cache / "ccache" / old.kept.name).hardlink_to(old.kept)
    assert not list(new.cache.glob("images/toolchain-*"))
    assert new.carry("restore")["file"] == str(new.kept)
    assert list(new.cache.glob("images/toolchain-*/layout/index.json")), "the new machine has got a toolchain"
    assert new.built() == (layers, misses, 0)

    own_mount(checkout)
    new.kept.unlink()
    (new.cache / "ccache" / old.kept.name).write_bytes(old.kept.read_bytes())
    damaged = damage(new.kept)
    assert new.carry("restore")["file"] == str(new.kept)
    again, hits, compiled = new.built()
    assert (again, hits + compiled) == (layers, misses)
    assert 0 < compiled <= damaged
