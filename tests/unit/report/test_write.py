"""What lies in the image's folder after its pages were written."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from build.doors import store
from build.image.model import BuiltImage
from build.recipe.refs import Digest
from build.report.page import Standing
from build.report.times import BuildTimes
from build.report.write import FILES, Written, discard_report, write_report
from build.smoke.model import CheckResult, Outcome
from tests.unit.report.pages import AT, BUILT, DIFFERENCE, HISTORY, PLAN, RECEIPT, report

FAILED = CheckResult(
    name="closure", outcome=Outcome.FAILED, reason="/app/a needs b: it is nowhere in the image"
)


def write(out: Path, built: BuiltImage = BUILT, *, at: datetime = AT, summary: Path | None = None) -> Written:
    return write_report(out, PLAN, built, difference=DIFFERENCE, step_summary=summary, clock=lambda: at)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "out" / "beellama"
    store.write_artifact(folder / "smoke.json", report())
    store.write_artifact(folder / "push.json", RECEIPT)
    store.write_lines(folder / "times.jsonl", HISTORY[:1])
    return folder


def test_three_files_and_the_times(out: Path) -> None:
    written = write(out)
    assert {path.name for path in out.iterdir()} == {*FILES, "smoke.json", "push.json", "times.jsonl"}
    assert written.standing is Standing.PASSED
    assert written.files == tuple(str(out / name) for name in FILES)
    first = (out / "report.md").read_text().splitlines()[0]
    assert first == f"# passed: `beellama-cpp:{PLAN.tag}@{BUILT.digest}`"
    assert (
        f"<title>passed: beellama-cpp:{PLAN.tag}@{BUILT.digest}</title>" in (out / "report.html").read_text()
    )
    assert ET.parse(out / "junit.xml").getroot().tag == "testsuites"
    times = store.read_lines(out / "times.jsonl", BuildTimes)
    assert [one.tag for one in times] == [HISTORY[0].tag, PLAN.tag]
    assert list(times[1].seconds) == list(BUILT.seconds), "the phases keep their order"
    assert "35 min 43 s" in (out / "report.md").read_text(), "the build before"


def test_writing_again_changes_nothing(out: Path) -> None:
    write(out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    write(out, at=datetime(2027, 1, 1, tzinfo=UTC))
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_a_failed_smoke_test_has_its_pages_too(out: Path) -> None:
    store.write_artifact(out / "smoke.json", report(FAILED))
    assert write(out).standing is Standing.FAILED
    text = (out / "report.md").read_text()
    assert text.startswith("# failed: ")
    assert text.index("/app/a needs b: it is nowhere in the image") < text.index("## What changed")


def test_without_a_smoke_test_or_with_another_image_s(out: Path) -> None:
    other = Digest(f"sha256:{'9' * 64}")
    assert write(out, replace(BUILT, digest=other)).standing is Standing.UNTESTED
    (out / "smoke.json").unlink()
    assert write(out).standing is Standing.UNTESTED


@pytest.mark.parametrize("text", ["", "{", '{"at": 1}\n[]\n\xff\n', "\n\n"])
def test_times_that_cannot_be_read_are_passed_over(out: Path, text: str) -> None:
    (out / "times.jsonl").write_bytes(text.encode("latin-1"))
    write(out)
    assert [one.tag for one in store.read_lines(out / "times.jsonl", BuildTimes)] == [PLAN.tag]


def test_the_verdict_is_added_to_a_job_s_summary(out: Path, tmp_path: Path) -> None:
    summary = tmp_path / "summary.md"
    summary.write_text("### before\n")
    write(out, summary=summary)
    text = summary.read_text()
    assert text.startswith("### before\n# passed: `beellama-cpp:")
    assert "## What changed" in text
    assert "## Checks" not in text
    assert text.endswith("\n")


def test_pages_that_are_discarded_leave_the_rest(out: Path) -> None:
    write(out)
    discard_report(out)
    discard_report(out)
    assert {path.name for path in out.iterdir()} == {"smoke.json", "push.json", "times.jsonl"}
