from dataclasses import replace
from pathlib import Path

import pytest

from build.doors.store import read_artifact, to_data, write_artifact
from build.errors import BadRequest, SmokeFailed
from build.image.model import BuiltImage
from build.recipe.refs import Digest
from build.smoke.model import CHECKS_VERSION, CheckResult, Outcome, SmokeReport, VerifiedImage, identify
from tests.unit.smoke.samples import EXPECT

ONE, TWO = Digest("sha256:" + "1" * 64), Digest("sha256:" + "2" * 64)
BUILT = BuiltImage(
    recipe="minifork", variant="no-vmm", fingerprint="f" * 64, digest=ONE, config_digest=TWO, platform="linux/amd64",
    size=0, layers=(), seconds={}, compile_cache={}, engine={},
)  # fmt: skip
PASSED = CheckResult(
    name="closure", outcome=Outcome.PASSED, seconds=0.5, detail={"files": 3, "tree": {"a": [None]}}
)
SKIPPED = CheckResult(name="gpu", outcome=Outcome.SKIPPED, reason="no GPU on this host")
FAILED = CheckResult(name="user", outcome=Outcome.FAILED, reason="runs as root")
EXPECTED = replace(EXPECT, required=("closure",))


def test_smoke_json_holds_what_the_design_says_and_is_read_back(tmp_path: Path) -> None:
    report = SmokeReport.of(BUILT, EXPECTED, (PASSED, SKIPPED))
    assert to_data(report) == {
        "digest": ONE,
        "config_digest": TWO,
        "outcome": "passed",
        "expectations": {"hash": identify(EXPECTED).hash, "checks": CHECKS_VERSION},
        "required": ["closure"],
        "checks": [
            {
                "name": "closure",
                "outcome": "passed",
                "reason": "",
                "seconds": 0.5,
                "detail": {"files": 3, "tree": {"a": [None]}},
            },
            {
                "name": "gpu",
                "outcome": "skipped",
                "reason": "no GPU on this host",
                "seconds": 0.0,
                "detail": {},
            },
        ],
    }
    write_artifact(tmp_path / "smoke.json", report)
    assert read_artifact(tmp_path / "smoke.json", SmokeReport, made_by="x") == report


def test_a_report_that_was_edited_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "smoke.json"
    write_artifact(path, SmokeReport.of(BUILT, EXPECTED, (FAILED,)))
    path.write_text(path.read_text().replace('"outcome": "failed"', '"outcome": "passed"', 1))
    with pytest.raises(BadRequest, match="is not what it should be"):
        read_artifact(path, SmokeReport, made_by="x")


def test_an_outcome_is_what_the_checks_say() -> None:
    report = SmokeReport.of(BUILT, EXPECTED, (FAILED,))
    with pytest.raises(ValueError, match="the outcome is said to be passed, its checks say failed"):
        replace(report, outcome=Outcome.PASSED)


def test_every_expectation_counts(tmp_path: Path) -> None:
    assert identify(EXPECT) == identify(replace(EXPECT))
    for change in ({"cuda": "13.1"}, {"sigterm_exit": 1}, {"required": ("x",)}, {"labels": (("a", "b"),)}):
        assert identify(EXPECT) != identify(replace(EXPECT, **change))


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.SKIPPED])
def test_what_did_not_pass_says_why(outcome: Outcome) -> None:
    with pytest.raises(ValueError, match=f"check 'x' is {outcome} without a reason"):
        CheckResult(name="x", outcome=outcome, reason=" ")


def test_a_report_needs_checks() -> None:
    for checks in ((), (PASSED, PASSED)):
        with pytest.raises(ValueError, match="a smoke report needs checks, each under its own name"):
            SmokeReport.of(BUILT, EXPECTED, checks)


def test_what_is_required_this_time_is_required_of_the_image_too() -> None:
    report = SmokeReport.of(BUILT, EXPECTED, (PASSED, SKIPPED), also=("gpu",))
    assert report.required == ("closure", "gpu")
    assert report.expectations == identify(EXPECTED), "still an answer to the plan's expectations"
    with pytest.raises(SmokeFailed) as caught:
        VerifiedImage(built=BUILT, report=report)
    assert caught.value.message == (
        "minifork+no-vmm: the required check 'gpu' was skipped: no GPU on this host"
    )


def test_a_proven_image_is_verified() -> None:
    report = SmokeReport.of(BUILT, EXPECTED, (PASSED, SKIPPED))
    assert VerifiedImage(built=BUILT, report=report).built is BUILT


@pytest.mark.parametrize(
    ("built", "checks", "required", "reason"),
    [
        (replace(BUILT, digest=TWO), (PASSED,), (), f"the smoke report is for {ONE}, the image is {TWO}"),
        (
            replace(BUILT, config_digest=ONE),
            (PASSED,),
            (),
            f"the smoke report is for {ONE}, the image is {ONE}",
        ),
        (BUILT, (PASSED, FAILED), (), "failed: user"),
        (BUILT, (PASSED, SKIPPED), ("gpu",), "the required check 'gpu' was skipped: no GPU on this host"),
        (BUILT, (PASSED,), ("closure", "starts"), "the required check 'starts' did not run"),
    ],
)
def test_what_is_not_proven_is_refused(
    built: BuiltImage, checks: tuple[CheckResult, ...], required: tuple[str, ...], reason: str
) -> None:
    report = SmokeReport.of(BUILT, replace(EXPECT, required=required), checks)
    with pytest.raises(SmokeFailed) as caught:
        VerifiedImage(built=built, report=report)
    assert caught.value.message == f"minifork+no-vmm: {reason}"
    assert caught.value.exit_code == 1
    why = f"smoke failed: user: {FAILED.reason.splitlines()[0]}" if FAILED in checks else caught.value.message
    assert caught.value.reason == why
