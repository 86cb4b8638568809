"""The report of a real image: there after every smoke test and push, true after a failure and after a kill."""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from build.report.write import FILES
from tests.integration.conftest import Checkout

pytestmark = pytest.mark.engine


@pytest.fixture
def built(checkout: Checkout, good: Checkout) -> Path:
    """The good image's artifacts in a checkout that a test may spoil."""
    return Path(shutil.copytree(good.out / "minifork", checkout.out / "minifork"))


def heading(out: Path) -> str:
    return (out / "report.md").read_text().splitlines()[0]


def test_a_pushed_image_says_what_it_is_and_where(good: Checkout) -> None:
    out = good.out / "minifork"
    plan, image, push = (good.artifact(name) for name in ("plan", "image", "push"))
    assert heading(out) == f"# passed: `minifork:{plan['tag']}@{image['digest']}`"
    text = (out / "report.md").read_text()
    assert f"{next(iter(push['refs']))}@{image['digest']}" in text
    assert "SASS sm_120a" in text
    assert "├─ libmini-common.so.0 → /app/libmini-common.so.0.1.42" in text
    assert "/app/mini-gen" in text, "beside the server"
    assert "`/app/libmini-cuda.so.0.1.0` | 9.4 MB" in text
    cases = {case.get("name") for case in ET.parse(out / "junit.xml").iter("testcase")}
    assert cases == {check["name"] for check in good.artifact("smoke")["checks"]}
    assert len((out / "times.jsonl").read_text().splitlines()) == 1


def test_a_failed_smoke_test_has_its_report_and_the_next_one_too(checkout: Checkout, built: Path) -> None:
    plan = (built / "plan.json").read_text()
    commit = json.loads(plan)["recipe"]["source"]["commit"][:9]
    assert plan.count(f'"version": "version: 42 ({commit})"') == 1
    (built / "plan.json").write_text(plan.replace(f"version: 42 ({commit})", f"version: 43 ({commit})"))
    summary = checkout.root / "summary.md"
    failed = checkout.run("smoke", "minifork", GITHUB_STEP_SUMMARY=str(summary))
    assert failed.code == 1
    assert heading(built).startswith("# failed: `minifork:")
    assert f"version: 43 ({commit})" in (built / "report.md").read_text()
    assert ET.parse(built / "junit.xml").find(".//testcase[@name='version']/failure") is not None
    assert summary.read_text().splitlines()[0] == heading(built)
    (built / "plan.json").write_text(plan)
    assert checkout.run("smoke", "minifork").code == 0
    assert heading(built).startswith("# passed: `minifork:")
    assert len((built / "times.jsonl").read_text().splitlines()) == 1, "it is the same build"


def test_a_kill_leaves_no_old_report_and_the_next_run_writes_it(checkout: Checkout, built: Path) -> None:
    argv = (sys.executable, "-m", "build", "smoke", "minifork")
    process = subprocess.Popen(argv, cwd=checkout.root, env=checkout.env, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while (built / "smoke.json").exists():
        assert time.monotonic() < until, "the smoke test never began"
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert not any((built / name).exists() for name in ("smoke.json", *FILES))
    assert checkout.run("smoke", "minifork").code == 0
    assert heading(built).startswith("# passed: ")
    assert all((built / name).exists() for name in FILES)


def test_a_run_that_finds_nothing_to_do_writes_a_report_that_is_not_there(checkout: Checkout) -> None:
    assert checkout.run("image", "minifork").code == 0
    out = checkout.out / "minifork"
    (out / "report.html").unlink()
    again = checkout.run("image", "minifork")
    assert "nothing to do" in again.err
    assert (out / "report.html").exists()
