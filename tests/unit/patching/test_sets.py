"""The sample's patch set over the sample's package, each of its faults."""

import subprocess
from pathlib import Path

import pytest

from tests.unit.patching.installed import Installed, mini_set, patch

pytestmark = pytest.mark.processes

CACHE, SCHEDULER = "miniserve/core/cache.py", "miniserve/core/scheduler.py"
STUB = 'def apply():\n    return "skipped", "excluded"\n'
WIRING = "miniserve/_patches/wiring/m1_capacity.py"
NO_M1 = {"id": "M1", "why": "it breaks an import", "file": WIRING, "by": "mini/m1.py"}
ALL = (
    patch("M2", files=["miniserve/parsers.py"]),
    patch("M3", files=["miniserve/limits.py"], build="no-op"),
    patch("M4", files=["miniserve/limits.py"], build="already upstream"),
    patch("M5", build="no-op", start="rebind"),
    patch("M6", files=["miniserve/limits.py"], build="skipped"),
    patch("M8", files=["miniserve/limits.py"], optional=["m8_import"]),
    patch("M7", build="skipped", start="none"),
)


@pytest.fixture
def without_m1(installed: Installed) -> Installed:
    stub = installed.context / "ours" / "mini" / "m1.py"
    stub.parent.mkdir(parents=True)
    stub.write_text(STUB)
    return installed


def test_each_patch_is_told_apart(without_m1: Installed) -> None:
    before = (without_m1.site / "miniserve/parsers.py").read_bytes()
    ran = without_m1.run(sets=[mini_set(*ALL, exclude=[NO_M1])])
    assert ran.status == 0, ran.words
    outcomes = {one["id"]: one["outcome"] for one in ran.document["patches"]}
    assert outcomes == {
        "M1": "excluded",
        "M2": "applied",
        "M3": "no-op",
        "M4": "already upstream",
        "M5": "no-op",
        "M6": "skipped",
        "M8": "applied",
        "M7": "skipped",
    }
    assert all(one["as_expected"] for one in ran.document["patches"])
    (file,) = ran.patch("M2")["files"]
    assert file == {
        "path": "miniserve/parsers.py",
        "before": git_id(before),
        "after": git_id((without_m1.site / "miniserve/parsers.py").read_bytes()),
    }
    assert ran.patch("M4")["reason"] == "miniserve/limits.py has 'return max(1, batch)'"
    assert ran.patch("M6")["reason"] == "not for the platform cpu"
    assert ran.patch("M7")["reason"] == "opt-in: set MINI_ENABLE_M7=1"
    assert ran.patch("M3")["remarks"] == ["it says applied, and no file was changed"]
    assert ran.patch("M5")["remarks"] == []


def git_id(data: bytes) -> str:
    asked = subprocess.run(("git", "hash-object", "--stdin"), input=data, capture_output=True, check=True)
    return asked.stdout.decode().strip()


def test_the_set_s_own_count_is_compared_with_the_files(without_m1: Installed) -> None:
    ran = without_m1.run(sets=[mini_set(*ALL, exclude=[NO_M1])])
    (one,) = ran.document["sets"]
    assert (one["said"], one["applied"]) == ("4 applied, 4 skipped, 0 failed", 2)
    (remark,) = one["remarks"]
    assert remark == (
        "it says '4 applied, 4 skipped, 0 failed'; 2 of its patches changed all their files, "
        "1 more change nothing but a running process"
    )


def test_an_excluded_patch_has_touched_nothing(without_m1: Installed) -> None:
    before = [(without_m1.site / name).read_bytes() for name in (CACHE, SCHEDULER)]
    ran = without_m1.run(sets=[mini_set(*ALL, exclude=[NO_M1])])
    assert [(without_m1.site / name).read_bytes() for name in (CACHE, SCHEDULER)] == before
    assert ran.patch("M1")["files"] == []
    assert (without_m1.site / WIRING).read_text() == STUB


def test_a_half_applied_patch_names_both_files(installed: Installed) -> None:
    """It says applied; one of its two files was patched, and an import is broken."""
    ran = installed.run(sets=[mini_set(patch("M1", files=[CACHE, SCHEDULER]), *ALL)])
    assert ran.status == 0, ran.words
    half = ran.patch("M1")
    assert (half["outcome"], half["said"], half["as_expected"]) == ("half", "applied", False)
    assert [one["path"] for one in half["files"]] == [SCHEDULER]
    assert half["untouched"] == [CACHE]
    assert half["reason"] == "cache=skipped(required_anchor_missing), scheduler=applied(ok)"
    assert half["remarks"] == ["it says applied, and only a part of it is"]
    found = {one["path"]: {a["name"]: a["count"] for a in one["anchors"]} for one in half["attempts"]}
    assert found == {CACHE: {"m1_groups": 0}, SCHEDULER: {"m1_import": 1, "m1_call": 1}}
    broken = installed.python("-c", "import miniserve.core.scheduler")
    assert "cannot import name 'capacity_groups'" in broken.stderr


def test_a_half_applied_foundational_patch_ends_the_build(installed: Installed) -> None:
    ran = installed.run(sets=[mini_set(patch("M1", files=[CACHE, SCHEDULER], foundational=True), *ALL)])
    assert ran.status == 1
    assert ran.words.splitlines()[-1] == (
        "patch ledger: mini: M1 is foundational and ended as half: it says applied "
        "(cache=skipped(required_anchor_missing), scheduler=applied(ok)); "
        f"changed {SCHEDULER}; not changed {CACHE}; {CACHE}: anchors found: m1_groups 0x; "
        f"{SCHEDULER}: anchors found: m1_import 1x, m1_call 1x"
    )


def test_a_foundational_patch_without_effect_ends_the_build(without_m1: Installed) -> None:
    others = [one for one in ALL if one["id"] != "M3"]
    empty = patch("M3", files=["miniserve/limits.py"], foundational=True)
    ran = without_m1.run(sets=[mini_set(*others, empty, exclude=[NO_M1])])
    assert ran.status == 1
    assert "mini: M3 is foundational and ended as no-op: it says applied (queue of 64); " in ran.words
    assert "changed no file; not changed miniserve/limits.py" in ran.words


def test_the_helper_is_there_for_the_run_and_not_afterwards(without_m1: Installed) -> None:
    helper = without_m1.context / "ours" / "mini" / "platform"
    (helper / "fake-0.dist-info").mkdir(parents=True)
    (helper / "fake-0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: fake\nVersion: 0\n")
    points = "[miniserve.platforms]\ncuda = fake_platform:name\n"
    (helper / "fake-0.dist-info" / "entry_points.txt").write_text(points)
    (helper / "fake_platform.py").write_text('def name():\n    return "cuda"\n')
    others = [one for one in ALL if one["id"] != "M6"]
    six = patch("M6", files=["miniserve/limits.py"], foundational=True)
    ran = without_m1.run(sets=[mini_set(*others, six, exclude=[NO_M1], helper="mini/platform")])
    assert ran.status == 0, ran.words
    assert ran.patch("M6")["outcome"] == "applied"
    asked = without_m1.python(
        "-c", "from miniserve import limits, platforms; print(limits.WORKERS, platforms.current())"
    )
    assert asked.stdout == "4 cpu\n"
    assert not list(without_m1.root.rglob("venv/**/fake*"))


def test_an_exclusion_without_effect_ends_the_build(installed: Installed) -> None:
    """Another module than the one that patches was replaced: the patch ran all the same."""
    other = "miniserve/_patches/wiring/m2_none.py"
    stub = installed.context / "ours" / "mini" / "m1.py"
    stub.parent.mkdir(parents=True)
    stub.write_text(STUB)
    ran = installed.run(sets=[mini_set(*ALL, exclude=[{**NO_M1, "file": other}])])
    assert ran.status == 1
    assert f"patch ledger: mini: M1 is excluded, and ran all the same: it changed {SCHEDULER}" in ran.words


def test_an_excluded_file_that_is_gone_ends_the_build(without_m1: Installed) -> None:
    gone = {**NO_M1, "file": "miniserve/_patches/wiring/patch_1.py"}
    ran = without_m1.run(sets=[mini_set(*ALL, exclude=[gone])])
    assert ran.status == 1
    assert ran.words == (
        "patch ledger: mini: M1 is to be excluded, but the set has no miniserve/_patches/wiring/patch_1.py any more\n"
    )


def test_a_patch_that_the_set_has_not_ends_the_build(without_m1: Installed) -> None:
    ran = without_m1.run(sets=[mini_set(*ALL, patch("M9"), exclude=[NO_M1])])
    assert ran.status == 1
    assert "patch ledger: mini: M9: the set has no such patch; its recipe names it" in ran.words


def test_a_patch_that_the_recipe_has_not_is_named(without_m1: Installed) -> None:
    others = [one for one in ALL if one["id"] != "M2"]
    ran = without_m1.run(sets=[mini_set(*others, exclude=[NO_M1])])
    unknown = ran.patch("M2")
    assert (unknown["outcome"], unknown["as_expected"]) == ("applied", False)
    assert unknown["remarks"] == ["the recipe does not know this patch"]


def test_an_anchor_that_is_missing_makes_half_a_patch_unless_it_may_be(without_m1: Installed) -> None:
    others = [one for one in ALL if one["id"] != "M8"]
    eight = patch("M8", files=["miniserve/limits.py"])
    ran = without_m1.run(sets=[mini_set(*others, eight, exclude=[NO_M1])])
    half = ran.patch("M8")
    assert (half["outcome"], half["untouched"]) == ("half", [])
    assert half["remarks"] == [
        "it says applied, and only a part of it is",
        "miniserve/limits.py: anchors found: m8_import 0x, m8_size 1x",
    ]


def test_the_plugin_is_installed_and_loads(without_m1: Installed) -> None:
    without_m1.run(sets=[mini_set(*ALL, exclude=[NO_M1])])
    code = (
        "from importlib.metadata import entry_points, version; "
        "(point,) = entry_points(group='miniserve.plugins'); point.load()(); "
        "from miniserve.core.scheduler import Scheduler; print(version('mini-patches-plugin'), Scheduler.next.__name__)"
    )
    asked = without_m1.python("-c", code)
    assert asked.stdout.splitlines()[-1] == "1.0.0 by_age", asked.stderr


def test_the_ledger_is_the_same_again_and_names_no_place(tmp_path: Path) -> None:
    texts = []
    for name in ("one", "another"):
        made = Installed.make(tmp_path / name)
        (made.context / "sets" / "mini").symlink_to(Path(__file__).parents[3] / "samples" / "minipatches")
        ran = made.run(sets=[mini_set(patch("M1", files=[CACHE, SCHEDULER]), *ALL)])
        assert ran.status == 0, ran.words
        ran.document.pop("site")
        texts.append(ran.document)
    assert texts[0] == texts[1]
    assert str(tmp_path) not in str(texts[0])


def test_a_set_without_a_registry_is_told_apart_by_files_and_markers(without_m1: Installed) -> None:
    whole = mini_set(
        patch("M2", files=["miniserve/parsers.py"], markers=["M2 none beside null"]),
        patch("M6", files=["miniserve/limits.py"], markers=["M6 workers"], build="no-op"),
        patch("M8", files=["miniserve/limits.py"], markers=["M8 size"]),
        registry="",
        patcher="",
    )
    stub = without_m1.context / "ours" / "mini" / "m1.py"
    assert stub.exists()
    ran = without_m1.run(sets=[{**whole, "exclude": [NO_M1]}])
    assert ran.status == 0, ran.words
    assert ran.patch("M2")["outcome"] == "applied"
    assert ran.patch("M2")["means"] == "run as a whole, told apart by files and markers"
    assert ran.patch("M6")["outcome"] == "no-op"
    assert ran.patch("M1")["outcome"] == "excluded"


def test_a_file_that_nobody_changed_ends_the_build(without_m1: Installed) -> None:
    whole = mini_set(patch("M8", files=["miniserve/limits.py"], markers=["M8 size"]), registry="", patcher="")
    ran = without_m1.run(sets=[{**whole, "exclude": [NO_M1]}])
    assert ran.status == 1
    assert "patch ledger: mini: miniserve/parsers.py was changed, and by none of its patches" in ran.words


def test_a_set_that_does_not_run_ends_the_build_with_its_words(installed: Installed) -> None:
    broken = mini_set(
        *ALL,
        registry="miniserve._patches.apply:PATCH_REGISTRY",
        run=["python", "-m", "miniserve._patches.apply"],
    )
    ran = installed.run(sets=[broken])
    assert ran.status == 1
    assert "patch ledger: mini: no patch of it ran; it ended with status 1:" in ran.words
    assert "No module named 'miniserve._patches.apply'" in ran.words


def test_a_package_that_the_set_needs_and_the_image_has_not_ends_the_build(installed: Installed) -> None:
    ran = installed.run(sets=[{**mini_set(*ALL), "requires": ["pandas", "xxhash"]}])
    assert ran.status == 1
    assert "mini: the set needs pandas, xxhash, which the image does not have" in ran.words
    assert not (installed.site / "miniserve/_patches").exists()


def test_a_set_may_not_lay_itself_over_installed_files(installed: Installed) -> None:
    ran = installed.run(sets=[mini_set(*ALL, place=[["mini_patches", "miniserve/core"]])])
    assert ran.status == 1
    assert "is there already; a patch set may add files, not replace them unseen" in ran.words
