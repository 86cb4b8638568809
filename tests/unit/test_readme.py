"""What the README says is what the code does."""

import re
from pathlib import Path

import pytest

from build import cli
from build.smoke.running import suite as running
from build.smoke.static import suite as static
from build.variables import SETTINGS

README = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")


def settings_table() -> str:
    rows = "".join(f"| `{one.name}` | {one.default or ' '} | {one.meaning} |\n" for one in SETTINGS)
    return f"| variable | default | meaning |\n|---|---|---|\n{rows}"


def test_settings_table_is_the_code_s() -> None:
    assert settings_table() in README


@pytest.mark.parametrize("command", sorted(set(re.findall(r"\./noxw -s ([a-z-]+)", README))))
def test_every_session_exists(command: str) -> None:
    noxfile = (Path(__file__).resolve().parents[2] / "noxfile.py").read_text(encoding="utf-8")
    recipes = {path.stem for path in (Path(__file__).resolve().parents[2] / "recipes").glob("*.yaml")}
    recipes |= set(re.findall(r"--name ([a-z0-9-]+)", README))
    assert f"def {command}(" in noxfile or command.removeprefix("build-") in recipes


def test_what_smoke_proves_names_every_check_once() -> None:
    section = README.partition("## What smoke proves\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| ([^|]+) \|", section, re.MULTILINE)[1:]
    named = [name for row in rows for name in re.findall(r"`([^`]+)`", row)]
    assert sorted(named) == sorted((*static.PROTECTS, *running.PROTECTS))


def test_every_verb_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["--help"])
    assert ended.value.code == 0
    assert "exit codes: 0 done" in capsys.readouterr().out


def test_nothing_is_left_to_fill_in() -> None:
    assert not re.search(r"@[A-Z]+@", README)
