"""The committed schema is the generated one, and says yes and no where the decoder does."""

import re
from pathlib import Path

import jsonschema
import pytest
import yaml

from build.recipe.decode import recipe_paths
from build.recipe.schema import schema, text, write
from tests.unit.recipe.checkouts import DATA

ROOT = Path(__file__).parents[3]
COMMITTED = ROOT / "recipes" / "recipe.schema.json"
RECIPES = [*sorted((DATA / "good").glob("*.yaml")), *recipe_paths(ROOT)]


class Core(yaml.SafeLoader):
    """YAML 1.2's core schema, which editors read by: ON is text."""


Core.yaml_implicit_resolvers = {}
Core.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^(true|false)$"), list("tf"))
Core.add_implicit_resolver("tag:yaml.org,2002:int", re.compile("^[0-9]+$"), list("0123456789"))


def load(path: Path) -> object:
    return yaml.load(path.read_text(encoding="utf-8"), Loader=Core)


def errors(document: object) -> list[str]:
    return [error.message for error in jsonschema.Draft202012Validator(schema()).iter_errors(document)]


def test_committed_schema_is_up_to_date(*, update_golden: bool) -> None:
    if update_golden:
        write(COMMITTED)
    assert COMMITTED.read_text(encoding="utf-8") == text(), "write it anew: pytest --update-golden"


def test_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_good_recipes_are_valid(path: Path) -> None:
    assert errors(load(path)) == []


@pytest.mark.parametrize(
    "fault",
    [
        "key-unknown",
        "key-missing",
        "key-missing-deep",
        "commit-short",
        "family-unknown",
        "type-text-for-list",
        "empty-list",
    ],
)
def test_broken_shapes_are_not(fault: str) -> None:
    assert errors(load(DATA / "broken" / f"{fault}.yaml"))


def test_fields_are_documented() -> None:
    document = schema()
    assert (
        document["properties"]["targets"]["description"]
        == "What the first cmake call builds; empty means everything."
    )
    assert document["$defs"]["Runtime"]["properties"]["user"]["default"] == "10001:10001"
