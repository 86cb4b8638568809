"""Since when a checkout's files say what they say."""

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from build.doors.checkout import added_lines

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
