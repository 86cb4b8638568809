from dataclasses import replace

import pytest

from build.errors import NothingSelected
from build.recipe.decode import decode
from build.recipe.effective import effective, variant_names
from build.recipe.model import CMakeOption, Driver, LinkFix, Recipe, Variant
from tests.unit.recipe.checkouts import DATA


@pytest.fixture(name="recipe")
def minifork() -> Recipe:
    (recipe,) = decode([DATA / "good" / "minifork.yaml"], root=DATA)
    return recipe


def test_names(recipe: Recipe) -> None:
    assert variant_names(recipe) == ("", "no-vmm", "sm89")


def test_no_variant_is_the_recipe_itself(recipe: Recipe) -> None:
    assert effective(recipe, "") is recipe


def test_no_driver_means_no_link_fix(recipe: Recipe) -> None:
    merged = effective(recipe, "no-vmm")
    assert merged.toolchain.driver is Driver.NONE
    assert merged.link_fix is LinkFix.NONE
    assert merged.cmake == (*recipe.cmake, CMakeOption(name="MINI_CUDA_NO_VMM", value="ON"))
    assert merged.steps == recipe.steps


def test_architectures_are_replaced(recipe: Recipe) -> None:
    merged = effective(recipe, "sm89")
    assert merged.toolchain.architectures == ("89-real",)
    assert merged.link_fix is recipe.link_fix
    assert merged.cmake == recipe.cmake


def test_options_are_replaced_in_place_and_in_every_step(recipe: Recipe) -> None:
    other = Variant(
        cmake=(
            CMakeOption(name="MINI_TOOLS", value="OFF"),
            CMakeOption(name="MINI_NATIVE", value="x"),
            CMakeOption(name="NEW", value="1"),
        )
    )
    merged = effective(replace(recipe, variants=(("other", other),)), "other")
    assert [option.name for option in merged.cmake] == [*(option.name for option in recipe.cmake), "NEW"]
    assert {option.name: option.value for option in merged.cmake}["MINI_NATIVE"] == "x"
    assert merged.steps[0].cmake[0].value == "OFF"


@pytest.mark.parametrize(
    ("name", "hint"),
    [("no-vm", "did you mean 'no-vmm'?"), ("xyz", "its variants are no-vmm, sm89")],
)
def test_unknown_variant(recipe: Recipe, name: str, hint: str) -> None:
    with pytest.raises(NothingSelected, match=f"recipe minifork has no variant '{name}'") as caught:
        effective(recipe, name)
    assert caught.value.hint == hint
    assert caught.value.exit_code == 3
