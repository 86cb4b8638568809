"""`inspect` as a person and as a machine see it."""

import json
from argparse import Namespace
from pathlib import Path

import pytest

from build.cli import main
from build.doors.console import Console
from build.image.layout import open_layout
from build.settings import from_env
from build.verbs import inspect
from tests.layouts import write_layout
from tests.unit.publish.published import Upstream, labels_of

STATE = Upstream(number=7)


@pytest.fixture
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("INGOT_OUT", str(tmp_path / "out"))
    monkeypatch.setenv("INGOT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "out"


def test_people_get_a_table_and_machines_a_document(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels = labels_of(STATE, "no-vmm") | {"ingot.driver": "linked", "ingot.driver.minimum": "580.65.06"}
    layout = write_layout(out / "mini+no-vmm" / "image", [{"a": b"1"}], config={"Labels": labels})
    assert main(["inspect", "mini+no-vmm"]) == 0
    said = capsys.readouterr()
    assert said.out == ""
    rows = [" ".join(line.split()) for line in said.err.splitlines()]
    assert f"digest {open_layout(layout).digest}" in rows
    assert f"commit {STATE.commit}" in rows
    assert "driver linked 580.65.06 or newer" in rows
    assert any(row.endswith("COPY layer 0") for row in rows)
    assert f"make it again: ./noxw -s build -- {labels['ingot.recipe']} --variant no-vmm" in rows
    assert main(["inspect", "mini+no-vmm", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["variant"], found["commit"], found["digest"]) == (
        "no-vmm",
        STATE.commit,
        open_layout(layout).digest,
    )


def test_what_has_no_labels_of_ours_is_said(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And labels are anybody's words: none of them reaches a terminal as a command."""
    labels = {"org.opencontainers.image.version": "\x1b[31mred\x1b[0m [bold]x"}
    write_layout(out / "mini" / "image", [{"a": b"1"}], config={"Labels": labels})
    assert main(["inspect", "mini"]) == 0
    said = capsys.readouterr().err
    assert "mini has none of Ingot's labels: who made it, and of what, it does not say" in " ".join(
        said.split()
    )
    assert "\x1b" not in said
    assert "[bold]x" in said


@pytest.mark.parametrize(
    ("ref", "code", "message"),
    [
        ("nonsense", 3, "there is no recipe or image called nonsense"),
        ("minifork", 2, "minifork has no image below"),
        ("example.org/UPPER:x", 2, "'example.org/UPPER:x' is not the name of an image"),
    ],
)
def test_a_name_that_means_nothing_ends_with_its_code(
    out: Path, capsys: pytest.CaptureFixture[str], ref: str, code: int, message: str
) -> None:
    assert not out.exists()
    assert main(["inspect", ref, "--json"]) == code
    answer = json.loads(capsys.readouterr().out)
    assert answer["exit_code"] == code
    assert message in answer["error"]


def test_a_tree_with_a_broken_recipe_is_said_and_keeps_nobody_from_looking(
    out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "mini.yaml").write_text("name: mini\n")
    labels = labels_of(STATE, "")
    write_layout(out / "mini" / "image", [{"a": b"1"}], config={"Labels": labels})
    inspect._inspect(Namespace(ref="mini"), from_env({"INGOT_OUT": str(out)}, tmp_path), Console())
    said = " ".join(capsys.readouterr().err.split())
    assert "warning: which commits are pinned is not known: " in said
    assert " in the recipes; `python -m build check` names them." in said
    assert f"make it again: git log --oneline -S{STATE.commit}" in said
