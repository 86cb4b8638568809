"""The patch ledger for real: the sample's patch set is run in a build, and what it did stands in the image and in the report."""

import re

import pytest

from build.doors.effects import EngineHandle
from build.host.registry import RegistryServer
from build.settings import Settings
from tests.integration.conftest import Checkout, make_checkout

pytestmark = pytest.mark.engine

RECIPE = "recipes/miniserve.yaml"
SCHEDULER, CACHE = "miniserve/core/scheduler.py", "miniserve/core/cache.py"
HALF = f"    patches:\n      - id: M1\n        why: two files\n        files: [{CACHE}, {SCHEDULER}]\n"
M5 = "why: the oldest request first, by a method that is replaced in the running process\n        build: "


@pytest.fixture(scope="module")
def make(
    tmp_path_factory: pytest.TempPathFactory,
    settings: Settings,
    engine: EngineHandle,
    loopback: RegistryServer,
) -> Checkout:
    return make_checkout(tmp_path_factory.mktemp("ledger") / "checkout", settings, engine, loopback)


def with_m1(checkout: Checkout, *, foundational: bool) -> None:
    """The sample's two-file patch is not excluded: it says applied, patches one file, and breaks an import."""
    path = checkout.root / RECIPE
    whole = path.read_text()
    whole = re.sub(r"    exclude:\n.*?(?=\nruntime:)", "", whole, flags=re.DOTALL)
    more = "        foundational: true\n" if foundational else ""
    path.write_text(whole.replace("    patches:\n", HALF + more, 1).replace(f"{M5}no-op", f"{M5}failed"))


def test_an_image_tells_what_became_of_each_patch(make: Checkout) -> None:
    ran = make.run("image", "miniserve")
    assert ran.code == 0, ran.err
    ledger = make.check("patches", "miniserve")["detail"]["ledger"]
    assert {one["id"]: one["outcome"] for one in ledger["patches"]} == {
        "miniserve/0001-parsers-blanks-around-null.patch": "applied",
        "M1": "excluded",
        "M2": "applied",
        "M3": "no-op",
        "M4": "already upstream",
        "M5": "no-op",
        "M6": "applied",
        "M8": "applied",
        "M7": "skipped",
    }
    label = dict(make.artifact("plan", "miniserve")["labels"])["ingot.patch_sets"]
    assert re.fullmatch("minipatches@[0-9a-f]{12}:7-1", label)
    page = (make.out / "miniserve" / "report.md").read_text()
    assert "| `M1` | excluded |" in page
    assert "its patches changed all their files, 1 more change nothing but a running process" in page
    assert "at start: rebinds code in each process that loads the set's plugin" in page


def test_a_half_applied_patch_is_named_by_the_ledger_and_by_an_import(make: Checkout) -> None:
    before = (make.root / RECIPE).read_text()
    with_m1(make, foundational=False)
    ran = make.run("image", "miniserve")
    assert ran.code == 1, ran.err
    half = next(
        one for one in make.check("patches", "miniserve")["detail"]["ledger"]["patches"] if one["id"] == "M1"
    )
    assert (half["outcome"], half["said"], half["untouched"]) == ("half", "applied", [CACHE])
    assert [one["path"] for one in half["files"]] == [SCHEDULER]
    assert (
        "the patch minipatches M1 ended as 'half', expected is 'applied'"
        in make.check("patches", "miniserve")["reason"]
    )
    broken = make.check("imports", "miniserve")["reason"]
    assert "`import miniserve.core.scheduler`: ImportError: cannot import name 'capacity_groups'" in broken
    assert make.run("push", "miniserve").code == 1
    (make.root / RECIPE).write_text(before)


def test_a_half_applied_foundational_patch_ends_the_build(make: Checkout) -> None:
    before = (make.root / RECIPE).read_text()
    with_m1(make, foundational=True)
    ran = make.run("image", "miniserve")
    assert ran.code == 1
    assert "minipatches: M1 is foundational and ended as half: it says applied" in ran.err
    assert f"changed {SCHEDULER}; not changed {CACHE}" in ran.err
    assert (
        f"{CACHE}: anchors found: m1_groups 0x; {SCHEDULER}: anchors found: m1_import 1x, m1_call 1x"
        in ran.err
    )
    assert not (make.out / "miniserve" / "image.json").exists()
    (make.root / RECIPE).write_text(before)


def test_a_diff_that_does_not_fit_the_wheel_is_refused_before_the_build(make: Checkout) -> None:
    patch = "patches/miniserve/0001-parsers-blanks-around-null.patch"
    before = (make.root / patch).read_text()
    make.edit(patch, '     if word == "null":', '     if word == "none":')
    ran = make.run("resolve", "miniserve")
    assert ran.code == 1
    assert (
        "miniserve/0001-parsers-blanks-around-null.patch conflicts with the source at miniserve/parsers.py:1"
        in ran.err
    )
    (make.root / patch).write_text(before)


def test_a_set_that_cannot_be_reached_is_code_4(make: Checkout) -> None:
    before = (make.root / RECIPE).read_text()
    make.edit(
        RECIPE, "repo: https://samples.ingot.invalid/minipatches.git", "repo: https://nowhere.invalid/m.git"
    )
    ran = make.run("resolve", "miniserve")
    assert ran.code == 4
    assert "cannot reach nowhere.invalid for https://nowhere.invalid/m.git" in ran.err
    (make.root / RECIPE).write_text(before)
