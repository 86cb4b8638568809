"""What is wrong between a recipe and the disk, or between two recipes."""

import os
from pathlib import Path

import pytest

from build.errors import BadRecipes, Problem
from build.recipe.check import check
from tests.unit.recipe.checkouts import DATA, Checkout

GOOD = sorted(path.stem for path in (DATA / "good").glob("*.yaml"))


def problems(root: Path) -> tuple[Problem, ...]:
    with pytest.raises(BadRecipes) as caught:
        check(root)
    return caught.value.problems


def lines(root: Path) -> list[str]:
    return [str(problem) for problem in problems(root)]


def good(name: str = "tagged") -> str:
    return (DATA / "good" / f"{name}.yaml").read_text(encoding="utf-8")


def test_good_recipes_pass_together(checkout: Checkout) -> None:
    recipes = check(checkout(*(f"good/{name}" for name in GOOD)))
    assert [recipe.name for recipe in recipes] == GOOD


def test_an_empty_checkout_has_no_recipes(tmp_path: Path) -> None:
    assert check(tmp_path) == ()


def test_no_lock_at_all(checkout: Checkout) -> None:
    root = checkout("good/tagged")
    for lock in (root / "recipes" / "toolchains").iterdir():
        lock.unlink()
    assert lines(root) == [
        (
            "recipes/tagged.yaml:12  toolchain.cuda  CUDA 13.0 has no lock recipes/toolchains/cuda-13.0.txt"
            "  hint: there is no lock at all"
        )
    ]


@pytest.mark.parametrize(("nvcc", "fine"), [("13.2.51", False), ("13.2.78", False), ("13.2.86", True)])
def test_the_compilers_that_miscompile(checkout: Checkout, nvcc: str, *, fine: bool) -> None:
    root = checkout(tagged=good().replace("cuda: 13.0", "cuda: '13.2'"))
    lock = root / "recipes" / "toolchains" / "cuda-13.2.txt"
    lock.write_text(f"# nvidia-cuda-nvcc==13.2.78 was not good\nnvidia-cuda-nvcc=={nvcc} \\\n")
    if fine:
        assert [recipe.name for recipe in check(root)] == ["tagged"]
    else:
        assert lines(root) == [
            (
                f"recipes/tagged.yaml:12  toolchain.cuda  nvcc {nvcc} miscompiles IQ1_S, IQ2_S and IQ3_S"
                " (https://github.com/ggml-org/llama.cpp/issues/28581)  hint: 13.0, 13.1, 13.2.86 and 13.3 do not"
            )
        ]


def test_patch_on_disk_but_not_listed(checkout: Checkout) -> None:
    root = checkout("good/minifork")
    (root / "patches" / "minifork" / "0002-forgotten.patch").write_text("")
    assert lines(root) == [
        (
            "recipes/minifork.yaml:31  patches  patches/minifork/0002-forgotten.patch lies there and is not listed"
            "  hint: list it, or delete the file"
        )
    ]


def test_patch_listed_twice(checkout: Checkout) -> None:
    again = "  - {file: minifork/0001-name.patch, why: once more}\nvariants:"
    root = checkout("good/minifork", minifork=good("minifork").replace("variants:", again))
    assert lines(root) == [
        (
            "recipes/minifork.yaml:37  patches.1.file  'minifork/0001-name.patch' is listed twice"
            "  hint: apply it once"
        )
    ]


def test_patch_misspelt(checkout: Checkout) -> None:
    root = checkout("good/minifork", minifork=good("minifork").replace("0001-name", "0001-nmae"))
    assert lines(root) == [
        (
            "recipes/minifork.yaml:31  patches  patches/minifork/0001-name.patch lies there and is not listed"
            "  hint: list it, or delete the file"
        ),
        (
            "recipes/minifork.yaml:32  patches.0.file  patches/minifork/0001-nmae.patch does not exist"
            "  hint: did you mean 'minifork/0001-name.patch'?"
        ),
    ]


def test_patch_that_is_a_link(checkout: Checkout, tmp_path: Path) -> None:
    root = checkout("good/minifork")
    patch = root / "patches" / "minifork" / "0001-name.patch"
    patch.unlink()
    patch.symlink_to("/etc/passwd")
    assert lines(root) == [
        (
            "recipes/minifork.yaml:32  patches.0.file  patches/minifork/0001-name.patch does not exist"
            "  hint: put the file there; a link does not count"
        )
    ]


def test_patch_of_no_recipe(checkout: Checkout) -> None:
    root = checkout("good/tagged")
    (root / "patches" / "taged").mkdir(parents=True)
    (root / "patches" / "taged" / "0001-x.patch").write_text("")
    assert lines(root) == [
        "patches/taged/0001-x.patch:1  belongs to no recipe  hint: patches lie in patches/<recipe>/"
    ]


def test_two_recipes_with_one_name(checkout: Checkout) -> None:
    root = checkout("good/tagged", twin=good())
    assert lines(root) == [
        "recipes/twin.yaml:1  name  'tagged' is not the file's name  hint: write twin, or rename the file",
        "recipes/twin.yaml:1  name  'tagged' is the name of recipes/tagged.yaml too  hint: choose another",
    ]


def with_tags(name: str, tags: str, more: str = "") -> str:
    text = good().replace("name: tagged", f"name: {name}")
    return text.replace("{repository: tagged}", f"{{repository: shared, tags: {tags}}}") + more


def test_two_recipes_with_one_moving_tag(checkout: Checkout) -> None:
    root = checkout(one=with_tags("one", "[latest]"), two=with_tags("two", "[stable, latest]"))
    assert lines(root) == [
        "recipes/two.yaml:4  image.tags.1  shared:latest is also moved by recipes/one.yaml  hint: one image a tag"
    ]


def test_placeholders_are_filled_in_before_tags_are_compared(checkout: Checkout) -> None:
    root = checkout(one=with_tags("one", "[v0.1.2]"), two=with_tags("two", "['{version}']"))
    assert lines(root) == [
        "recipes/two.yaml:4  image.tags.0  shared:v0.1.2 is also moved by recipes/one.yaml  hint: one image a tag"
    ]


def test_a_variants_tag_is_compared_too(checkout: Checkout) -> None:
    variants = "variants: {sm89: {architectures: [89-real]}}\n"
    root = checkout(one=with_tags("one", "[latest]", variants), two=with_tags("two", "[latest-sm89]"))
    assert lines(root) == [
        (
            "recipes/two.yaml:4  image.tags.0  shared:latest-sm89 is also moved by recipes/one.yaml"
            "  hint: one image a tag"
        )
    ]


def test_a_variants_tag_beside_the_recipes_own(checkout: Checkout) -> None:
    variants = "variants: {sm89: {architectures: [89-real]}}\n"
    root = checkout(one=with_tags("one", "[latest, latest-sm89]", variants))
    assert lines(root) == [
        "recipes/one.yaml:4  image.tags.1  shared:latest-sm89 is also moved by variant sm89  hint: one image a tag"
    ]


def test_a_package_lock_must_be_there(checkout: Checkout) -> None:
    root = checkout("good/wheels")
    (root / "recipes" / "packages" / "wheels.txt").unlink()
    assert lines(root) == [
        (
            "recipes/wheels.yaml:5  source.packages  recipes/packages/wheels.txt does not exist"
            "  hint: `nox -s pins` writes it from the .in file beside it"
        )
    ]


def test_a_recipe_with_another_suffix_is_not_overlooked(checkout: Checkout) -> None:
    root = checkout("good/tagged")
    (root / "recipes" / "other.yml").write_text(good())
    assert lines(root) == ["recipes/other.yml:1  is not read  hint: a recipe's file name ends in .yaml"]


def test_problems_come_file_by_file_and_top_down(checkout: Checkout) -> None:
    root = checkout("broken/empty-value", "broken/key-unknown", mixed="titel: x\nname: other\nport: 1\n")
    found = [(problem.file, problem.line) for problem in problems(root)]
    assert found == sorted(found)
    assert len({file for file, _ in found}) == 3


def test_a_fault_in_one_field_does_not_hide_the_others(checkout: Checkout) -> None:
    text = (
        good()
        .replace("name: tagged", "nmae: tagged")
        .replace("[120a]", "[native]")
        .replace("weekly", "dayly")
    )
    root = checkout(tagged=text.replace("{version:", "{verison:"))
    assert [problem.key for problem in problems(root)] == [
        "nmae",
        "watch.schedule",
        "toolchain.architectures.0",
        "smoke.verison",
    ]


def test_a_recipe_that_may_not_be_read(checkout: Checkout) -> None:
    root = checkout("good/tagged")
    (root / "recipes" / "tagged.yaml").chmod(0)
    if os.access(root / "recipes" / "tagged.yaml", os.R_OK):
        pytest.skip("root may read everything")
    assert lines(root) == [
        "recipes/tagged.yaml:1  cannot be read: Permission denied  hint: check its permissions"
    ]


def test_a_file_name_is_shown_so_that_it_can_be_printed(checkout: Checkout) -> None:
    root = checkout(**{"x\x1b[31m\n": good()})
    assert all(line.isprintable() for line in lines(root))
    assert r"recipes/x\x1b[31m\n.yaml:1" in lines(root)[0]
