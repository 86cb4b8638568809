from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from build.follow.draft import Origin, draft, version_of
from build.follow.survey import Option, Survey
from build.recipe.check import check
from build.recipe.model import Driver, LinkFix, Recipe, SmokeModel
from build.recipe.refs import Commit

COMMIT = Commit("0123456789abcdef0123456789abcdef01234567")
ORIGIN = Origin(
    name="fork", url="https://github.com/owner/fork.git", commit=COMMIT, version="b42", branch="main"
)
FOUND = Survey(
    has_project=True,
    options=(
        Option(name="GGML_CUDA", help="", default="OFF"),
        Option(name="GGML_CUDA_NO_VMM", help="", default="OFF"),
        Option(name="GGML_NATIVE", help="", default="ON"),
        Option(name="LLAMA_FETCH_THINGS", help="get {{ 'things' }} $(now)", default="ON"),
        Option(name="LLAMA_BUILD_NUMBER", help="", default=""),
        Option(name="LLAMA_BUILD_COMMIT", help="", default=""),
        Option(name="LLAMA_OTHER", help="", default="ON"),
    ),
    projects=(),
    servers=("llama-server",),
    links_driver=True,
    is_llama=True,
    host_variable="LLAMA_ARG_HOST",
    licence="MIT",
)
NOTHING = Survey(
    has_project=False,
    options=(),
    projects=(),
    servers=(),
    links_driver=False,
    is_llama=False,
    host_variable="",
    licence="",
)

Read = Callable[[str], Recipe]


@pytest.fixture(name="read")
def reader(tmp_path: Path) -> Read:
    """Read a draft as `check` does."""
    (tmp_path / "recipes" / "toolchains").mkdir(parents=True)
    (tmp_path / "recipes" / "toolchains" / "cuda-13.0.txt").write_text("nvidia-cuda-nvcc==13.0.88 \\\n")

    def read(text: str) -> Recipe:
        (tmp_path / "recipes" / "fork.yaml").write_text(text)
        (recipe,) = check(tmp_path)
        return recipe

    return read


def test_what_is_known_is_written(read: Read) -> None:
    recipe = read(draft(ORIGIN, FOUND).text)
    assert (recipe.watch.branch, recipe.source.version) == ("main", "b42")
    assert recipe.toolchain.driver is Driver.LINKED
    assert recipe.link_fix is LinkFix.STUB_RPATH_LINK
    assert {option.name: option.value for option in recipe.cmake} == {
        "GGML_CUDA": "ON",
        "GGML_CUDA_NO_VMM": "OFF",
        "GGML_NATIVE": "OFF",
        "LLAMA_FETCH_THINGS": "OFF",
        "LLAMA_BUILD_NUMBER": "{build}",
        "LLAMA_BUILD_COMMIT": "{commit9}",
        "GGML_CUDA_CUB_3DOT2": "OFF",
    }
    assert [name for name, _ in recipe.variants] == ["no-vmm", "sm89"]
    assert recipe.targets == ("llama-server",)
    assert recipe.runtime.entrypoint == ("/app/llama-server",)
    assert recipe.runtime.env == (("LLAMA_ARG_HOST", "0.0.0.0"),)
    assert recipe.smoke.model is SmokeModel.GGUF_LLAMA
    assert recipe.smoke.version == "version: {build} ({commit9})"


def test_what_is_known_need_not_be_decided() -> None:
    assert [line.partition(":")[0] for line in draft(ORIGIN, FOUND).decisions] == [
        "image",
        "serve.args",
        "toolchain.architectures and variants",
    ]


def marked(text: str) -> list[str]:
    """Return the lines below the marks."""
    lines = [line.strip() for line in text.splitlines()]
    return [below.partition(":")[0] for line, below in pairwise(lines) if "# DECIDE:" in line]


def test_what_is_to_be_decided_is_marked_in_the_file(read: Read) -> None:
    known = ["repository", "architectures", "serve", "# notes"]
    assert marked(draft(ORIGIN, FOUND).text) == known
    made = draft(replace(ORIGIN, version="012345678"), FOUND)
    read(made.text)
    assert marked(made.text) == [
        "repository",
        "version",
        "architectures",
        "LLAMA_BUILD_NUMBER",
        "serve",
        "# notes",
    ]


def test_a_tree_that_says_nothing_still_passes_check(read: Read) -> None:
    origin = replace(ORIGIN, version="012345678", branch="")
    made = draft(origin, NOTHING)
    recipe = read(made.text)
    assert not recipe.watch.enabled
    assert recipe.smoke.model is SmokeModel.NONE
    assert [line.partition(":")[0] for line in made.decisions] == [
        "image",
        "serve.args",
        "source.version",
        "watch",
        "family",
        "targets, runtime.entrypoint",
        "cmake",
        "toolchain.driver",
        "runtime.env or serve.args",
        "licence",
        "smoke.model",
        "toolchain.architectures and variants",
    ]


def test_release_tags_are_followed_by_their_form(read: Read) -> None:
    recipe = read(draft(replace(ORIGIN, branch="", tag="v0.1.2", version="v0.1.2"), FOUND).text)
    assert recipe.watch.tags == "^v[0-9]+[.][0-9]+[.][0-9]+$"
    assert {option.name: option.value for option in recipe.cmake}["LLAMA_BUILD_NUMBER"] == "0"


def test_further_projects_and_submodules_are_named(read: Read) -> None:
    made = draft(replace(ORIGIN, submodules=("deps/a at 012345678 of https://x.invalid/a",)),
                 replace(FOUND, projects=("tools", "apps/one")))  # fmt: skip
    recipe = read(made.text)
    assert getattr(recipe.source, "submodules", None) is True
    assert "#   - {name: apps-one, dir: apps/one}\n" in made.text
    assert "# deps/a at 012345678 of https://x.invalid/a\n" in made.text


@pytest.mark.parametrize(
    "strange", ["a\nruntime: {user: '0:0'}", "\x1b[31m", "\u2028x", "x" * 5000, "{{ 7*7 }}", "#\t"]
)
def test_words_from_upstream_stay_words(read: Read, strange: str) -> None:
    option = Option(name="X_FETCH", help=strange, default="ON")
    found = replace(FOUND, options=(*FOUND.options, option), projects=(strange,))
    plain = read(draft(ORIGIN, FOUND).text)
    recipe = read(draft(replace(ORIGIN, submodules=(strange,)), found).text)
    assert recipe.runtime == plain.runtime
    assert recipe.steps == ()


@pytest.mark.parametrize(
    ("tags", "version"),
    [
        ((), "012345678"),
        (("latest", "v1.2", "b9261"), "b9261"),
        (("stable", "v1.2"), "v1.2"),
        (("stable",), "stable"),
        (("release/1", "x" * 80), "012345678"),
    ],
)
def test_version(tags: tuple[str, ...], version: str) -> None:
    assert version_of(COMMIT, tags) == version
