"""`diff` as a person and as a machine see it."""

import json
from pathlib import Path

import pytest

from build.cli import main
from build.smoke.clihelp import HelpFlag
from tests.unit.report.images import FLAGS, build

MORE = (*FLAGS, HelpFlag(spellings=("--new",)))


@pytest.fixture
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("INGOT_OUT", str(tmp_path / "out"))
    monkeypatch.setenv("INGOT_CACHE", str(tmp_path / "cache"))
    build(tmp_path / "out" / "mini")
    build(tmp_path / "out" / "more", flags=MORE)
    return tmp_path / "out"


def test_a_difference_is_one_document_and_no_failure(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diff", "mini", "more", "--json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["changes"] == [
        {"area": "flags", "name": "--new", "kind": "new", "before": "", "after": "--new"}
    ]
    assert "same: kernels: all 1 library" in said.err


def test_people_get_a_table_or_are_told_that_there_is_nothing(
    out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["diff", "mini", "more"]) == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert ["flags", "new", "--new", "--new"] in [line.split() for line in said.err.splitlines()]
    assert main(["diff", "mini", "mini"]) == 0
    assert "mini and mini: no difference was found" in capsys.readouterr().err


def test_two_images_of_one_plan_are_compared_file_by_file(
    out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build(tmp_path / "elsewhere", content=b"y")
    assert main(["diff", "mini", str(tmp_path / "elsewhere"), "--json"]) == 0
    said = capsys.readouterr()
    (part,) = json.loads(said.out)["parts"]
    assert part.startswith("layer 2, app/x, line 1: another text: ")
    assert part in " ".join(said.err.split())
    # Of another plan: they have no reason to be equal.
    build(tmp_path / "elsewhere", content=b"y", title="Other")
    assert main(["diff", "mini", str(tmp_path / "elsewhere"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["parts"] == []
    assert main(["diff", "mini", "mini", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["parts"] == []


def test_a_layout_that_cannot_be_read_costs_its_own_lines_alone(
    out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = build(tmp_path / "elsewhere", content=b"y")
    index = tmp_path / "elsewhere" / "image" / "index.json"
    text = index.read_text()
    index.write_text("{")
    assert main(["diff", "mini", str(tmp_path / "elsewhere"), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["changes"]
    assert [words[:7] for words in said["unknown"]] == ["files: "]
    index.write_text(text)
    image = tmp_path / "elsewhere" / "image.json"
    image.write_text(image.read_text().replace(str(other.built.digest), f"sha256:{'0' * 64}"))
    assert main(["diff", "mini", str(tmp_path / "elsewhere"), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert any("image.json says sha256:0000" in words for words in said["unknown"])
    assert said["parts"] == []


def test_what_could_not_be_compared_is_said(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (out / "more" / "help.json").unlink()
    assert main(["diff", "mini", "more"]) == 0
    said = capsys.readouterr().err
    assert "not compared: flags: not known of right: smoke has not read the image's help" in said


@pytest.mark.parametrize(
    ("operand", "code", "message"),
    [
        ("nonsense", 3, "there is no recipe, folder or image called nonsense"),
        ("minifork", 2, "minifork has no artifacts below"),
        ("published", 2, "mini: no image has been pushed from"),
        ("example.org/UPPER:x", 2, "'example.org/UPPER:x' is not the name of an image"),
    ],
)
def test_an_operand_that_means_nothing_ends_with_its_code(
    out: Path, capsys: pytest.CaptureFixture[str], operand: str, code: int, message: str
) -> None:
    assert main(["diff", "mini", operand, "--json"]) == code
    said = capsys.readouterr()
    assert json.loads(said.out)["exit_code"] == code
    assert message in json.loads(said.out)["error"]
