"""Diffs against the files of real wheels, patch sets in real repositories."""

import subprocess
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from build.doors.git import CommitMissing
from build.doors.gitobjects import object_id
from build.errors import BadRequest, Unreachable, WorkFailed
from build.pin.model import PatchedFile, PinnedSource
from build.pin.patches import PatchRefused
from build.pin.patching import Installed, Patching
from build.pin.wheelfiles import wheel_files
from build.recipe.model import GitSource, PackagesSource, Patch, Recipe
from build.recipe.patchsets import Exclusion, PatchSet
from build.recipe.refs import Commit
from tests.unit.pin.repositories import URL, make_recipe, make_repository, make_sources

pytestmark = pytest.mark.processes

BEFORE = "".join(f"value_{number} = {number}\n" for number in range(1, 21))
AFTER = BEFORE.replace("value_11 = 11", "value_11 = 1111")
DIFF = """\
--- a/package/values.py
+++ b/package/values.py
@@ -8,7 +8,7 @@
 value_8 = 8
 value_9 = 9
 value_10 = 10
-value_11 = 11
+value_11 = 1111
 value_12 = 12
 value_13 = 13
 value_14 = 14
"""
PINNED = PinnedSource(
    url="", commit="", committed_at="", tree="", patched_tree="", archive_sha256="a" * 64, links=()
)
MISSING = Commit("0123456789" * 4)


def wheel(tmp_path: Path, files: Mapping[str, str], name: str = "package-1.0-py3-none-any.whl") -> Path:
    path = tmp_path / name
    with zipfile.ZipFile(path, "w") as archive:
        for inside, text in files.items():
            archive.writestr(inside, text)
    return path


def recipe(*patches: str) -> Recipe:
    source = PackagesSource(packages="p.txt", application="package", upstream=URL, version="1")
    listed = tuple(Patch(file=file, why="a test") for file in patches)
    return replace(
        make_recipe(GitSource(repo=URL, commit=MISSING, version="1")), source=source, patches=listed
    )


def patching(tmp_path: Path, **diffs: str) -> Patching:
    folder = tmp_path / "patches" / "mini"
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in diffs.items():
        (folder / f"{name}.patch").write_text(text)
    return Patching(sources=make_sources(tmp_path))


def installed(*wheels: Path) -> Installed:
    return Installed(origin="wheels://a", read=partial(wheel_files, wheels))


def name(text: str) -> str:
    return object_id("blob", text.encode())


def refused(tmp_path: Path, files: Mapping[str, str], diff: str = DIFF) -> str:
    with pytest.raises(PatchRefused) as caught:
        patching(tmp_path, a=diff).diffs(recipe("mini/a.patch"), PINNED, installed(wheel(tmp_path, files)))
    return caught.value.message


def test_a_diff_is_proven_on_the_wheel_s_file_and_exported(tmp_path: Path) -> None:
    made = patching(tmp_path, a=DIFF)
    wheels = installed(wheel(tmp_path, {"package/values.py": BEFORE, "package/other.py": "other"}))
    found = made.diffs(recipe("mini/a.patch"), PINNED, wheels)
    (proof,) = found.patches
    assert (proof.verdict, proof.touches) == ("clean", ("package/values.py",))
    assert proof.changes == (PatchedFile(path="package/values.py", before=name(BEFORE), after=name(AFTER)),)
    ((context, folder),) = made.contexts(found, ())
    assert context == "edits"
    assert {path.name: path.read_text() for path in folder.rglob("*.py")} == {"values.py": AFTER}
    made.prove(recipe("mini/a.patch"), found, (), wheels)


def test_an_offset_is_said(tmp_path: Path) -> None:
    moved = {"package/values.py": "first = 1\n" + BEFORE}
    found = patching(tmp_path, a=DIFF).diffs(
        recipe("mini/a.patch"), PINNED, installed(wheel(tmp_path, moved))
    )
    assert found.patches[0].verdict == "offset 1"


def test_files_that_a_wheel_installs_from_its_data_folder_count(tmp_path: Path) -> None:
    path = wheel(tmp_path, {"package-1.0.data/purelib/package/values.py": BEFORE})
    assert wheel_files([path], {"package/values.py"}) == {"package/values.py": BEFORE.encode()}


def test_a_change_that_upstream_has_is_already_upstream(tmp_path: Path) -> None:
    said = refused(tmp_path, {"package/values.py": AFTER})
    assert said == "patches/mini/a.patch is already applied: the source has this change"


def test_a_file_that_no_wheel_has_is_gone(tmp_path: Path) -> None:
    said = refused(tmp_path, {"package/other.py": ""})
    assert said == "patches/mini/a.patch: its target is gone: the source has no package/values.py"


def test_lines_that_the_file_has_not_are_gone(tmp_path: Path) -> None:
    said = refused(tmp_path, {"package/values.py": BEFORE.replace("value_11 = 11", "eleven = 11")})
    assert said == (
        "patches/mini/a.patch conflicts with the source at package/values.py:8: its target is gone, "
        "package/values.py has none of the lines that it changes"
    )


def test_a_diff_that_leads_out_of_the_packages_is_refused(tmp_path: Path) -> None:
    said = refused(tmp_path, {"package/values.py": BEFORE}, DIFF.replace("package/", "../package/"))
    assert said == "patches/mini/a.patch leads out of the source: ../package/values.py"


def test_a_file_that_is_no_wheel_is_named(tmp_path: Path) -> None:
    path = tmp_path / "broken.whl"
    path.write_bytes(b"no zip")
    with pytest.raises(WorkFailed, match=r"broken\.whl is no wheel: File is not a zip file"):
        wheel_files([path], {"a"})


def test_exported_edits_that_were_changed_are_refused(tmp_path: Path) -> None:
    made = patching(tmp_path, a=DIFF)
    wheels = installed(wheel(tmp_path, {"package/values.py": BEFORE}))
    found = made.diffs(recipe("mini/a.patch"), PINNED, wheels)
    ((_, folder),) = made.contexts(found, ())
    (folder / "package/values.py").write_text("other")
    with pytest.raises(WorkFailed, match="was changed after it was pinned"):
        made.prove(recipe("mini/a.patch"), found, (), wheels)


def test_a_wheel_that_was_changed_is_found_by_its_files(tmp_path: Path) -> None:
    made = patching(tmp_path, a=DIFF)
    found = made.diffs(
        recipe("mini/a.patch"), PINNED, installed(wheel(tmp_path, {"package/values.py": BEFORE}))
    )
    other = installed(wheel(tmp_path, {"package/values.py": BEFORE + "more = 1\n"}))
    with pytest.raises(WorkFailed, match="its pin says that the patched files are"):
        made.prove(recipe("mini/a.patch"), found, (), other)


SET_FILES = {
    "src/patches/__init__.py": "",
    "src/patches/wiring/m1.py": "one",
    "plugin/pyproject.toml": "[project]",
}


def a_set(commit: Commit, **values: object) -> PatchSet:
    plain = PatchSet(
        name="set",
        repo=f"{URL}set.git",
        commit=commit,
        version="v1",
        place=(("src/patches", "package/_patches"),),
        run=("python", "-m", "package._patches"),
        plugin="plugin",
        helper="mini/platform",
        exclude=(Exclusion(id="M1", why="a test", file="package/_patches/wiring/m1.py", by="mini/m1.py"),),
    )
    return replace(plain, **values)  # type: ignore[arg-type]


def with_set(tmp_path: Path, **values: object) -> tuple[Patching, Recipe]:
    _, commit = make_repository(tmp_path / "set.git", SET_FILES)
    made = patching(tmp_path)
    (tmp_path / "patches/mini/platform").mkdir()
    (tmp_path / "patches/mini/platform/fake.py").write_text("fake")
    (tmp_path / "patches/mini/m1.py").write_text("ours")
    return made, replace(recipe(), patch_sets=(a_set(values.pop("commit", commit), **values),))  # type: ignore[arg-type]


def test_a_set_is_proven_like_a_source(tmp_path: Path) -> None:
    made, asked = with_set(tmp_path)
    (found,) = made.sets(asked, ())
    assert found.name == "set"
    assert found.ours == (("mini/m1.py", "ours"), ("mini/platform/fake.py", "fake"))
    ((context, folder),) = made.contexts(PINNED, (found,))
    assert context == "patchset-set"
    assert (folder / "src/patches/wiring/m1.py").read_text() == "one"
    made.prove(asked, PINNED, (found,), installed())
    (folder / "src/patches/wiring/m1.py").write_text("two")
    with pytest.raises(WorkFailed, match="was changed after it was pinned"):
        made.prove(asked, PINNED, (found,), installed())


def test_a_set_that_cannot_be_reached_is_code_4_with_the_reason(tmp_path: Path) -> None:
    made, asked = with_set(tmp_path)
    away = Patching(sources=make_sources(tmp_path, (URL, "http://127.0.0.1:9/")))
    with pytest.raises(Unreachable) as caught:
        away.sets(asked, ())
    assert caught.value.exit_code == 4
    assert caught.value.message.startswith(
        f"cannot reach 127.0.0.1 for {URL}set.git: fatal: unable to access"
    )
    assert "INGOT_GIT_MIRROR" in caught.value.hint
    assert made.sets(asked, ())


def test_a_commit_that_the_set_has_not(tmp_path: Path) -> None:
    made, asked = with_set(tmp_path, commit=MISSING)
    with pytest.raises(CommitMissing, match=f"has no commit {MISSING}"):
        made.sets(asked, ())


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"place": (("src/other", "package/_patches"),)}, "place src/other: .* has no src/other at "),
        ({"plugin": "plugins"}, "plugin plugins: .* has no plugins/pyproject.toml at "),
        (
            {"exclude": (Exclusion(id="M1", why="a", file="package/_patches/m1.py", by="mini/m1.py"),)},
            "exclude M1: .* has no src/patches/m1.py at ",
        ),
    ],
)
def test_what_the_set_has_not(tmp_path: Path, values: dict[str, object], said: str) -> None:
    made, asked = with_set(tmp_path, **values)
    with pytest.raises(WorkFailed, match=f"mini: patch set set, {said}"):
        made.sets(asked, ())


def test_packages_that_the_lock_has_not(tmp_path: Path) -> None:
    made, asked = with_set(tmp_path, requires=("pandas", "xxhash"))
    with pytest.raises(BadRequest) as caught:
        made.sets(asked, ("xxhash",))
    assert caught.value.message == "mini: the patch set set needs pandas, which the lock does not have"
    assert made.sets(asked, ("pandas", "xxhash"))
    # A publisher's image has no lock: the build looks for them in it.
    assert made.sets(asked, None)


def test_ids_are_those_of_git(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text(AFTER)
    asked = subprocess.run(("git", "hash-object", str(path)), capture_output=True, text=True, check=True)
    assert asked.stdout.strip() == name(AFTER)
