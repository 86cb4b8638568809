"""Files on a branch of their own: read, changed, fought for."""

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from build.doors.git import git_output
from build.doors.statebranch import StateBranch, commit_file, push_branch
from build.errors import Unreachable
from build.follow.state import Leased, State
from tests.unit.follow.making import commit_files
from tests.unit.follow.test_backoff import RECORD

pytestmark = pytest.mark.processes

DATE = "2026-06-01T12:00:00+00:00"
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


def bare(path: Path) -> Path:
    path.mkdir(parents=True)
    git_output(path, "init", "--bare", "--quiet", "--initial-branch=main", ".")
    return path


@pytest.fixture(params=["here", "remote"])
def branch(request: pytest.FixtureRequest, tmp_path: Path) -> StateBranch:
    remote = str(bare(tmp_path / "remote.git")) if request.param == "remote" else ""
    return StateBranch(repository=bare(tmp_path / "clone.git"), branch="state", remote=remote)


def test_files_come_and_go(branch: StateBranch) -> None:
    assert branch.read() == {}
    branch.change(lambda files: {"a/b.json": f"{len(files)}\n", "c": "two\n"}, "first", date=DATE)
    branch.change(lambda _files: {"c": None, "a/b.json": "1\n"}, "second", date=DATE)
    assert branch.read() == {"a/b.json": "1\n"}


def test_nothing_changed_is_no_commit(branch: StateBranch) -> None:
    branch.change(lambda _files: {"a": "1"}, "first", date=DATE)
    where = Path(branch.remote or branch.repository)
    tip = git_output(where, "rev-parse", "state")
    branch.change(lambda _files: {"a": "1", "gone": None}, "second", date=DATE)
    assert git_output(where, "rev-parse", "state") == tip


def test_who_was_outrun_looks_again(branch: StateBranch) -> None:
    calls = []

    def edit(files: Mapping[str, str]) -> dict[str, str | None]:
        calls.append(dict(files))
        if len(calls) == 1:
            branch.change(lambda _files: {"theirs": "x"}, "theirs", date=DATE)
        return {"mine": "y"}

    branch.change(edit, "mine", date=DATE)
    assert calls == [{}, {"theirs": "x"}]
    assert branch.read() == {"mine": "y", "theirs": "x"}


def test_many_at_once_lose_nothing(tmp_path: Path) -> None:
    remote = str(bare(tmp_path / "remote.git"))
    branches = [
        StateBranch(repository=bare(tmp_path / f"clone{number}.git"), branch="state", remote=remote)
        for number in range(2)
    ]
    code = (
        "import sys; from pathlib import Path; from build.doors.statebranch import StateBranch\n"
        "place, remote, name = sys.argv[1:]\n"
        "branch = StateBranch(repository=Path(place), branch='state', remote=remote)\n"
        f"for n in range(3): branch.change(lambda files: {{f'{{name}}{{n}}': '1'}}, name, date='{DATE}')\n"
    )
    root = str(Path(__file__).parents[2])
    children = [
        subprocess.Popen((sys.executable, "-c", code, str(one.repository), remote, name), cwd=root)
        for one, name in zip(branches, "ab", strict=True)
    ]
    assert [child.wait(120) for child in children] == [0, 0]
    assert sorted(branches[0].read()) == ["a0", "a1", "a2", "b0", "b1", "b2"]


def test_a_remote_that_does_not_answer(tmp_path: Path) -> None:
    lost = StateBranch(repository=bare(tmp_path / "x.git"), branch="state", remote=f"file://{tmp_path}/no")
    with pytest.raises(Unreachable):
        lost.read()


def test_a_lease_keeps_others_out_until_it_is_over(branch: StateBranch) -> None:
    one, two = (State(branch=branch, holder=name) for name in ("one", "two"))
    one.hold("fork", NOW)
    with pytest.raises(Leased) as held:
        two.hold("fork", NOW + timedelta(hours=5))
    assert held.value.message == "another run works on fork, until 2026-06-01T18:00:00+00:00 at the latest"
    two.hold("other", NOW)
    one.hold("fork", NOW + timedelta(hours=5))
    with pytest.raises(Leased):
        two.hold("fork", NOW + timedelta(hours=7))
    two.hold("fork", NOW + timedelta(hours=11))
    with pytest.raises(Leased):
        one.release("fork", NOW + timedelta(hours=11), RECORD)
    assert one.records() == {}, "who lost the lease writes nothing down"
    two.release("fork", NOW + timedelta(hours=11), RECORD)
    assert one.records() == {"fork": RECORD}
    one.hold("fork", NOW + timedelta(hours=11))


def test_what_another_version_wrote_is_forgotten(branch: StateBranch) -> None:
    branch.change(
        lambda _files: {"records/fork.json": '{"x": 1}', "leases/fork.json": "nonsense"}, "old", date=DATE
    )
    state = State(branch=branch, holder="one")
    assert state.records() == {}
    state.hold("fork", NOW)
    state.release("fork", NOW, replace(RECORD, failures=2))
    assert state.records()["fork"].failures == 2


def test_a_pin_is_committed_once(tmp_path: Path) -> None:
    repository = tmp_path / "up.git"
    base = commit_files(repository, {"recipes/x.yaml": "old\n", "other": "o\n"})
    file = ("recipes/x.yaml", "new\r\n")
    first = commit_file(repository, base, file, branch="bump/x", message="x", date=DATE)
    again = commit_file(
        repository, base, file, branch="bump/x", message="x", date="2027-01-01T00:00:00+00:00"
    )
    assert again == first
    assert git_output(repository, "show", "bump/x:recipes/x.yaml") == "new\r\n"
    assert git_output(repository, "diff", "--name-only", base, first) == "recipes/x.yaml\n"
    newer = commit_files(repository, {"other": "p\n"})
    third = commit_file(repository, newer, file, branch="bump/x", message="x", date=DATE)
    assert git_output(repository, "rev-parse", "bump/x^").strip() == newer
    remote = bare(tmp_path / "remote.git")
    for _ in range(2):
        push_branch(repository, str(remote), "bump/x")
    assert git_output(remote, "rev-parse", "refs/heads/bump/x").strip() == third
