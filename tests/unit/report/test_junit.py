"""JUnit XML as GitLab and Jenkins read it."""

import re
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest

from build.report.junit import junit
from build.report.page import Page
from build.smoke.model import CheckResult, Outcome
from tests.unit.report.pages import NAMES, NO_GPU, PLAN, RUNNING, page, report

HOSTILE = '\x1b[31m]]></failure><script>\x00\ud800\ufffe"&<\x85'
FAILED = CheckResult(name="closure", outcome=Outcome.FAILED, reason=f"{HOSTILE}\nsecond", seconds=1.5)
ATTRIBUTES = {
    "testsuites": {"name", "tests", "failures", "errors", "time"},
    "testsuite": {"name", "tests", "failures", "errors", "skipped", "time", "timestamp"},
    "properties": set(),
    "property": {"name", "value"},
    "testcase": {"name", "classname", "time"},
    "failure": {"message", "type"},
    "skipped": {"message"},
    "system-out": set(),
}
"""Every element, and its attributes that Jenkins' schema knows."""


def suite(found: Page) -> ET.Element:
    root = ET.fromstring(junit(found))
    (one,) = root
    return one


def cases(found: Page) -> dict[str, ET.Element]:
    return {case.get("name", ""): case for case in suite(found).iter("testcase")}


def test_every_check_is_a_case_and_the_counts_are_right() -> None:
    one = suite(page(report=report(FAILED)))
    assert {case.get("name") for case in one.iter("testcase")} == set(NAMES)
    assert {name: one.get(name) for name in ("tests", "failures", "errors", "skipped")} == {
        "tests": str(len(NAMES)), "failures": "1", "errors": "0", "skipped": "1",
    }  # fmt: skip
    assert len(one.findall("testcase/failure")) == 1
    assert len(one.findall("testcase/skipped")) == 1
    total = sum(float(case.get("time", "x")) for case in one.iter("testcase"))
    assert float(one.get("time", "x")) == pytest.approx(total, abs=0.01)
    assert one.get("timestamp") == "2026-11-21T02:30:00"


def test_outcomes_carry_their_reasons() -> None:
    found = cases(page(report=report(FAILED)))
    failure = found["closure"].find("failure")
    assert failure is not None
    assert failure.get("message", "").startswith("\ufffd[31m]]></failure><script>")
    assert "second" in (failure.text or "")
    assert "Without this check: The server dies at its start" in (failure.text or "")
    skipped = found["gpu"].find("skipped")
    assert skipped is not None
    assert skipped.get("message") == NO_GPU
    assert found["health"].findtext("system-out") == 'answered 200: {"status":"ok"}'


def test_what_did_not_run_is_skipped() -> None:
    found = cases(page(report=report(without=(*RUNNING, "gpu"))))
    skipped = found["health"].find("skipped")
    assert skipped is not None
    assert skipped.get("message") == "this smoke test left it out"
    assert suite(page(report=None)).get("skipped") == str(len(NAMES))


@pytest.mark.parametrize("found", [page(), page(report=report(FAILED)), page(report=None)])
def test_nothing_that_the_schema_does_not_know(found: Page) -> None:
    for element in ET.fromstring(junit(found)).iter():
        assert set(element.attrib) == ATTRIBUTES[element.tag]
    order = [child.tag for child in suite(found)]
    assert order == ["properties", *["testcase"] * len(NAMES)]


def test_no_control_character_is_left() -> None:
    text = junit(page(report=report(FAILED), plan=replace(PLAN, variant=HOSTILE)))
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]", text)
    text.encode()
    ET.fromstring(text)


def test_a_long_first_line_is_cut_in_the_message_alone() -> None:
    long = CheckResult(name="closure", outcome=Outcome.FAILED, reason="x" * 500)
    failure = cases(page(report=report(long)))["closure"].find("failure")
    assert failure is not None
    assert len(failure.get("message", "")) == 200
    assert "x" * 500 in (failure.text or "")
