from dataclasses import replace

import pytest

from build.errors import BadRequest
from build.recipe.decode import decode
from build.recipe.model import GitSource, Recipe
from build.recipe.naming import immutable_tag, looks_immutable, moving_tags
from build.recipe.placeholders import fill
from tests.unit.recipe.checkouts import DATA


@pytest.fixture(name="recipe")
def minifork() -> Recipe:
    (recipe,) = decode([DATA / "good" / "minifork.yaml"], root=DATA)
    return recipe


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("version: {build} ({commit7})", "version: 42 (0123456)"),
        ("{version}-{commit12}", "b42-0123456789ab"),
        ("{commit}", "0123456789abcdef0123456789abcdef01234567"),
        ('{"a": {build}}', '{"a": 42}'),
        ("plain", "plain"),
        ("{port}", "8080"),
    ],
)
def test_fill(recipe: Recipe, text: str, filled: str) -> None:
    assert fill(text, recipe, port="8080") == filled


def test_what_is_filled_in_is_not_read_again(recipe: Recipe) -> None:
    assert fill("{model}", recipe, model="{commit7}") == "{commit7}"


@pytest.mark.parametrize("text", ["{model}", "{Version}", "{commit6}", "{commit13}", "{__class__}"])
def test_unknown(recipe: Recipe, text: str) -> None:
    with pytest.raises(BadRequest) as caught:
        fill(text, recipe)
    assert caught.value.message == f"minifork: nothing is known for the placeholder {text}"


@pytest.mark.parametrize(
    ("version", "build"), [("b9261", "9261"), ("9261", "9261"), ("turboquant-kv-cache-b9019", "9019")]
)
def test_build_is_the_versions_one_number(recipe: Recipe, version: str, build: str) -> None:
    assert isinstance(recipe.source, GitSource)
    other = replace(recipe, source=replace(recipe.source, version=version))
    assert fill("{build}", other) == build


@pytest.mark.parametrize(("version", "number"), [("v0.1.2", "0.1.2"), ("0.11.0", "0.11.0")])
def test_number_is_a_dotted_version_without_its_letter(recipe: Recipe, version: str, number: str) -> None:
    assert isinstance(recipe.source, GitSource)
    assert fill("{number}", replace(recipe, source=replace(recipe.source, version=version))) == number


@pytest.mark.parametrize("version", ["b42", "v1", "x0.1.2", "v0.1.2-rc1"])
def test_another_version_has_no_number(recipe: Recipe, version: str) -> None:
    assert isinstance(recipe.source, GitSource)
    with pytest.raises(BadRequest):
        fill("{number}", replace(recipe, source=replace(recipe.source, version=version)))


def test_a_release_has_no_build(recipe: Recipe) -> None:
    assert isinstance(recipe.source, GitSource)
    with pytest.raises(BadRequest):
        fill("{build}", replace(recipe, source=replace(recipe.source, version="v0.1.2")))


def test_tags(recipe: Recipe) -> None:
    assert immutable_tag(recipe, "", "0123456789abcdef") == "b42-cu130-sm120a-0123456789ab"
    assert immutable_tag(recipe, "no-vmm", "0123456789abcdef") == "b42-cu130-sm120a-no-vmm-0123456789ab"
    assert moving_tags(recipe, "sm89") == ("latest-sm89", "b42-sm89")


def test_architectures_in_a_tag_are_named_once(recipe: Recipe) -> None:
    both = replace(recipe.toolchain, architectures=("89-real", "120a-real", "120a-virtual"))
    tag = immutable_tag(replace(recipe, toolchain=both), "", "0" * 12)
    assert tag == "b42-cu130-sm89-120a-000000000000"
    assert looks_immutable(tag)


@pytest.mark.parametrize("tag", ["latest", "b42", "b42-cu130", "b42-cu130-sm120a", "x-0123456789ab"])
def test_moving_tags_do_not_look_immutable(tag: str) -> None:
    assert not looks_immutable(tag)
