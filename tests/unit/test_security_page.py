"""The security page claims nothing that no test shows: every test and every attack that it names is there."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text()
ATTACKS = (ROOT / "tests" / "integration" / "hostile" / "hostile.c").read_text()
HOSTILE = (ROOT / "tests" / "integration" / "test_hostile.py").read_text()


def defined_in(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text())
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def rows() -> list[str]:
    return [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith("|---")]


def test_every_test_that_is_named_exists() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)
    assert len(named) > 15
    assert [f"{path}::{name}" for path, name in named if name not in defined_in(path)] == []


def test_every_attack_that_is_named_exists_and_is_run() -> None:
    named = {
        name
        for row in rows()
        for listed in re.findall(r"attacks? ((?:`[a-z-]+`(?:, | and )?)+)", row)
        for name in re.findall(r"`([a-z-]+)`", listed)
    }
    assert len(named) > 12
    assert {name for name in named if f'"{name}"' not in ATTACKS or f'"{name}"' not in HOSTILE} == set()


def test_every_claim_names_what_shows_it() -> None:
    claims = [row for row in rows() if not row.startswith(("| stage ", "| claim "))]
    assert len(claims) > 12
    assert [row for row in claims if "`tests/" not in row and "attack" not in row] == []
