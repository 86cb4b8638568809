"""The samples: their commits are pins, so they are the same everywhere."""

import os
import re
import shutil
from pathlib import Path

import pytest

from build.doors.git import CommitMissing
from build.pin.sample import SAMPLES_URL, sample_commit
from build.recipe.model import GitSource
from build.recipe.refs import Commit
from tests.unit.pin.repositories import make_recipe, make_sources

pytestmark = pytest.mark.processes

ROOT = Path(__file__).parents[3]
STALE = (
    "samples/minifork was changed and recipes/minifork.yaml still pins the commit of before; "
    "take the new one: python -m build pins samples"
)


def copy(source: Path, target: Path) -> Path:
    """Copy a sample as git would have checked it out: without what is only ignored."""
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
    return target


def test_the_recipe_pins_the_sample_as_it_is(tmp_path: Path) -> None:
    commit = sample_commit(ROOT / "samples" / "minifork", tmp_path / "minifork.git")
    pinned = re.search(r"^  commit: (\w+)$", (ROOT / "recipes" / "minifork.yaml").read_text(), re.MULTILINE)
    assert pinned
    assert pinned[1] == commit, STALE


def test_the_commit_is_the_same_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = sample_commit(ROOT / "samples" / "minifork", tmp_path / "minifork.git")
    config = tmp_path / "gitconfig"
    config.write_text(
        "[core]\n\tautocrlf = true\n\tfileMode = false\n[user]\n\tname = Somebody\n[commit]\n\tgpgSign = true\n"
    )
    for name, value in {
        "TZ": "Pacific/Auckland",
        "LC_ALL": "C.UTF-8",
        "GIT_CONFIG_GLOBAL": str(config),
        "GIT_AUTHOR_DATE": "2001-01-01T00:00:00",
        "HOME": str(tmp_path),
    }.items():
        monkeypatch.setenv(name, value)
    before = os.umask(0o077)
    try:
        folder = copy(ROOT / "samples" / "minifork", tmp_path / "a folder with blanks" / "minifork")
        assert sample_commit(folder, tmp_path / "elsewhere" / "minifork.git") == here
    finally:
        os.umask(before)


def test_a_changed_sample_says_how_to_take_the_new_commit(tmp_path: Path) -> None:
    (tmp_path / "samples" / "mini").mkdir(parents=True)
    (tmp_path / "samples" / "mini" / "a.cpp").write_text("int a;\n")
    sources = make_sources(tmp_path, (SAMPLES_URL, f"{tmp_path}/cache/samples/"))
    pinned = Commit("1" * 40)
    with pytest.raises(CommitMissing) as refused:
        sources.pin(make_recipe(GitSource(repo=f"{SAMPLES_URL}mini.git", commit=pinned, version="b1")))
    assert refused.value.message == (
        f"{SAMPLES_URL}mini.git has no commit {pinned}: the sample's files were changed, so it is another commit now"
    )
    assert refused.value.hint == "take the new one: nox -s pins -- samples"


def test_an_older_commit_of_a_sample_stays_buildable(tmp_path: Path) -> None:
    file = tmp_path / "samples" / "mini" / "a.cpp"
    file.parent.mkdir(parents=True)
    file.write_text("int a;\n")
    commit = sample_commit(file.parent, tmp_path / "cache" / "samples" / "mini.git")
    recipe = make_recipe(GitSource(repo=f"{SAMPLES_URL}mini.git", commit=commit, version="b1"))
    sources = make_sources(tmp_path, (SAMPLES_URL, f"{tmp_path}/cache/samples/"))
    first = sources.pin(recipe)
    file.write_text("int b;\n")
    assert sources.pin(recipe) == first
