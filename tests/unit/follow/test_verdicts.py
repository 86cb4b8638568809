"""Patches on candidates, over real git: each verdict, for the patch and for each of its hunks."""

import subprocess
from pathlib import Path

import pytest

from build.doors.git import GitMirrors
from build.follow.hunks import hunks
from build.follow.verdicts import PatchVerdict, judge
from build.recipe.model import Patch
from tests.unit.follow.making import commit_files

pytestmark = pytest.mark.processes

BASE = [f"line {number}" for number in range(1, 61)]


def text(*lines: str) -> str:
    return "\n".join(lines) + "\n"


def changed(lines: list[str], **at: str) -> str:
    """Replace lines by number: `_10="x"`."""
    return text(*(at.get(f"_{number}", line) for number, line in enumerate(lines, start=1)))


def diff(tmp_path: Path, before: dict[str, str | None], after: dict[str, str | None]) -> str:
    """Make a patch as a person does: git diff between two folders."""
    for name, files in (("a", before), ("b", after)):
        for path, words in files.items():
            place = tmp_path / "diff" / name / path
            place.parent.mkdir(parents=True, exist_ok=True)
            if words is not None:
                place.write_bytes(words.encode())
    argv = ("git", "diff", "--no-index", "--no-prefix", "a", "b")
    done = subprocess.run(argv, cwd=tmp_path / "diff", check=False, capture_output=True)
    assert done.returncode == 1, done.stderr
    return done.stdout.decode()


def verdicts(tmp_path: Path, candidate: dict[str, str | None], *patches: str) -> tuple[PatchVerdict, ...]:
    mirrors = GitMirrors(root=tmp_path / "git")
    repository = tmp_path / "up.git"
    commit = commit_files(repository, candidate)
    folder = tmp_path / "patches"
    (folder / "fork").mkdir(parents=True)
    listed = []
    for number, patch in enumerate(patches, start=1):
        (folder / "fork" / f"{number}.patch").write_bytes(
            f"Subject: a change\n\nWhy: so\n---\n{patch}-- \n2.39\n".encode()
        )
        listed.append(Patch(file=f"fork/{number}.patch", why="so", drop_when="upstream has it"))
    index = mirrors.index(repository, tmp_path / "index")
    index.read(commit)
    return judge(index, listed, folder)


TWO = {"_10": "ten", "_40": "forty"}


@pytest.mark.parametrize(
    ("candidate", "whole", "places"),
    [
        (changed(BASE), "clean", ["clean", "clean"]),
        (text("new", "new", *BASE), "offset 2", ["offset 2", "offset 2"]),
        (text(*BASE[:20], "new", *BASE[20:]), "offset 1", ["clean", "offset 1"]),
        (changed(BASE, _11="other"), "conflict", ["conflict", "clean"]),
        (changed(BASE, _11="other", _41="other"), "conflict", ["conflict", "conflict"]),
        (changed(BASE, **TWO), "already upstream", ["already upstream", "already upstream"]),
        (text("new", changed(BASE, **TWO).rstrip("\n")), "already upstream", ["already upstream"] * 2),
        (changed(BASE, _40="forty"), "conflict", ["clean", "already upstream"]),
        (None, "target gone", ["target gone", "target gone"]),
    ],
)
def test_each_verdict(tmp_path: Path, candidate: str | None, whole: str, places: list[str]) -> None:
    patch = diff(tmp_path, {"x.cpp": changed(BASE)}, {"x.cpp": changed(BASE, **TWO)})
    files: dict[str, str | None] = {"other.cpp": "here\n"}
    if candidate is not None:
        files["x.cpp"] = candidate
    (found,) = verdicts(tmp_path, files, patch)
    assert found.verdict == whole
    assert [place.verdict for place in found.hunks] == places
    assert [(place.file, place.line) for place in found.hunks] == [("x.cpp", 7), ("x.cpp", 37)]
    assert found.fits is (whole == "clean" or whole.startswith("offset"))
    assert bool(found.said) is not found.fits
    assert found.drop_when == "upstream has it"


def test_a_later_hunk_is_not_moved_by_an_earlier_one(tmp_path: Path) -> None:
    longer = text(*BASE[:9], "a", "b", "c", *BASE[9:39], "forty", *BASE[40:])
    patch = diff(tmp_path, {"x.cpp": changed(BASE)}, {"x.cpp": longer})
    (found,) = verdicts(tmp_path, {"x.cpp": changed(BASE)}, patch)
    assert [place.verdict for place in found.hunks] == ["clean", "clean"]


def test_files_that_come_and_go(tmp_path: Path) -> None:
    patch = diff(tmp_path, {"old.cpp": "old\n", "new.cpp": None}, {"old.cpp": None, "new.cpp": "new\n"})
    (fits,) = verdicts(tmp_path / "1", {"old.cpp": "old\n"}, patch)
    assert fits.verdict == "clean"
    (there,) = verdicts(tmp_path / "2", {"new.cpp": "new\n"}, patch)
    assert [place.verdict for place in there.hunks] == ["already upstream", "already upstream"]
    (other,) = verdicts(tmp_path / "3", {"old.cpp": "old\n", "new.cpp": "something else\n"}, patch)
    assert (other.verdict, sorted(place.verdict for place in other.hunks)) == (
        "conflict",
        ["clean", "conflict"],
    )


def test_a_patch_stands_on_those_before_it(tmp_path: Path) -> None:
    first = diff(tmp_path / "1", {"x.cpp": "a\nb\nc\n"}, {"x.cpp": "a\nB\nc\n"})
    second = diff(tmp_path / "2", {"x.cpp": "a\nB\nc\n"}, {"x.cpp": "a\nB!\nc\n"})
    found = verdicts(tmp_path, {"x.cpp": "a\nb\nc\n"}, first, second)
    assert [one.verdict for one in found] == ["clean", "clean"]
    found = verdicts(tmp_path / "gone", {"x.cpp": "a\nQ\nc\n"}, first, second)
    assert [one.verdict for one in found] == ["conflict", "conflict"], "the first is not there to stand on"


def test_what_a_patch_may_hold(tmp_path: Path) -> None:
    before = "one\r\ntwo\fx\r\n--- not a header\r\n+++ neither\r\nlast"
    after = "one\r\ntwo\fy\r\n++ not a header\r\n+++ neither\r\nlast!"
    patch = diff(tmp_path, {"x.h": before}, {"x.h": after})
    assert [(one.file, one.line) for one in hunks(patch)] == [("x.h", 1)]
    (found,) = verdicts(tmp_path, {"x.h": before}, patch)
    assert (found.verdict, [place.verdict for place in found.hunks]) == ("clean", ["clean"])


def test_the_sample_s_patch_in_pieces() -> None:
    root = Path(__file__).parents[3] / "patches"
    (path,) = root.glob("minifork/*.patch")
    assert [(one.file, one.line) for one in hunks(path.read_text())] == [
        ("server/server.cpp", 158),
        ("server/server.cpp", 186),
    ]
