"""The checks as people read them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from build.recipe.model import Family
from build.report.checks import Ended, check_rows, count
from build.report.evidence import evidence
from build.smoke.model import CheckResult, Outcome
from build.smoke.run import check_names, expectations_of
from build.smoke.running import suite as running
from build.smoke.static import suite as static
from tests.unit.report.pages import DETAILS, NAMES, NO_GPU, PLAN, RUNNING, report

REQUIRED = expectations_of(PLAN).required
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
KEYS = sorted({key for detail in DETAILS.values() for key in detail})


def failed(name: str, reason: str) -> CheckResult:
    return CheckResult(
        name=name, outcome=Outcome.FAILED, reason=reason, seconds=1.5, detail=DETAILS.get(name, {})
    )


EVERY = {*NAMES, *check_names(Family.PYTHON)}


@pytest.mark.parametrize("name", sorted(EVERY))
def test_every_check_says_in_one_sentence_what_it_keeps_off(name: str) -> None:
    sentence = {**static.PROTECTS, **running.PROTECTS}[name]
    assert sentence[0].isupper()
    assert sentence.endswith(".")
    assert sentence.count(". ") == 0
    assert len(sentence.split()) >= 5


def test_no_sentence_is_of_a_check_that_is_gone() -> None:
    assert {*static.PROTECTS, *running.PROTECTS} == EVERY


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("layout", "5,243 entries in 5 layers, 717 ELF files, every digest as named"),
        ("closure", "717 ELF files loaded as the loader would; left to the driver: libcuda.so.1"),
        ("driver_boundary", "1 file with a run path: $ORIGIN; nothing of the driver inside"),
        (
            "link_facts",
            (
                "driver: linked; linked with it: libggml-cuda.so.0.9.4; "
                "imported: 4 driver functions (cuDeviceGet, cuMemCreate, cuMemMap …)"
            ),
        ),
        ("gpu_code", "promised sm_120a; found SASS sm_120a in 1 library"),
        ("labels", "7 labels, each as planned"),
        ("user", "runs as 10001:10001; set-uid files of the base: su"),
        ("links", "the recipe promises none"),
        ("residue", "no trace of the build host (2 words looked for)"),
        ("timestamps", "no file younger than 1000000000 in 2 layers"),
        ("version", "--version says: version: 0 (633cd34fb) / built with GNU 12.2.0"),
        ("arguments", "accepted: --spec-type dflash -ngl 99; refused, as they must be: --no-such-flag"),
        ("health", 'answered 200: {"status":"ok"}'),
        ("endpoints", "GET /props: every expected text is there"),
        ("tokens", "the right text, twice: abc"),
        ("sigterm", "ended with status 0"),
    ],
)
def test_evidence_in_words(name: str, words: str) -> None:
    assert evidence(name, DETAILS[name]) == words


@pytest.mark.parametrize(
    ("name", "detail", "words"),
    [
        ("platform_plugin", {"general": [], "packages": 2}, "none among 2 packages; general plugins: none"),
        (
            "platform_plugin",
            {"general": ["a: b = c:d"], "packages": 1},
            "none among 1 package; general plugins: a: b = c:d",
        ),
        ("registries", {"known": ["tool parser: qwen3"]}, "known: tool parser: qwen3"),
        ("registries", {"known": []}, "the command line names nothing that the parser would not check"),
        ("imports", {"imported": ["a", "a.b"]}, "2 modules: a, a.b"),
        ("toolkit", {"torch": "2.11.0", "cuda": "13.0"}, "torch 2.11.0 is built with CUDA 13.0"),
        ("toolkit", {"torch": "", "cuda": ""}, "no torch in the image"),
        (
            "bytecode",
            {"compiled": 20474, "sources": 3},
            "20,474 compiled files, each of its source; 3 sources compile",
        ),
    ],
)
def test_evidence_of_packages_in_words(name: str, detail: dict[str, Any], words: str) -> None:
    assert evidence(name, detail) == words


def test_a_check_without_words_shows_its_detail() -> None:
    assert evidence("tokens", {"answer": "x"}) == "answer: x"
    assert evidence("tokens", {"tokens": [12, 118]}) == "the right tokens, twice: 12, 118"
    assert evidence("new", {"a": 1, "b": ["x"]}) == 'a: 1; b: ["x"]'
    assert evidence("new", {}) == ""


def test_long_evidence_is_cut() -> None:
    assert len(evidence("new", {"a": "x" * 1000})) == 400


@given(
    name=st.sampled_from([*sorted(EVERY), "new"]),
    detail=st.dictionaries(st.sampled_from(KEYS), JSON, max_size=4),
)
def test_no_detail_breaks_the_page(name: str, detail: dict[str, Any]) -> None:
    assert len(evidence(name, detail)) <= 400


def test_failed_ones_come_first_with_their_findings() -> None:
    found = report(
        failed(
            "closure",
            "/app/a needs b: it is nowhere in the image\n/app/c needs d: it is nowhere in the image",
        ),
        failed("health", "no answer; the server's last lines:\nline one\nline two"),
        CheckResult(name="tokens", outcome=Outcome.SKIPPED, reason="the server did not become healthy"),
    )
    rows = check_rows(found, REQUIRED, NAMES)
    assert [(row.name, row.ended) for row in rows[:4]] == [
        ("closure", Ended.FAILED),
        ("health", Ended.FAILED),
        ("tokens", Ended.SKIPPED),
        ("gpu", Ended.SKIPPED),
    ]
    assert rows[0].findings == (
        "/app/a needs b: it is nowhere in the image",
        "/app/c needs d: it is nowhere in the image",
    )
    assert rows[1].findings == ("no answer; the server's last lines:\nline one\nline two",)
    assert rows[0].evidence == "", "its words would say that all was right"
    assert rows[3].reason == NO_GPU
    assert count(rows) == f"2 failed, {len(NAMES) - 4} passed, 2 skipped"


def test_what_a_static_test_leaves_out_is_said() -> None:
    rows = {row.name: row for row in check_rows(report(without=(*RUNNING, "gpu")), REQUIRED, NAMES)}
    assert rows["health"].ended is Ended.NOT_RUN
    assert rows["health"].required
    assert rows["health"].reason == "this smoke test left it out"
    assert not rows["gpu"].required
    assert rows["layout"].ended is Ended.PASSED


def test_without_any_report_nothing_was_run() -> None:
    rows = check_rows(None, REQUIRED, NAMES)
    assert {row.name for row in rows} == set(NAMES)
    assert {(row.ended, row.reason) for row in rows} == {(Ended.NOT_RUN, "the image was not smoke-tested")}
