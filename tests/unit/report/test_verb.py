"""`python -m build report`, as a person and as a machine call it."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from build.cli import main
from build.doors import store
from tests.unit.report.pages import BUILT, PLAN, report


@pytest.fixture
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("INGOT_OUT", str(tmp_path / "out"))
    return tmp_path / "out"


def put(out: Path, variant: str = "") -> Path:
    plan = replace(PLAN, variant=variant)
    folder = out / plan.name
    for name, value in (("plan.json", plan), ("image.json", BUILT), ("smoke.json", report())):
        store.write_artifact(folder / name, value)
    return folder


def test_the_pages_of_all_images_or_of_one(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain, other = put(out), put(out, "no-vmm")
    assert main(["report", "--json"]) == 0
    said = capsys.readouterr()
    written = json.loads(said.out)
    assert [(one["name"], one["standing"]) for one in written] == [
        ("beellama", "passed"),
        ("beellama+no-vmm", "passed"),
    ]
    assert "beellama: passed\n" in said.err
    assert said.err.count(str(plain / "report.html")) == 1
    (plain / "report.md").unlink()
    (other / "report.md").unlink()
    assert main(["report", "beellama", "--variant", "no-vmm"]) == 0
    assert not (plain / "report.md").exists()
    assert (other / "report.md").exists()


def test_an_image_that_was_not_tested_has_a_page_that_says_so(
    out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (put(out) / "smoke.json").unlink()
    assert main(["report", "beellama", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["standing"] == "not tested"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("report",), 3, "has image.json"),
        (("report", "no-such"), 3, "no recipe is named 'no-such'"),
        (("report", "beellama"), 2, "plan.json does not exist"),
    ],
)
def test_nothing_to_write_about(
    out: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], code: int, said: str
) -> None:
    assert main([*words]) == code
    assert said in capsys.readouterr().err
    assert not list(out.rglob("report.*"))


def test_the_help_says_what_it_writes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["report", "--help"])
    assert ended.value.code == 0
    assert "Write report.md, report.html and junit.xml of built images again" in capsys.readouterr().out
