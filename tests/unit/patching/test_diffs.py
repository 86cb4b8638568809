"""Diffs that were applied before the build: exact, or the build ends."""

import importlib.util
from typing import Any

import pytest

from build.doors.gitobjects import object_id
from tests.unit.patching.installed import PACKAGE, Installed

pytestmark = pytest.mark.processes

PATH = "miniserve/limits.py"
BEFORE, AFTER = PACKAGE["limits.py"], PACKAGE["limits.py"].replace("WORKERS = 1", "WORKERS = 2")


def name(text: str) -> str:
    return object_id("blob", text.encode()) if text else ""


def diff(*changes: tuple[str, str, str]) -> dict[str, Any]:
    return {
        "id": "mini/0001-a.patch",
        "sha256": "4" * 64,
        "verdict": "offset 2",
        "why": "because",
        "foundational": True,
        "changes": [{"path": path, "before": name(old), "after": name(new)} for path, old, new in changes],
    }


def hand_over(installed: Installed, path: str, text: str) -> None:
    target = installed.context / "edits" / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)


def test_files_are_replaced_added_and_removed(installed: Installed) -> None:
    hand_over(installed, PATH, AFTER)
    hand_over(installed, "miniserve/more/new.py", "new")
    changes = ((PATH, BEFORE, AFTER), ("miniserve/more/new.py", "", "new"))
    ran = installed.run(diffs=[diff(*changes, ("miniserve/parsers.py", PACKAGE["parsers.py"], ""))])
    assert ran.status == 0, ran.words
    assert (installed.site / PATH).read_text() == AFTER
    assert (installed.site / "miniserve/more/new.py").read_text() == "new"
    assert not (installed.site / "miniserve/parsers.py").exists()
    entry = ran.patch("mini/0001-a.patch")
    assert (entry["outcome"], entry["said"], entry["set"]) == ("applied", "offset 2", "")
    assert entry["files"][0] == {"path": PATH, "before": name(BEFORE), "after": name(AFTER)}


def test_two_diffs_of_one_file_follow_each_other(installed: Installed) -> None:
    last = AFTER.replace("WORKERS = 2", "WORKERS = 3")
    hand_over(installed, PATH, last)
    ran = installed.run(diffs=[diff((PATH, BEFORE, AFTER)), {**diff((PATH, AFTER, last)), "id": "b"}])
    assert ran.status == 0, ran.words
    assert (installed.site / PATH).read_text() == last


def test_another_installed_file_ends_the_build(installed: Installed) -> None:
    hand_over(installed, PATH, AFTER)
    (installed.site / PATH).write_text("other")
    ran = installed.run(diffs=[diff((PATH, BEFORE, AFTER))])
    assert ran.status == 1
    assert ran.words == (
        f"patch ledger: mini/0001-a.patch: {PATH} is not the file that this patch was proven against: "
        f"installed {name('other')}, proven {name(BEFORE)}\n"
    )
    assert (installed.site / PATH).read_text() == "other"


def test_other_bytes_than_the_proven_ones_end_the_build(installed: Installed) -> None:
    hand_over(installed, PATH, "other")
    ran = installed.run(diffs=[diff((PATH, BEFORE, AFTER))])
    assert ran.status == 1
    assert f"{PATH}: the file that was handed over is {name('other')}, proven was {name(AFTER)}" in ran.words
    assert (installed.site / PATH).read_text() == BEFORE


def test_byte_code_is_made_anew_and_goes_by_the_source_s_hash(installed: Installed) -> None:
    hand_over(installed, PATH, AFTER)
    compiled = installed.python(
        "-m", "compileall", "-q", "--invalidation-mode", "checked-hash", str(installed.site)
    )
    assert compiled.returncode == 0
    (pyc,) = (installed.site / "miniserve" / "__pycache__").glob("limits.*.pyc")
    (gone,) = (installed.site / "miniserve" / "__pycache__").glob("parsers.*.pyc")
    before = pyc.read_bytes()
    ran = installed.run(
        diffs=[diff((PATH, BEFORE, AFTER), ("miniserve/parsers.py", PACKAGE["parsers.py"], ""))]
    )
    assert ran.status == 0, ran.words
    after = pyc.read_bytes()
    checked_by_hash = 0b11
    assert int.from_bytes(after[4:8], "little") == checked_by_hash
    assert after[8:16] == importlib.util.source_hash(AFTER.encode()) != before[8:16]
    assert not gone.exists()
