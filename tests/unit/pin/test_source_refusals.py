"""What upstream may not choose: where its submodules are read from. And a mirror of ours that is damaged."""

import shutil
from pathlib import Path

import pytest

from build.doors.git import CommitMissing
from build.errors import WorkFailed
from build.recipe.model import GitSource, Recipe
from build.recipe.refs import Commit
from tests.unit.pin.repositories import URL, commit_tree, git, make_recipe, make_repository, make_sources

pytestmark = pytest.mark.processes

MISSING = Commit("0123456789" * 4)


def recipe_of(commit: Commit, *, submodules: bool = False) -> Recipe:
    return make_recipe(GitSource(repo=f"{URL}up.git", commit=commit, version="b1", submodules=submodules))


def with_submodule(tmp_path: Path, url: str) -> Commit:
    """Make an upstream whose submodule `s` lies at `url`, and a private repository of the host with its commit."""
    private, inner = make_repository(tmp_path / "private.git", {"secret": "words\n"})
    repository, _ = make_repository(tmp_path / "served" / "up.git", {"README.md": "words\n"})
    git(repository, "submodule", "--quiet", "add", "--name", "s", str(private), "s")
    git(repository, "config", "--file", ".gitmodules", "submodule.s.url", url.replace("HERE", str(tmp_path)))
    assert inner
    return commit_tree(repository)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("HERE/private.git", "is a path on one machine"),
        ("file://HERE/private.git", "is a path on one machine"),
        ("ssh://git@internal.example.org/x.git", "is not fetched over https"),
        ("git@internal.example.org:x.git", "is an ssh address"),
        ("http://169.254.169.254/x.git", "is not fetched over https"),
        ("ext::sh -c touch% x", "asks git to run a helper program"),
        ("-upload-pack=x", "looks like an option of git"),
        ("https://user:secret@git.example.org/x.git", "holds credentials"),
        (f"{URL}../private.git", "leads out of its folder"),
        (f"{URL}%2e%2e/private.git", "leads out of its folder"),
        ("../../../../../../../private.git", "is not an https URL"),
    ],
)
def test_submodules_of_this_machine(tmp_path: Path, url: str, said: str) -> None:
    commit = with_submodule(tmp_path, url)
    sources = make_sources(tmp_path, (URL, f"file://{tmp_path}/served/"))
    with pytest.raises(WorkFailed) as refused:
        sources.pin(recipe_of(commit, submodules=True))
    assert refused.value.message.startswith(f"the submodule s of {URL}up.git: '")
    assert said in refused.value.message
    assert "secret@" not in refused.value.message
    assert "submodules: false" in refused.value.hint
    assert len(list(sources.mirrors.root.glob("*.git"))) == 1, "nobody was asked"


def test_a_submodule_that_the_user_replaces(tmp_path: Path) -> None:
    commit = with_submodule(tmp_path, "git@internal.example.org:private.git")
    sources = make_sources(
        tmp_path, (URL, f"{tmp_path}/served/"), ("git@internal.example.org:", f"{tmp_path}/")
    )
    folder = sources.folder(sources.pin(recipe_of(commit, submodules=True)))
    assert (folder / "s" / "secret").read_text() == "words\n"


def test_a_damaged_mirror_is_named(tmp_path: Path) -> None:
    make_repository(tmp_path / "up.git", {"a": "a\n"})
    sources = make_sources(tmp_path)
    mirror = sources.mirrors.mirror(f"{URL}up.git")
    shutil.rmtree(mirror / "objects")
    with pytest.raises(WorkFailed) as refused:
        sources.pin(recipe_of(MISSING))
    assert f"{mirror}" in refused.value.message
    assert f"delete {mirror}" in refused.value.hint


def test_a_server_that_knows_better_is_not_asked_for_everything(tmp_path: Path) -> None:
    make_repository(tmp_path / "up.git", {"a": "a\n"})
    sources = make_sources(tmp_path)
    with pytest.raises(CommitMissing):
        sources.pin(recipe_of(MISSING))
    assert git(sources.mirrors.mirror(f"{URL}up.git"), "for-each-ref") == ""
