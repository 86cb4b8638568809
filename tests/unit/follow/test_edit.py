"""A new pin in a recipe's text: the pin's values and not one byte more."""

import difflib
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from build.errors import BadRequest
from build.follow.edit import edited, literal_tags, mentions, pin_values
from build.recipe.decode import read
from build.recipe.model import PackagesSource, Recipe
from tests.unit.follow.making import git_recipe

ROOT = Path(__file__).parents[3]
RECIPES = {path.stem: path.read_text() for path in sorted((ROOT / "recipes").glob("*.yaml"))}
NEW = {"source.commit": "1" * 39 + "a", "source.version": "v2"}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("source:\n  commit: abc # why\n  version: v1\n", f"source:\n  commit: {'1' * 39}a # why\n  version: v2\n"),
        ("source: {version: 'v1', commit: \"abc\"}\n", f"source: {{version: 'v2', commit: \"{'1' * 39}a\"}}\n"),
        ("source:\r\n  version: v1\r\n  commit: abc\r\n", f"source:\r\n  version: v2\r\n  commit: {'1' * 39}a\r\n"),
        ("source:\n  version:\n    v1\n\n  commit: >\n    abc\nx: y\n", f"source:\n  version:\n    v2\n\n  commit: {'1' * 39}a\nx: y\n"),
        ("# commit: abc\nsource:\n    commit:   abc\n    # version: v1\n    version:  v1", f"# commit: abc\nsource:\n    commit:   {'1' * 39}a\n    # version: v1\n    version:  v2"),
    ],
)  # fmt: skip
def test_however_it_is_written(before: str, after: str) -> None:
    assert edited(before, NEW) == after


@pytest.mark.parametrize(
    ("value", "written"),
    [("1.10", '"1.10"'), ("20260101", '"20260101"'), ("1e5", '"1e5"'), ("2026-01-01", '"2026-01-01"'), ("no", '"no"'),
     ("b9400", "b9400"), ("v1.2", "v1.2"), ("1.2.3-rc1", "1.2.3-rc1")],
)  # fmt: skip
def test_quotes_where_yaml_would_read_no_text(value: str, written: str) -> None:
    assert edited("source:\n  version: b1\n", {"source.version": value}) == f"source:\n  version: {written}\n"


def test_a_value_that_is_not_there() -> None:
    with pytest.raises(BadRequest, match=re.escape("source.version is not written as one value")):
        edited("source: {commit: abc}\n", NEW)


COMMITS = st.text("0123456789abcdef", min_size=40, max_size=40)
VERSIONS = st.one_of(
    st.integers(1, 99999).map(lambda number: f"b{number}"),
    st.tuples(st.integers(0, 20), st.integers(0, 20)).map(lambda pair: f"v{pair[0]}.{pair[1]}"),
    st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,20}", fullmatch=True),
)


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(sorted(RECIPES)),
    bumps=st.lists(st.tuples(COMMITS, VERSIONS), min_size=50, max_size=50),
    returns=st.booleans(),
)
def test_fifty_bumps_change_the_pin_s_lines_alone(
    name: str, bumps: list[tuple[str, str]], tmp_path: Path, *, returns: bool
) -> None:
    original = RECIPES[name].replace("\n", "\r\n") if returns else RECIPES[name]
    text = original
    for commit, version in bumps:
        text = edited(text, {"source.commit": commit, "source.version": version})
    assert text.endswith(original[-200:]), "the rest of the file is there"
    changed = [line for line in difflib.ndiff(original.split("\n"), text.split("\n")) if line[0] in "+-"]
    keys = {line[2:].partition(":")[0].strip() for line in changed}
    assert keys <= {"commit", "version"}
    assert len(changed) <= 4
    assert original.count("\n") == text.count("\n")
    now, then = (decoded(words, name, tmp_path).source for words in (text, original))
    commit, version = bumps[-1]
    assert pin_values(now) == {**pin_values(then), "source.commit": commit, "source.version": version}


def decoded(text: str, name: str, folder: Path) -> Recipe:
    path = folder / f"{name}.yaml"
    path.write_bytes(text.encode())
    draft = read(path, root=folder)
    assert draft.problems == ()
    assert draft.recipe
    return draft.recipe


def test_lines_that_still_name_the_old_pin() -> None:
    text = (
        "title: My fork v0.1.2\n"
        "source:\n"
        "  # v0.1.2 of May\n"
        "  commit: aaaa\n"
        "  version: v0.2.0\n"
        "notes:\n"
        "  - since 0.1.2 there is x\n"
        "  - not v0.1.20, not 10.1.2, not v0.1.2.1\n"
        f"  - at {'0' * 9} it was fine\n"
    )
    found = mentions(text, git_recipe(version="v0.1.2").source)
    assert [(one.line, one.holds) for one in found] == [
        (1, "v0.1.2"),
        (3, "v0.1.2"),
        (7, "0.1.2"),
        (9, "0" * 9),
    ]


def test_tags_that_a_person_wrote_out(tmp_path: Path) -> None:
    assert literal_tags(decoded(RECIPES["buun"], "buun", tmp_path)) == ("0.2.0",)
    assert literal_tags(decoded(RECIPES["minifork"], "minifork", tmp_path)) == ()


def test_locked_wheels_have_a_version_alone() -> None:
    assert pin_values(
        PackagesSource(
            packages="x.txt", application="mini", upstream="https://git.example.org/mini", version="1"
        )
    ) == {"source.version": "1"}
