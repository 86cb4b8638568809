"""Patch sets in the page: what the ledger in the image says, in both renderings."""

import re
from dataclasses import replace
from typing import Any

from build.plan.model import ImagePlan
from build.recipe.patchsets import BuildOutcome, Exclusion, PatchSet, SetPatch, StartEffect
from build.recipe.refs import Commit
from build.report.detail import Detail
from build.report.ledger import ledger_rows, set_rows
from build.report.page import Page
from build.report.write import as_html, as_markdown
from build.smoke.model import CheckResult, Outcome
from tests.unit.report.pages import PLAN, page, report

SET = PatchSet(
    name="mini",
    repo="https://samples.ingot.invalid/minipatches.git",
    commit=Commit("5" * 40),
    version="v1",
    place=(("mini_patches", "miniserve/_patches"),),
    run=("python", "-m", "miniserve._patches.apply_all"),
    patches=(
        SetPatch(id="M1", why="two files", files=("a.py", "b.py")),
        SetPatch(id="M5", why="a method", build=BuildOutcome.NO_OP, start=StartEffect.REBIND),
    ),
    exclude=(Exclusion(id="M8", why="breaks an import", file="x.py", by="mini/x.py"),),
)


def entry(name: str, outcome: str, **values: Any) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "id": name,
        "set": "mini",
        "outcome": outcome,
        "why": "because",
        "expected": outcome,
    }
    plain |= {"as_expected": True, "foundational": False, "start": "text", "said": "applied", "reason": "ok"}
    return {
        **plain,
        "means": "run one at a time",
        "files": [],
        "untouched": [],
        "attempts": [],
        "remarks": [],
        **values,
    }


HALF = entry(
    "M1",
    "half",
    expected="applied",
    as_expected=False,
    files=[{"path": "b.py", "before": "1" * 40, "after": "2" * 40}],
    untouched=["a.py"],
    attempts=[
        {"path": "a.py", "said": "skipped", "anchors": [{"name": "import", "count": 0}], "upstream": ""}
    ],
    remarks=["it says applied, and only a part of it is"],
)
LEDGER: dict[str, Any] = {
    "format": 1,
    "sets": [
        {"name": "mini", "said": "2 applied, 0 skipped, 0 failed", "applied": 0, "remarks": ["two words"]}
    ],
    "patches": [
        HALF,
        entry("M5", "no-op", start="rebind"),
        entry("M8", "excluded", said="skipped", start="none"),
    ],
}


def plan() -> ImagePlan:
    return replace(PLAN, recipe=replace(PLAN.recipe, patch_sets=(SET,)))


def with_ledger(ledger: dict[str, Any] = LEDGER) -> Page:
    seen = CheckResult(name="patches", outcome=Outcome.FAILED, reason="M1", detail={"ledger": ledger})
    return page(plan=plan(), report=report(seen))


def test_a_set_s_patches_stand_beside_the_diffs() -> None:
    rows = with_ledger().patches
    assert [row.set for row in rows] == ["", "", "mini", "mini", "mini"]
    half = rows[2]
    assert (half.outcome, half.wanted, half.expected) == ("half", "applied", False)
    assert [file.path for file in half.files] == ["b.py"]
    assert half.untouched == ("a.py",)
    assert half.anchors == ("a.py: import 0x",)
    assert "not proven, that needs a GPU" in rows[3].start
    assert (rows[4].name, rows[4].outcome) == ("M8", "excluded")


def test_without_evidence_nothing_is_claimed() -> None:
    rows = ledger_rows(plan(), Detail.of(None))[2:]
    assert [(row.name, row.outcome, row.expected) for row in rows] == [
        ("M1", "not known", False),
        ("M5", "not known", False),
    ]
    assert {row.reason for row in rows} == {"the check patches left no evidence"}
    assert set_rows(plan(), Detail.of(None))[0].said == ""


def test_both_pages_say_it() -> None:
    found = with_ledger()
    text, html = as_markdown(found), as_html(found)
    assert "| `M1` | half, expected applied | `b.py` 111111111111 → 222222222222; not changed: a.py |" in text
    assert "applied: ok | it says applied, and only a part of it is; a.py: import 0x |" in text
    assert "It says: 2 applied, 0 skipped, 0 failed." in text
    assert "common/speculative.cpp` a1a1a1a1a1a1 → b2b2b2b2b2b2" in text
    assert "tools/server/draft.cpp` new → c3c3c3c3c3c3" in text
    for words in (
        "expected applied",
        "only a part of it is",
        "not changed: <code>a.py</code>",
        "a.py: import 0x",
    ):
        assert words in html


def test_a_hostile_ledger_is_text() -> None:
    bad = "<script>alert(1)</script>|`\x1b[31m"
    hostile = entry(
        bad, bad, said=bad, reason=bad, remarks=[bad], files=[{"path": bad, "before": bad, "after": bad}]
    )
    found = with_ledger({"patches": [hostile], "sets": [{"name": "mini", "said": bad, "remarks": [bad]}]})
    text, html = as_markdown(found), as_html(found)
    assert "<script>" not in html
    assert "\x1b" not in text + html
    # In Markdown it stands in code spans alone, which nobody runs.
    assert "<script>" not in re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", text)
