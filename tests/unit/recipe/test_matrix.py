from dataclasses import replace

import pytest

from build.doors import store
from build.errors import NothingSelected
from build.recipe.matrix import matrix
from build.recipe.model import Recipe, Toolchain, Variant, Watch
from tests.unit.publish.images import make_plan

ONE = replace(
    make_plan().recipe,
    toolchain=Toolchain(cuda="13.0", architectures=("120a-real", "89-real")),
    variants=(("sm86", Variant(architectures=("86-real",))),),
)
TWO = replace(ONE, name="two", variants=(), watch=Watch(enabled=False, reason="a person chooses"))


def names(*recipes: Recipe, variants: bool = False, watched: bool = False) -> list[str]:
    return [job.name for job in matrix(recipes, variants=variants, watched=watched).include]


def test_a_job_holds_plain_values_as_a_matrix_needs_them() -> None:
    (job,) = store.to_data(matrix((ONE,), variant="sm86"))["include"]
    assert job == {
        "recipe": "mini", "variant": "sm86", "name": "mini+sm86", "repository": "minifork", "version": "1.0",
        "cuda": "13.0", "architectures": "86-real",
    }  # fmt: skip
    assert matrix((ONE,)).include[0].architectures == "120a-real;89-real"


def test_one_job_a_recipe_or_one_an_image() -> None:
    assert names(ONE, TWO) == ["mini", "two"]
    assert names(ONE, TWO, variants=True) == ["mini", "mini+sm86", "two"]


def test_what_is_not_followed_can_be_left_out() -> None:
    assert names(ONE, TWO, watched=True) == ["mini"]
    with pytest.raises(NothingSelected) as caught:
        matrix((TWO,), watched=True)
    assert caught.value.message == "none of the selected recipes is watched"
