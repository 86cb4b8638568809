"""The order of the stations, and the sizes that keep a module readable. Read from the source, nothing is imported."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

BUILD = Path(__file__).parents[2] / "build"
MODULES = sorted(path for path in BUILD.rglob("*.py"))
NAMED = [path for path in MODULES if path.name not in {"__init__.py", "__main__.py"}]
ORDER: tuple[frozenset[str], ...] = (
    frozenset({"errors"}),
    frozenset({"namespaces", "variables"}),
    frozenset({"recipe", "doors", "settings"}),
    *(frozenset({name}) for name in ("host", "pin", "plan", "image", "attest", "smoke", "publish")),
    frozenset({"follow", "bench", "report", "verify"}),
    frozenset({"several", "wiring"}),
    frozenset({"onward"}),
    frozenset({"road", "demo"}),
    frozenset({"verbs"}),
    frozenset({"cli"}),
    frozenset({"__main__", "__init__"}),
)
RANK = {name: rank for rank, names in enumerate(ORDER) for name in names}
BETWEEN = {
    ("doors", "recipe.refs"),
    ("doors", "recipe.words"),
    ("doors", "settings"),
    ("settings", "recipe"),
    ("demo", "road"),
}
"""What stations of one rank may import of each other."""
FUNCTION_MAX = 60
MODULE_MAX = 300


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def station(module: str) -> str:
    return module.partition(".")[0]


def name(path: Path) -> str:
    return ".".join(path.relative_to(BUILD).with_suffix("").parts)


def ids(path: Path) -> str:
    return str(path.relative_to(BUILD))


def imported(path: Path) -> Iterator[str]:
    """Yield the modules of `build` that a module imports, wherever it does so, without `build.` in front."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name[6:] for alias in node.names if alias.name.startswith("build."))
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module == "build":
                yield from (alias.name for alias in node.names)
            elif node.module.startswith("build."):
                yield node.module[6:]


def bound(node: ast.stmt) -> list[str]:
    """List the names that a statement of a module gives a meaning to."""
    match node:
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            return [name]
        case ast.ImportFrom(names=names):
            return [alias.asname or alias.name for alias in names]
        case ast.Assign(targets=targets):
            return [ast.unparse(target) for target in targets]
        case ast.AnnAssign(target=target):
            return [ast.unparse(target)]
        case _:
            return []


def allowed(importer: str, target: str) -> bool:
    mine, its = station(importer), station(target)
    if mine == its or RANK[its] < RANK[mine]:
        return True
    return RANK[its] == RANK[mine] and any(
        mine == left and (target == right or target.startswith(f"{right}.")) for left, right in BETWEEN
    )


@pytest.mark.parametrize("path", MODULES, ids=ids)
def test_a_station_imports_earlier_stations_only(path: Path) -> None:
    assert station(name(path)) in RANK, "a new station: give it its place in the order"
    late = [target for target in imported(path) if not allowed(name(path), target)]
    assert late == []


@pytest.mark.parametrize(
    ("importer", "target", "fine"),
    [
        ("plan.render", "pin.model", True),
        ("pin.model", "plan.render", False),
        ("doors.git", "recipe.refs", True),
        ("doors.git", "recipe.decode", False),
        ("recipe.decode", "doors.git", False),
        ("follow.bump", "report.page", False),
        ("cli", "road", True),
        ("road", "cli", False),
    ],
)
def test_the_rule_itself(importer: str, target: str, *, fine: bool) -> None:
    assert allowed(importer, target) is fine


@pytest.mark.parametrize("path", MODULES, ids=ids)
def test_a_module_says_its_duty(path: Path) -> None:
    assert ast.get_docstring(parsed(path)), "the module has no docstring"


@pytest.mark.parametrize("path", NAMED, ids=ids)
def test_a_module_lists_what_it_offers(path: Path) -> None:
    tree = parsed(path)
    offered = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["__all__"]
    ]
    assert len(offered) == 1, "__all__ is missing"
    assert set(offered[0]) <= {name for node in tree.body for name in bound(node)}


@pytest.mark.parametrize("path", MODULES, ids=ids)
def test_nothing_is_too_long_to_read(path: Path) -> None:
    text = path.read_text()
    long = [
        f"{node.name}: {(node.end_lineno or 0) - node.lineno + 1} lines"
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno >= FUNCTION_MAX
    ]
    assert long == []
    assert text.count("\n") <= MODULE_MAX
