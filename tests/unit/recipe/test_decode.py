"""Files that are no text, and the values that good recipes become."""

import os
from pathlib import Path

import pytest

from build.errors import BadRecipes
from build.recipe.decode import decode, recipe_paths
from build.recipe.model import (
    CMakeOption,
    Driver,
    Family,
    GitSource,
    Healthcheck,
    LinkFix,
    PackagesSource,
    Recipe,
    SdistSource,
    SmokeModel,
    Variant,
)
from tests.unit.recipe.checkouts import DATA

GOOD = DATA / "good"


def one(name: str) -> Recipe:
    (recipe,) = decode([GOOD / f"{name}.yaml"], root=GOOD)
    return recipe


def refused(path: Path) -> list[str]:
    with pytest.raises(BadRecipes) as caught:
        decode([path], root=path.parent)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "x.yaml:1  is empty  hint: begin with 'name: ...'"),
        (b"name: x\ntitle: \xe9\n", "x.yaml:2  is not UTF-8: byte 0xe9  hint: save it as UTF-8"),
        (
            b"\xef\xbb\xbfname: x\n",
            "x.yaml:1  begins with a byte order mark  hint: save it as UTF-8 without one",
        ),
        (
            "name: x\n".encode("utf-16"),
            "x.yaml:1  begins with a byte order mark  hint: save it as UTF-8 without one",
        ),
        (b"name: x\nt: \x00\n", "x.yaml:2  holds U+0000 (control character)  hint: leave it out"),
        (b"name: x\rtitle: y\n", "x.yaml:1  holds U+000D (control character)  hint: leave it out"),
        (b"name: \x1b[31mx\n", "x.yaml:1  holds U+001B (control character)  hint: leave it out"),
        ("# a\u2028b: c\n".encode(), "x.yaml:1  holds U+2028 (line separator)  hint: leave it out"),
        (b"#" * 10_000_000, "x.yaml:1  is 10000000 bytes long  hint: a recipe has at most 262144"),
        (
            b"%YAML " + b"9" * 5000 + b".1\n---\na: b\n",
            "x.yaml:1  is not YAML: a number in it is out of range  hint: check escapes such as '\\U' in double quotes",
        ),
        (b"[" * 200_000, "x.yaml:1  is nested deeper than 20 levels  hint: no field of a recipe is"),
        (b"- " * 120_000, "x.yaml:1  is nested deeper than 20 levels  hint: no field of a recipe is"),
        (b"? " * 120_000, "x.yaml:1  is nested deeper than 20 levels  hint: no field of a recipe is"),
    ],
    ids=lambda value: "" if isinstance(value, bytes) else value[10:40],
)
def test_no_text(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(data)
    assert message in refused(path)


def test_no_regular_file(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    assert refused(path) == ["x.yaml:1  does not exist  hint: a recipe is one file in recipes/"]
    path.mkdir()
    assert refused(path) == ["x.yaml:1  is a directory  hint: a recipe is one file"]
    path.rmdir()
    path.symlink_to(GOOD / "minifork.yaml")
    assert refused(path) == ["x.yaml:1  is a symbolic link  hint: put the recipe itself there"]
    path.unlink()
    os.mkfifo(path)
    assert refused(path) == ["x.yaml:1  is not a regular file  hint: a recipe is one file in recipes/"]


def test_crlf_is_text(tmp_path: Path) -> None:
    path = tmp_path / "tagged.yaml"
    path.write_bytes((GOOD / "tagged.yaml").read_bytes().replace(b"\n", b"\r\n"))
    assert decode([path], root=tmp_path) == (one("tagged"),)


def test_shape_problems_of_several_files_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("name: a\n")
    (tmp_path / "b.yaml").write_text("- b\n")
    with pytest.raises(BadRecipes) as caught:
        decode([tmp_path / "b.yaml", tmp_path / "a.yaml"], root=tmp_path)
    assert {problem.file for problem in caught.value.problems} == {"a.yaml", "b.yaml"}
    assert str(caught.value) == "8 problems in the recipes"


def test_recipes_keep_the_order_of_their_paths() -> None:
    paths = [GOOD / "tagged.yaml", GOOD / "archive.yaml"]
    assert [recipe.name for recipe in decode(paths, root=GOOD)] == ["tagged", "archive"]


def test_recipe_paths_are_sorted_and_are_yaml(tmp_path: Path) -> None:
    (tmp_path / "recipes").mkdir()
    for name in ("b.yaml", "a.yaml", "recipe.schema.json", "c.yml"):
        (tmp_path / "recipes" / name).write_text("")
    assert [path.name for path in recipe_paths(tmp_path)] == ["a.yaml", "b.yaml"]


def test_values_stay_text() -> None:
    recipe = one("tagged")
    assert recipe.toolchain.cuda == "13.0"
    assert recipe.watch.tags == r"^v[0-9]+\.[0-9]+\.[0-9]+$"
    assert isinstance(recipe.source, GitSource)
    assert recipe.source.submodules is True


def test_a_whole_recipe() -> None:
    recipe = one("minifork")
    assert recipe.family is Family.LLAMA_CPP
    assert recipe.link_fix is LinkFix.STUB_RPATH_LINK
    assert recipe.cmake[0] == CMakeOption(name="MINI_CUDA", value="ON")
    assert recipe.cmake[2] == CMakeOption(
        name="MINI_BUILD_WEBUI", value="OFF", unused_ok="the option was named so until b40"
    )
    assert recipe.steps[0].cmake[1].value == "$ORIGIN/../lib"
    assert recipe.variants == (
        ("no-vmm", Variant(driver=Driver.NONE, cmake=(CMakeOption(name="MINI_CUDA_NO_VMM", value="ON"),))),
        ("sm89", Variant(architectures=("89-real",))),
    )
    assert recipe.runtime.env == (("MINI_ARG_HOST", "0.0.0.0"),)
    assert recipe.runtime.healthcheck == Healthcheck(path="/health", start_period_s=5, interval_s=10)
    assert recipe.smoke.model is SmokeModel.MINI
    assert recipe.patches[0].foundational is True


def test_the_other_kinds_of_source() -> None:
    assert isinstance(one("archive").source, SdistSource)
    assert one("wheels").source == PackagesSource(
        packages="packages/wheels.txt",
        application="wheels",
        upstream="https://git.example.org/wheels",
        version="0.11.0",
    )


def test_shorter_spellings() -> None:
    recipe = one("archive")
    assert recipe.runtime.healthcheck is None
    assert recipe.notes == ("One remark, folded over two lines.",)
    assert one("wheels").runtime.healthcheck == Healthcheck()


def test_every_key_has_its_line() -> None:
    origin = one("minifork").origin
    assert origin.file == "minifork.yaml"
    text = (GOOD / "minifork.yaml").read_text().splitlines()
    for key, word in {
        "cmake.MINI_BUILD_WEBUI.unused_ok": "MINI_BUILD_WEBUI",
        "patches.0.why": "why:",
        "serve.args.1": "args:",
        "smoke.endpoints.0.expect": "path: /props",
        "steps.0.cmake.MINI_TOOLS": "MINI_TOOLS",
        "variants.no-vmm.driver": "no-vmm",
        "watch.schedule": "watch:",
    }.items():
        assert word in text[origin.line(key) - 1], key
