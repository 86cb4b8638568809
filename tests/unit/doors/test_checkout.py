"""Since when a checkout's files say what they say."""

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from build.doors.checkout import CheckoutState, added_lines, checkout_state

pytestmark = pytest.mark.processes


def git(root: Path, *words: str, day: int = 1) -> None:
    date = f"2026-01-{day:02}T00:00:00+0000"
    who = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    env = {"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date, "PATH": "/usr/bin:/bin", "HOME": str(root)}
    subprocess.run(("git", *who, *words), cwd=root, env=env, check=True, capture_output=True)


def commit(root: Path, text: str, day: int) -> None:
    (root / "recipes").mkdir(exist_ok=True)
    (root / "recipes" / "x.yaml").write_text(text)
    git(root, "add", ".")
    git(root, "commit", "-m", "change", day=day)


def test_the_newest_time_of_each_line(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "-b", "main")
    commit(tmp_path, "a: 1\n  commit: one\n", 1)
    commit(tmp_path, "a: 2\n  commit: one\n", 2)
    commit(tmp_path, "a: 2\n  commit: two\n", 3)
    (tmp_path / "elsewhere.yaml").write_text("commit: three\n")
    commit(tmp_path, "a: 2\n  commit: one\n", 5)
    assert added_lines(tmp_path, "recipes", "commit:") == {
        "commit: one": datetime(2026, 1, 5, tzinfo=UTC),
        "commit: two": datetime(2026, 1, 3, tzinfo=UTC),
    }


def test_no_checkout_says_nothing(tmp_path: Path) -> None:
    assert added_lines(tmp_path, "recipes", "commit:") == {}
    git(tmp_path, "init", "-q")
    assert added_lines(tmp_path, "recipes", "commit:") == {}, "no commit yet"


def test_a_shallow_clone_s_oldest_commit_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    git(tmp_path / "whole", "init", "-q", "-b", "main")
    commit(tmp_path / "whole", "commit: one\n", 1)
    commit(tmp_path / "whole", "commit: one\n# a remark\n", 9)
    git(tmp_path, "clone", "-q", "--depth=1", f"file://{tmp_path}/whole", "shallow")
    assert added_lines(tmp_path / "shallow", "recipes", "commit:") == {}


def test_the_state_that_a_build_depends_on(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "-b", "main")
    commit(tmp_path, "a: 1\n", 1)
    found = checkout_state(tmp_path)
    assert (len(found.commit), found.changed, found.repository) == (40, False, "")
    (tmp_path / "notes.txt").write_text("no input of a build")
    assert checkout_state(tmp_path) == found
    (tmp_path / "recipes" / "new.yaml").write_text("a: 1\n")
    assert checkout_state(tmp_path).changed, "a recipe that is not committed"
    (tmp_path / "recipes" / "new.yaml").unlink()
    (tmp_path / "recipes" / "x.yaml").write_text("a: 2\n")
    assert checkout_state(tmp_path).changed


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("https://me:secret@git.example.org/recipes.git", "https://git.example.org/recipes.git"),
        ("ssh://git@git.example.org/recipes.git", "ssh://git.example.org/recipes.git"),
        ("/srv/recipes", ""),
        ("file:///srv/recipes", ""),
    ],
)
def test_an_address_is_told_without_login_and_a_path_not_at_all(tmp_path: Path, url: str, said: str) -> None:
    git(tmp_path, "init", "-q", "-b", "main")
    commit(tmp_path, "a: 1\n", 1)
    git(tmp_path, "remote", "add", "origin", url)
    assert checkout_state(tmp_path).repository == said


def test_a_second_worktree_has_a_state_too(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    git(tmp_path / "one", "init", "-q", "-b", "main")
    commit(tmp_path / "one", "a: 1\n", 1)
    git(tmp_path / "one", "worktree", "add", "-q", str(tmp_path / "two"))
    assert checkout_state(tmp_path / "two") == checkout_state(tmp_path / "one")
    assert checkout_state(tmp_path / "two").commit


def test_where_git_knows_nothing_nothing_is_said(tmp_path: Path) -> None:
    assert checkout_state(tmp_path) == CheckoutState()
    git(tmp_path, "init", "-q")
    assert checkout_state(tmp_path) == CheckoutState(), "no commit yet"
