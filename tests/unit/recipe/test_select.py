import pytest

from build.errors import NothingSelected
from build.recipe.decode import decode
from build.recipe.model import Recipe
from build.recipe.select import select
from tests.unit.recipe.checkouts import DATA


@pytest.fixture(name="recipes")
def good() -> tuple[Recipe, ...]:
    return decode(sorted((DATA / "good").glob("*.yaml")), root=DATA)


@pytest.mark.parametrize(
    ("patterns", "variant", "names"),
    [
        ((), "", ["archive", "minifork", "tagged", "wheels"]),
        (("wheels", "archive"), "", ["archive", "wheels"]),
        (("tagged", "tagged", "t*"), "", ["tagged"]),
        (("*e*",), "", ["archive", "tagged", "wheels"]),
        (("[mw]*",), "", ["minifork", "wheels"]),
        ((), "no-vmm", ["minifork"]),
        (("*",), "sm89", ["minifork"]),
        (("minifork",), "sm89", ["minifork"]),
    ],
)
def test_selection(
    recipes: tuple[Recipe, ...], patterns: tuple[str, ...], variant: str, names: list[str]
) -> None:
    assert [recipe.name for recipe in select(recipes, patterns, variant=variant)] == names


@pytest.mark.parametrize(
    ("patterns", "variant", "message", "hint"),
    [
        (("minfork",), "", "no recipe is named 'minfork'", "did you mean 'minifork'?"),
        (("tagged", "xx"), "", "no recipe is named 'xx'", "there are archive, minifork, tagged, wheels"),
        (("x*",), "", "no recipe matches 'x*'", "there are archive, minifork, tagged, wheels"),
        (("Minifork",), "", "no recipe is named 'Minifork'", "did you mean 'minifork'?"),
        (("minifork",), "sm98", "recipe minifork has no variant 'sm98'", "did you mean 'sm89'?"),
        (("tagged",), "sm89", "recipe tagged has no variant 'sm89'", "it has none"),
        (("*",), "no-vm", "no recipe has a variant 'no-vm'", "did you mean 'no-vmm'?"),
    ],
)
def test_nothing_selected(
    recipes: tuple[Recipe, ...], patterns: tuple[str, ...], variant: str, message: str, hint: str
) -> None:
    with pytest.raises(NothingSelected) as caught:
        select(recipes, patterns, variant=variant)
    assert (caught.value.message, caught.value.hint, caught.value.exit_code) == (message, hint, 3)


def test_no_recipes() -> None:
    with pytest.raises(NothingSelected, match="there are no recipes"):
        select((), ())
