"""Which stations a recipe's kind asks, and what a vendor's image proves."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from build.doors import store
from build.errors import Unreachable, WorkFailed
from build.pin.images import ImageStore
from build.pin.locks import read_cuda_lock, read_debian_lock
from build.pin.model import PinnedImage, PinnedSource
from build.pin.packages import Packages
from build.pin.resolve import Resolver
from build.pin.source import Sources
from build.recipe.model import Family, Recipe, VendorSource
from build.recipe.refs import Digest
from tests.fakes import FakeBuilder, RecordingReporter
from tests.unit.pin.repositories import make_sources
from tests.unit.pin.test_patching import with_set
from tests.unit.plan.plans import PIN, RECIPE

ROOT = Path(__file__).resolve().parents[3]
IMAGE = f"vendor/engine@sha256:{'a' * 64}"
VENDORED: Recipe = replace(
    RECIPE,
    family=Family.PYTHON,
    patches=(),
    source=VendorSource(image=IMAGE, upstream="https://git.example.org/engine", version="0.20.0"),
)


def resolver(tmp_path: Path, *, answer: bool | Exception) -> Resolver:
    def registry_has(reference: str) -> bool:
        assert reference == IMAGE
        if isinstance(answer, Exception):
            raise answer
        return answer

    images = ImageStore(
        cache=tmp_path, templates=ROOT / "dockerfiles", builder=lambda: FakeBuilder(lambda *_: None),
        reporter=RecordingReporter(), registry_has=registry_has,
    )  # fmt: skip
    # No packages are asked for a vendor's image.
    return Resolver(
        sources=make_sources(tmp_path), packages=cast("Packages", None), images=images,
        toolchains=ROOT / "recipes" / "toolchains", patches=ROOT / "patches", base_mode="auto",
    )  # fmt: skip


def test_a_vendor_s_image_is_the_base_and_nothing_is_compiled(tmp_path: Path) -> None:
    made = resolver(tmp_path, answer=True)
    pin = made.resolve(VENDORED, known=None)
    assert (pin.base.digest, pin.base.origin, pin.toolchain) == (
        f"sha256:{'a' * 64}",
        f"registry: {IMAGE}",
        None,
    )
    assert (made.contexts(VENDORED, pin), made.layouts(VENDORED, pin)) == ((), ())
    made.prove(VENDORED, pin)


def test_a_known_vendor_s_image_is_not_asked_for_again(tmp_path: Path) -> None:
    pin = resolver(tmp_path, answer=True).resolve(VENDORED, known=None)
    assert resolver(tmp_path, answer=Unreachable("no route")).resolve(VENDORED, known=pin) == pin


@pytest.mark.processes
def test_a_patch_set_for_a_vendor_s_image_is_held_against_its_pin(tmp_path: Path) -> None:
    patching, asked = with_set(tmp_path, requires=("pandas",))
    made = replace(
        resolver(tmp_path, answer=True), sources=patching.sources, patches=patching.sources.patches
    )
    vendored = replace(VENDORED, patch_sets=asked.patch_sets)
    pin = made.resolve(vendored, known=None)
    made.prove(vendored, pin)
    ((_, folder),) = made.contexts(vendored, pin)
    (folder / "src/patches/wiring/m1.py").write_text("two")
    with pytest.raises(WorkFailed, match="was changed after it was pinned"):
        made.prove(vendored, pin)
    shutil.rmtree(folder)
    assert made.resolve(vendored, known=pin) == pin
    made.prove(vendored, pin)


def test_a_deleted_image_is_not_an_unreachable_registry(tmp_path: Path) -> None:
    with pytest.raises(WorkFailed, match=re.escape(f"mini: the registry answers and has no {IMAGE}")):
        resolver(tmp_path, answer=False).resolve(VENDORED, known=None)
    with pytest.raises(Unreachable, match="no route"):
        resolver(tmp_path, answer=Unreachable("no route")).resolve(VENDORED, known=None)


class Exports:
    """Sources whose every export is there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def folder(self, _source: PinnedSource) -> Path:
        return self._folder


def test_a_pin_with_the_toolchain_of_another_build_machine_is_resolved_anew(tmp_path: Path) -> None:
    made = resolver(tmp_path, answer=True)
    images = replace(made.images, platform="linux/arm64")
    cuda = read_cuda_lock(made.toolchains, RECIPE.toolchain.cuda)
    debian = read_debian_lock(made.toolchains)
    (named,) = images.toolchain_names(cuda, debian, mode="bootstrap")
    names = (named, "base")
    base = PinnedImage(
        lock="1" * 64,
        digest=Digest("sha256:" + "2" * 64),
        origin="bootstrapped: debian/bookworm",
        packages=(),
    )
    toolchain = replace(base, platform="linux/arm64", cross=named.rpartition("-")[2])
    for name, image in zip(names, (toolchain, base), strict=True):
        place = tmp_path / "images" / f"{name}-{'1' * 12}"
        store.write_artifact(place / "pinned.json", image)
        store.write_text(
            place / "layout" / "index.json", json.dumps({"manifests": [{"digest": str(image.digest)}]})
        )
    sources = cast("Sources", Exports(tmp_path))
    known = replace(PIN, toolchain=toolchain, base=base)
    there = replace(made, sources=sources, images=images)
    assert there._still_there(RECIPE, known)
    here = replace(made, sources=sources, images=replace(made.images, platform="linux/amd64"))
    assert not here._still_there(RECIPE, known)
    templates = shutil.copytree(made.images.templates, tmp_path / "templates")
    changed = replace(there, images=replace(images, templates=templates))
    assert changed._still_there(RECIPE, known)
    (templates / "cross.cmake").write_text("set(CMAKE_SYSTEM_NAME Linux)\n")
    assert not changed._still_there(RECIPE, known), "what a cross toolchain is also made from has changed"
