"""One broken recipe a fault, in tests/data/recipes/broken; every message is in expected.txt, word for word.

All of them lie in one checkout and are reported in one go. `pytest --update-golden` writes expected.txt anew; the diff
is the review.
"""

import pytest

from build.errors import BadRecipes, Problem
from build.recipe.check import check
from tests.unit.recipe.checkouts import DATA, lay_out

BROKEN = sorted(path.stem for path in (DATA / "broken").glob("*.yaml"))
EXPECTED = DATA / "broken" / "expected.txt"


@pytest.fixture(name="report", scope="module")
def one_report(tmp_path_factory: pytest.TempPathFactory) -> tuple[Problem, ...]:
    root = lay_out(tmp_path_factory.mktemp("broken"), *(f"broken/{fault}" for fault in BROKEN))
    with pytest.raises(BadRecipes) as caught:
        check(root)
    assert caught.value.exit_code == 2
    return caught.value.problems


def test_expected_messages_are_up_to_date(report: tuple[Problem, ...], *, update_golden: bool) -> None:
    found = "".join(f"{problem}\n" for problem in report)
    if update_golden:
        EXPECTED.write_text(found, encoding="utf-8")
    assert found == EXPECTED.read_text(encoding="utf-8")


@pytest.mark.parametrize("fault", BROKEN)
def test_fault_is_reported_with_the_way_out(report: tuple[Problem, ...], fault: str) -> None:
    problems = [problem for problem in report if problem.file == f"recipes/{fault}.yaml"]
    assert problems
    for problem in problems:
        assert problem.message
        assert problem.hint
        assert f"{problem}\n" in EXPECTED.read_text(encoding="utf-8")


def test_a_fault_alone_has_exit_code_2(tmp_path_factory: pytest.TempPathFactory) -> None:
    for fault in ("commit-short", "yaml-tab", "yaml-deep", "option-duplicate"):
        with pytest.raises(BadRecipes) as caught:
            check(lay_out(tmp_path_factory.mktemp(fault), f"broken/{fault}"))
        assert (caught.value.exit_code, len(caught.value.problems)) == (2, 1)
