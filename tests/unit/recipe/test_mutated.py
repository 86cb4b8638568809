"""Whatever is done to a recipe: a trusted recipe comes out or every problem does, and nothing else ever."""

import json
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, cast

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from build.errors import Problem
from build.recipe.decode import decode, read
from build.recipe.model import Origin, Recipe
from build.recipe.rules import Facts, recipe_problems, shared_problems
from tests.unit.recipe.checkouts import DATA

GOOD = sorted((DATA / "good").glob("*.yaml"))
RECIPES = decode(GOOD, root=DATA)
SOURCES = [path.read_text(encoding="utf-8") for path in GOOD]
DOCUMENTS = [yaml.load(text, Loader=yaml.BaseLoader) for text in SOURCES]
FACTS = Facts(
    locks={"13.0": "nvidia-cuda-nvcc==13.0.88 \\"},
    patches=("minifork/0001-name.patch",),
    package_locks={"packages/wheels.txt": "wheels==0.11.0 \\\n"},
)
ATTACKS = (
    *(
        "$(id)",
        "`id`",
        "; id",
        "&& id",
        "| id",
        "> /etc/passwd",
        "x\nRUN id",
        "x \\\nRUN id",
        "${HOME}",
        "$HOME",
    ),
    *(
        "{{ 7*7 }}",
        "{% include 'x' %}",
        "{# x #}",
        "'; id; '",
        '"; id; "',
        "--option",
        "../../x",
        "/etc/passwd",
    ),
    *(
        "\x00",
        "\x1b[31m",
        "\u202e",
        "\ud800",
        "#",
        "!!python/none",
        "*x",
        "&x",
        "<<",
        "<script>",
        "native",
        "True",
    ),
    *(
        "file:///x",
        "ext::sh -c id",
        "https://a:b@c.d/e",
        "{commit}",
        "{model}",
        "{build}",
        "{",
        "}",
        "9" * 5000,
    ),
)
ACTIVE = re.compile(r"\{\{|\{%|\{#|\$\(|\$\{|`|\x00|\n|\x1b|\u202e|\ud800")

SCALARS = st.one_of(
    st.sampled_from(ATTACKS), st.text(max_size=12), st.sampled_from(["ON", "none", "1", "", "x" * 300])
)
VALUES = st.one_of(SCALARS, st.lists(SCALARS, max_size=2), st.dictionaries(SCALARS, SCALARS, max_size=2))


def paths(node: object, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield at
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, child in children:
        yield from paths(child, (*at, key))


PATHS = [[path for path in paths(document) if path] for document in DOCUMENTS]


@st.composite
def mutated(draw: st.DrawFn) -> str:
    number = draw(st.integers(0, len(DOCUMENTS) - 1))
    document = json.loads(json.dumps(DOCUMENTS[number]))
    for _ in range(draw(st.integers(1, 3))):
        *way, last = draw(st.sampled_from(PATHS[number]))
        node = document
        try:
            for step in way:
                node = node[step]
            change(draw, cast("dict[object, object]", node), last)
        except (KeyError, IndexError, TypeError):
            continue
    return yaml.dump(document, sort_keys=False, allow_unicode=draw(st.booleans()))


def change(draw: st.DrawFn, node: dict[object, object], last: object) -> None:
    match draw(st.sampled_from(["value", "append", "key", "remove"])):
        case "value":
            node[last] = draw(VALUES)
        case "append" if isinstance(text := node[last], str):
            node[last] = text + draw(SCALARS)
        case "key" if isinstance(node, dict):
            node[draw(SCALARS)] = node.pop(last)
        case _:
            del node[last]


def texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from texts(item)
    elif is_dataclass(value):
        for field in fields(value):
            if field.name != "origin":
                yield from texts(getattr(value, field.name))


def judge(path: Path) -> tuple[Recipe | None, tuple[Problem, ...]]:
    """Read and judge one file as `check` does, without the disk's facts."""
    draft = read(path, root=path.parent)
    problems = draft.problems
    if draft.recipe:
        problems += recipe_problems(draft.recipe, FACTS, unread=draft.keys) + shared_problems([draft.recipe])
    return draft.recipe, problems


def assert_safe(path: Path) -> None:
    recipe, problems = judge(path)
    for problem in problems:
        line = str(problem)
        assert line.isprintable()
        assert len(line) < 700
        assert problem.message
        assert problem.line >= 1
    if not problems:
        assert not [text for text in texts(recipe) if ACTIVE.search(text)]


@pytest.fixture(name="path", scope="module")
def recipe_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mutated") / "minifork.yaml"


@settings(max_examples=120, suppress_health_check=[HealthCheck.too_slow])
@given(text=mutated())
def test_mutated_recipes(path: Path, text: str) -> None:
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    assert_safe(path)


@settings(max_examples=60)
@given(source=st.sampled_from(SOURCES), at=st.floats(0, 1), cut=st.integers(0, 8), new=st.text(max_size=6))
def test_mutated_text(path: Path, source: str, at: float, cut: int, new: str) -> None:
    start = int(at * len(source))
    text = source[:start] + new + source[start + cut :]
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    assert_safe(path)


@settings(max_examples=60)
@given(data=st.binary(max_size=60))
def test_any_bytes(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    assert_safe(path)


def replaced(value: object, attack: str) -> Iterator[object]:
    """Yield the value once for every text in it, with that text replaced."""
    if type(value) is str:
        yield attack
    elif isinstance(value, tuple):
        for index, item in enumerate(value):
            yield from ((*value[:index], new, *value[index + 1 :]) for new in replaced(item, attack))
    elif is_dataclass(value) and not isinstance(value, Origin | type):
        for field in fields(value):
            for new in replaced(getattr(value, field.name), attack):
                yield replace(cast("Any", value), **{field.name: new})


def test_the_recipes_themselves_are_good() -> None:
    assert [recipe_problems(recipe, FACTS) for recipe in RECIPES] == [()] * len(RECIPES)


@pytest.mark.parametrize("attack", [attack for attack in ATTACKS if ACTIVE.search(attack)])
def test_no_field_takes_what_something_would_act_on(attack: str) -> None:
    """The rules alone refuse it, without the reader's own care for what is printable."""
    for recipe in RECIPES:
        for broken in replaced(recipe, attack):
            assert isinstance(broken, Recipe)
            assert recipe_problems(broken, FACTS), broken
