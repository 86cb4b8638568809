"""The pages of one image, compared with the committed ones. `--update-golden` rewrites; the diff is the review."""

from itertools import pairwise
from pathlib import Path

import pytest

from build.report.junit import junit
from build.report.write import as_html, as_markdown, as_verdict
from build.smoke.model import CheckResult, Outcome
from build.smoke.running import suite as running
from tests.golden.test_golden import compare
from tests.unit.report.pages import RUNNING, page, report

FOLDER = Path(__file__).parent / "report"
FAILED = (
    CheckResult(
        name="closure",
        outcome=Outcome.FAILED,
        reason="/app/libllama-server-impl.so needs libmtmd.so.0: it is nowhere in the image",
        seconds=0.1,
    ),
    CheckResult(
        name="health",
        outcome=Outcome.FAILED,
        reason="/health did not answer 200 within 60 s; the server's last lines:\nload\nerror: <none>",
        seconds=61.2,
    ),
    CheckResult(name="tokens", outcome=Outcome.SKIPPED, reason="the server did not become healthy"),
)


def pages() -> dict[str, str]:
    passed = page()
    failed = page(report=report(*FAILED), receipt=None, difference=None)
    static = page(report=report(without=(*RUNNING, running.GPU)), receipt=None)
    return {
        "report.md": as_markdown(passed),
        "report.html": as_html(passed),
        "junit.xml": junit(passed),
        "failed.md": as_markdown(failed),
        "failed.junit.xml": junit(failed),
        "static.verdict.md": as_verdict(static),
    }


PAGES = pages()


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_what_was_reviewed(name: str, *, update_golden: bool) -> None:
    compare(FOLDER / name, PAGES[name], update=update_golden)


def test_no_stale_page_lies_here() -> None:
    assert {path.name for path in FOLDER.iterdir()} == set(PAGES)


@pytest.mark.parametrize("name", [name for name in PAGES if name.endswith(".md")])
def test_markdown_is_tidy(name: str) -> None:
    assert "\n\n\n" not in PAGES[name]
    assert PAGES[name].endswith("\n")
    assert not PAGES[name].endswith("\n\n")
    lines = PAGES[name].splitlines()
    assert [line for before, line in pairwise(lines) if line.startswith("#") and before] == []
