"""Every recipe's Dockerfile and bake file, compared with the committed text. `--update-golden` rewrites; the diff is the review.

The pin is a stand-in: digests are zeros, the toolchain's lock is the tree's, so nothing but the tree is needed.
"""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from build.doors import store
from build.doors.templates import render
from build.pin.images import ImageStore
from build.pin.locks import read_cuda_lock, read_debian_lock
from build.pin.making import Maker
from build.pin.packages import INSTALLER, LAYERS
from build.plan.plan import Places, make_plan, unpinned
from build.recipe.check import check
from build.recipe.effective import effective, variant_names
from build.recipe.model import Recipe
from build.recipe.naming import directory_name
from tests.fakes import FakeBuilder, RecordingReporter

ROOT = Path(__file__).parents[2]
GOLDEN = Path(__file__).parent
TEMPLATES = ROOT / "dockerfiles"
TOOLCHAINS = ROOT / "recipes" / "toolchains"
NAMES = ("Dockerfile", "docker-bake.json")
IMAGES = (
    "toolchain",
    "toolchain-cross",
    "debian-cross",
    "debian-registry",
    "debian-bootstrap",
    "debian-snapshot",
)
CASES = [(recipe, variant) for recipe in check(ROOT) for variant in variant_names(recipe)]
COMPILED = (("source", "sources/0"),)
WHEELED = tuple((f"wheels-{name}", f"wheels/packages-0/{name}") for name in (INSTALLER, *LAYERS))
HINT = "review the difference, then: .venv/bin/pytest tests/golden --update-golden"


def name(case: tuple[Recipe, str]) -> str:
    return directory_name(case[0].name, case[1])


def toolchain_lock(recipe: Recipe) -> str:
    if not recipe.family.compiles:
        return ""
    images = ImageStore(
        cache=GOLDEN / "nowhere", templates=TEMPLATES, builder=lambda: FakeBuilder(lambda *_: None),
        reporter=RecordingReporter(), registry_has=lambda _: False,
    )  # fmt: skip
    return images.toolchain_lock(
        read_cuda_lock(TOOLCHAINS, recipe.toolchain.cuda), read_debian_lock(TOOLCHAINS)
    )


def rendered(recipe: Recipe, variant: str) -> dict[str, str]:
    """Render one image as `render` does where nothing was resolved."""
    whole = effective(recipe, variant)
    folder = f"out/{directory_name(recipe.name, variant)}"
    images = Path(".cache/ingot/images")
    pin = unpinned(whole, toolchain_lock=toolchain_lock(whole), base_lock="0" * 64)
    places = Places(
        root=ROOT, out=Path(folder),
        folders=[(name, Path(".cache/ingot") / path) for name, path in (COMPILED if pin.toolchain else WHEELED)],
        layouts=[
            (name, images / name / "layout", pin.base.digest)
            for name in (("toolchain", "base") if pin.toolchain else ("base",))
        ],
    )  # fmt: skip
    files = dict(make_plan(whole, variant, pin, templates=TEMPLATES, places=places).files)
    return {file: files[file] for file in NAMES}


def image_files() -> Iterator[tuple[str, str]]:
    """Render the images that every build starts from."""
    lock = read_debian_lock(TOOLCHAINS)
    for name_, cross in (("toolchain", False), ("toolchain-cross", True)):
        yield name_, render(TEMPLATES, "toolchain.Dockerfile.j2", cuda="13.0", cross=cross)
    snapshot = "http://snapshot.example.org/archive/debian/20261101T000000Z"
    for image, origin, moment, packages in (
        ("registry", "registry", "", lock.toolchain_packages),
        ("bootstrap", "bootstrap", "", lock.toolchain_packages),
        ("snapshot", "registry", snapshot, lock.toolchain_packages),
        ("cross", "registry", "", lock.cross_packages),
    ):
        maker = Maker(
            cache=GOLDEN / "nowhere", templates=TEMPLATES, builder=lambda: FakeBuilder(lambda *_: None),
            reporter=RecordingReporter(), custody=None, snapshot=moment,
        )  # fmt: skip
        yield f"debian-{image}", maker.debian_file(origin, lock, packages)


def compare(path: Path, text: str, *, update: bool) -> None:
    if update:
        store.write_text(path, text)
    assert path.exists(), f"{path.relative_to(ROOT)} is not there yet; {HINT}"
    assert text == path.read_text(encoding="utf-8"), HINT


@pytest.mark.parametrize("case", CASES, ids=name)
def test_a_recipe_is_rendered_as_it_was_reviewed(case: tuple[Recipe, str], *, update_golden: bool) -> None:
    for file, text in rendered(*case).items():
        compare(GOLDEN / name(case) / file, text, update=update_golden)


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_to_start_from_is_rendered_as_it_was_reviewed(image: str, *, update_golden: bool) -> None:
    compare(GOLDEN / f"{image}.Dockerfile", dict(image_files())[image], update=update_golden)


def test_nothing_stale_lies_here(*, update_golden: bool) -> None:
    wanted = {name(case) for case in CASES} | {f"{image}.Dockerfile" for image in IMAGES} | {"report"}
    there = {
        path.name
        for path in GOLDEN.iterdir()
        if not path.name.startswith((".", "_")) and path.suffix != ".py"
    }
    for stale in there - wanted if update_golden else ():
        path = GOLDEN / stale
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        there.discard(stale)
    assert there == wanted, HINT


@pytest.mark.parametrize("case", CASES, ids=name)
def test_a_rendered_file_names_nothing_of_this_machine(case: tuple[Recipe, str]) -> None:
    for text in rendered(*case).values():
        assert str(ROOT) not in text
        assert str(Path.home()) + "/" not in text
        assert not re.search(r"[ \t]+$", text, re.MULTILINE), "blanks at the end of a line"
        assert text.endswith("\n")
        assert not re.search(r"\{[{%]|[%}]\}", text.replace("}}}", "").replace("}}", "")), "half a template"
