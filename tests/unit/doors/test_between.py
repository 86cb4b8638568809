"""What lies between two commits, in real repositories; a history that is not there is never called empty."""

from pathlib import Path

import pytest

from build.doors.between import Between, HistoryMissing, LogLine, read_history
from build.recipe.refs import Commit
from tests.unit.pin.repositories import git, make_repository

pytestmark = pytest.mark.processes


def commit(path: Path, message: str) -> Commit:
    (path / "file").write_text(message)
    git(path, "add", "file")
    git(path, "commit", "--quiet", "-m", message)
    return Commit(git(path, "rev-parse", "HEAD").strip())


@pytest.fixture
def upstream(tmp_path: Path) -> tuple[Path, list[Commit]]:
    """A line of four commits."""
    path, first = make_repository(tmp_path / "upstream", {"file": "0"})
    return path, [first, *(commit(path, f"server: change {number}") for number in range(1, 4))]


def lines(path: Path, *commits: Commit) -> tuple[LogLine, ...]:
    def one(name: Commit) -> LogLine:
        short, _, subject = git(path, "log", "-1", "--format=%h %s", name).strip().partition(" ")
        return LogLine(commit=short, subject=subject)

    return tuple(one(name) for name in commits)


def test_forwards_and_back(upstream: tuple[Path, list[Commit]]) -> None:
    path, (_, first, second, third) = upstream
    between = lines(path, third, second)
    assert [line.subject for line in between] == ["server: change 3", "server: change 2"]
    assert read_history(path / ".git", first, third) == Between(gained=between)
    assert read_history(path / ".git", third, first) == Between(lost=between)
    assert read_history(path / ".git", third, third) == Between()


def test_a_branch_that_was_rewritten(upstream: tuple[Path, list[Commit]]) -> None:
    path, (_, first, second, third) = upstream
    git(path, "checkout", "--quiet", first)
    other = commit(path, "server: another way")
    assert read_history(path / ".git", third, other) == Between(
        gained=lines(path, other), lost=lines(path, third, second)
    )


def test_a_mirror_without_the_commits_between(upstream: tuple[Path, list[Commit]], tmp_path: Path) -> None:
    path, (_, first, _, third) = upstream
    mirror = tmp_path / "mirror.git"
    mirror.mkdir()
    git(mirror, "init", "--quiet", "--bare")
    for name in (first, third):
        git(mirror, "fetch", "--quiet", "--depth=1", f"file://{path}", f"{name}:refs/ingot/{name}")
    with pytest.raises(HistoryMissing) as error:
        read_history(mirror, first, third)
    assert error.value.message == f"the mirror holds {third} without the commits before it"
    git(mirror, "fetch", "--quiet", "--deepen=1", f"file://{path}", third)
    with pytest.raises(HistoryMissing):
        read_history(mirror, first, third)
    git(mirror, "fetch", "--quiet", "--unshallow", f"file://{path}", third)
    assert [line.subject for line in read_history(mirror, first, third).gained] == [
        "server: change 3",
        "server: change 2",
    ]


def test_a_commit_that_is_not_there(upstream: tuple[Path, list[Commit]]) -> None:
    path, commits = upstream
    absent = Commit("0" * 40)
    for pair in ((absent, commits[0]), (commits[0], absent)):
        with pytest.raises(HistoryMissing) as error:
            read_history(path / ".git", *pair)
        assert error.value.message == f"the mirror does not hold {absent}"
