"""Layouts of toolchain and base that somebody changed: refused with both digests; unchanged ones are hashed once."""

import json
import os
import shutil
import time
from pathlib import Path

import pytest

from build.doors import store
from build.doors.bakefile import layout_digest
from build.errors import WorkFailed
from build.image.layout import open_layout
from build.pin.model import PinnedImage
from build.pin.sealed import SEAL, Seal, prove_layout
from build.recipe.refs import Digest
from tests.layouts import listed, rewrite_index, write_layout
from tests.unit.pin.test_images import DEBIAN, store_of


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """An image of two layers, written a while ago."""
    write_layout(tmp_path / "base" / "layout", [{"a": b"1" * 4000}, {"b": b"2"}], how="")
    return tmp_path / "base"


def digest_of(place: Path) -> Digest:
    return layout_digest(place / "layout")


def later() -> int:
    """A clock that is ahead of every file."""
    return time.time_ns() + 3_000_000_000


def refused(place: Path, wanted: Digest) -> str:
    with pytest.raises(WorkFailed) as error:
        prove_layout(place, wanted)
    assert error.value.hint == f"delete {place}; it is then made again"
    message = error.value.message
    assert message.startswith(f"{place} was changed after it was made: ")
    return message.removeprefix(f"{place} was changed after it was made: ")


def blob(place: Path, digest: str) -> Path:
    return place / "layout" / "blobs" / "sha256" / digest.removeprefix("sha256:")


def edit(path: Path) -> str:
    """Change one byte; length and time stay. Returns the new hash."""
    status = path.stat()
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    return store.sha256_file(path)


def test_an_index_that_names_another_image(place: Path, tmp_path: Path) -> None:
    wanted = digest_of(place)
    other = write_layout(tmp_path / "other", [{"a": b"other"}])
    rewrite_index(place / "layout", listed(other))
    words = refused(place, wanted)
    assert words == f"its index names {layout_digest(other)}, where {wanted} is pinned"


@pytest.mark.parametrize("which", ["manifest", "config"])
def test_a_document_with_other_bytes(place: Path, which: str) -> None:
    image = open_layout(place / "layout")
    digest = image.digest if which == "manifest" else image.config_digest
    found = edit(blob(place, digest))
    words = refused(place, image.digest)
    assert words == f"a document has the bytes of sha256:{found}, where {digest} is pinned"


@pytest.mark.parametrize("times", [0, 1])
def test_a_layer_with_other_bytes(place: Path, times: int) -> None:
    """Also one of the same length and time, in a layout that was proven before."""
    image = open_layout(place / "layout")
    for _ in range(times):
        prove_layout(place, image.digest, clock=later)
        assert image.layers[0].digest.hex in (place / SEAL).read_text()
    layer = image.layers[0].digest
    found = edit(blob(place, layer))
    words = refused(place, image.digest)
    assert words == f"a layer has the bytes of sha256:{found}, where {layer} is pinned"
    assert refused(place, image.digest) == words, "once is not enough"


def test_a_layer_that_is_gone(place: Path) -> None:
    image = open_layout(place / "layout")
    blob(place, image.layers[1].digest).unlink()
    assert refused(place, image.digest) == f"it has no such blob, where {image.layers[1].digest} is pinned"


def test_layers_are_hashed_once(place: Path) -> None:
    wanted, hashed = digest_of(place), list[str]()
    (first, second) = json.loads(blob(place, wanted).read_bytes())["layers"]

    def counting(path: Path) -> str:
        hashed.append(f"sha256:{path.name}")
        return store.sha256_file(path)

    prove_layout(place, wanted, sha256=counting, clock=later)
    assert hashed == [first["digest"], second["digest"]]
    prove_layout(place, wanted, sha256=counting, clock=later)
    assert len(hashed) == 2
    os.utime(blob(place, second["digest"]))
    prove_layout(place, wanted, sha256=counting, clock=later)
    assert hashed[2:] == [second["digest"]], "it was touched, and is right"


@pytest.mark.parametrize(("later_ns", "sealed"), [(1_999_999_999, 0), (2_000_000_000, 1)])
def test_what_was_written_a_moment_ago_is_not_sealed(place: Path, later_ns: int, sealed: int) -> None:
    """It may be written again under the same time: each layer is noted when its own last change is long enough ago."""
    image = open_layout(place / "layout")
    first, second = (blob(place, layer.digest) for layer in image.layers)
    status = second.stat()
    now_ns = max(status.st_mtime_ns, status.st_ctime_ns) + later_ns
    os.utime(first, ns=(0, now_ns + 1))
    prove_layout(place, image.digest, clock=lambda: now_ns)
    noted = store.read_known(place / SEAL, Seal)
    assert (noted.layers.keys() if noted else set()) == ({second.name} if sealed else set())


def test_a_copied_cache_is_hashed_again_and_is_right(place: Path, tmp_path: Path) -> None:
    wanted, hashed = digest_of(place), list[str]()

    def counting(path: Path) -> str:
        hashed.append(path.name)
        return store.sha256_file(path)

    prove_layout(place, wanted, clock=later)
    copy = shutil.copytree(place, tmp_path / "copy")
    assert (copy / SEAL).read_bytes() == (place / SEAL).read_bytes()
    prove_layout(copy, wanted, sha256=counting, clock=later)
    assert hashed == [layer.digest.hex for layer in open_layout(copy / "layout").layers]
    prove_layout(copy, wanted, sha256=counting, clock=later)
    assert len(hashed) == 2, "the copy has a seal of its own now"


def test_the_store_proves_and_finds_by_the_same_place(tmp_path: Path) -> None:
    images, _ = store_of(tmp_path)
    key = images.debian_locks(DEBIAN, ("curl",))["bootstrap"]
    place = images.cache / "images" / f"base-{key[:12]}"
    write_layout(place / "layout", [{"a": b"1"}])
    image = PinnedImage(
        lock=key, digest=digest_of(place), origin="bootstrapped: debian/bookworm", packages=()
    )
    store.write_artifact(place / "pinned.json", image)
    assert images.base(DEBIAN, ("curl",), mode="bootstrap") == image
    images.prove("base", image)
    rewrite_index(place / "layout", listed(write_layout(tmp_path / "other", [{"a": b"other"}])))
    found = digest_of(place)
    with pytest.raises(WorkFailed) as error:
        images.base(DEBIAN, ("curl",), mode="bootstrap")
    assert error.value.message == (
        f"{place} was changed after it was made: its record says {image.digest}, its layout is {found}"
    )
    with pytest.raises(WorkFailed) as error:
        images.prove("base", image)
    assert error.value.message.endswith(f"its index names {found}, where {image.digest} is pinned")
