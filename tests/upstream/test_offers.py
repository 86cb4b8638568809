"""What a rebuild offers for review, and what runs remember of each other's success, over real git."""

import json
from collections.abc import Callable
from datetime import timedelta

import pytest

from build.doors.pullrequests import GitHubPullRequests
from build.doors.web import Web
from build.follow.work import Outcome, Work
from build.settings import GitHub
from tests.contract.github import Repository, serving
from tests.fakes import FakePullRequests, RecordingReporter
from tests.unit.follow.making import commit_files
from tests.unit.follow.places import Place
from tests.unit.follow.runner import NOW, broken, made
from tests.upstream.machines import git, here, outcomes

pytestmark = pytest.mark.processes

BRANCH = "bump/fork"


def pages(_name: str, work: Work) -> None:
    """Leave what smoke leaves."""
    (work.out / "fork").mkdir(parents=True, exist_ok=True)
    (work.out / "fork" / "report.md").write_text("# Smoke\n\nall passed\n")


def run(
    world: Place,
    door: FakePullRequests | GitHubPullRequests | None,
    at: Callable[[str, Work], None] = pages,
    days: float = 0,
) -> Outcome:
    (found,) = outcomes(
        made(here(world), mirrors=world.root, at=at, door=door, now=lambda: NOW + timedelta(days=days))
    )
    return found


def state(world: Place) -> list[str]:
    return git(here(world), "ls-tree", "-r", "--name-only", "ingot-state").split()


def last_success(world: Place) -> str:
    return str(json.loads(git(here(world), "show", "ingot-state:runs/fork.json"))["last_success"])


def test_one_request_a_recipe_with_what_bump_and_smoke_found(world: Place) -> None:
    door = FakePullRequests(branches={BRANCH})
    first = run(world, door)
    url = "https://github.example.org/me/ingot/pull/1"
    assert (first.verdict, first.request) == ("rebuilt", url)
    assert first.detail == f"b7 to b8, on bump/fork; {url}"
    assert door.requests[BRANCH].title == "fork: b7 to b8"
    bump, _, smoke = door.requests[BRANCH].body.partition("\n\n# Smoke")
    assert bump.startswith("# fork: b7 to b8")
    assert "| `fork/1.patch` | clean |" in bump
    assert smoke == "\n\nall passed"

    again = run(world, None)
    assert (again.verdict, again.request) == ("done already", url), "it is remembered where"

    commit_files(world.upstream, {"cuda/kernel.cu": "o\n"}, subject="third")
    assert run(world, door).request == url
    assert (door.opened, door.requests[BRANCH].title) == (1, "fork: b7 to b9")
    assert state(world) == ["records/fork.json", "runs/fork.json"]


def test_a_request_that_failed_is_the_recipe_s_failure_and_the_next_run_completes_it(world: Place) -> None:
    door = FakePullRequests(branches={BRANCH}, lost=True)
    first = run(world, door)
    assert (first.verdict, first.detail) == (
        "failed",
        "pull request: the server of pull requests cannot be reached: Connection refused",
    )
    assert git(here(world), "log", "--format=%s", f"main..{BRANCH}") == "fork: b7 to b8", "the work is done"
    assert "runs/fork.json" not in state(world), "that was no success"
    door.lost = False

    def never(name: str, _work: Work) -> None:
        raise AssertionError(name)

    second = run(world, door, at=never)
    assert (second.verdict, second.request) == ("done already", "https://github.example.org/me/ingot/pull/1")
    assert "all passed" in door.requests[BRANCH].body, "the words are those of the run that did the work"
    assert state(world) == ["records/fork.json", "runs/fork.json"]
    door.lost = True
    assert run(world, door, at=never).verdict == "done already", "what was offered is not offered again"


def test_an_offer_outlives_a_next_commit_that_fails(world: Place) -> None:
    door = FakePullRequests(branches={BRANCH}, lost=True)
    run(world, door)
    commit_files(world.upstream, {"cuda/kernel.cu": "o\n"}, subject="third")
    both = run(world, door, at=broken("no kernel"))
    assert both.detail == (
        "build and smoke: no kernel; pull request: the server of pull requests cannot be reached: Connection refused"
    )
    door.lost = False
    assert run(world, door, at=broken("no kernel")).verdict == "failed"
    assert door.requests[BRANCH].title == "fork: b7 to b8", "what passed is offered, what failed is not"


def test_an_offer_that_was_merged_meanwhile_is_dropped(world: Place) -> None:
    door = FakePullRequests(branches={BRANCH}, lost=True)
    run(world, door)
    git(here(world), "merge", "-q", BRANCH)
    commit_files(world.upstream, {"cuda/kernel.cu": "o\n"}, subject="third")
    door.lost = False
    assert run(world, door, at=broken("no kernel")).detail == "build and smoke: no kernel"
    assert (door.requests, "offers/fork.json" in state(world)) == ({}, False)


def test_what_failed_is_not_offered(world: Place) -> None:
    door = FakePullRequests(branches={BRANCH})
    assert run(world, door, at=broken("no kernel")).detail == "build and smoke: no kernel"
    assert door.requests == {}


def test_without_a_door_it_is_said_once(world: Place) -> None:
    rebuild = made(here(world), mirrors=world.root)
    outcomes(rebuild)
    assert isinstance(rebuild.reporter, RecordingReporter)
    assert rebuild.reporter.said.count(("note", "no pull request: nowhere")) == 1
    assert "offers/fork.json" not in state(world)
    rebuild.reporter.said.clear()
    outcomes(rebuild)
    assert ("note", "no pull request: nowhere") not in rebuild.reporter.said, "nothing was to be offered"


def test_against_github_as_it_answers(world: Place) -> None:
    repository = Repository()
    repository.branches.add(BRANCH)
    with serving(repository) as api:
        where = GitHub(api=api, repository=repository.name, token=repository.token)
        door = GitHubPullRequests(where, web=Web(sleep=lambda _: None))
        long = "# Smoke\n\n" + "".join(f"## Part {n}\n\n{'x' * 900}\n\n" for n in range(100))

        def at(_name: str, work: Work) -> None:
            pages(_name, work)
            (work.out / "fork" / "report.md").write_text(long)

        assert run(world, door, at=at).request.endswith("/me/ingot/pull/1")
        (shown,) = repository.open
        assert 60_000 < len(shown["body"]) <= 65_536
        assert shown["body"].startswith("# fork: b7 to b8")
        assert shown["body"].endswith("sections are cut here. out/fork/report.md has them.*")
        repository.branches.clear()
        repository.pulls.clear()
        commit_files(world.upstream, {"cuda/kernel.cu": "o\n"}, subject="third")
        refused = run(world, door)
        assert refused.detail.startswith("pull request: 127.0.0.1")
        assert "refuses the pull request" in refused.detail
        repository.branches.add(BRANCH)
        assert run(world, door).verdict == "done already"
        assert [one["title"] for one in repository.open] == ["fork: b7 to b9"]


def test_a_run_that_found_nothing_to_do_was_a_success(world: Place) -> None:
    run(world, None)
    assert last_success(world) == NOW.isoformat()
    git(here(world), "merge", "-q", BRANCH)
    assert outcomes(made(here(world), mirrors=world.root, now=lambda: NOW + timedelta(days=3))) == ()
    assert last_success(world) == (NOW + timedelta(days=3)).isoformat()
    commit_files(world.upstream, {"cuda/kernel.cu": "o\n"}, subject="third")
    for day in (4, 4, 4):
        assert run(world, None, at=broken("no kernel"), days=day).verdict == "failed"
    assert run(world, None, days=4).verdict == "waits"
    assert last_success(world) == (NOW + timedelta(days=3)).isoformat(), "neither is a success"
    assert run(world, None, days=5).verdict == "rebuilt"
    assert last_success(world) == (NOW + timedelta(days=5)).isoformat()


def test_a_look_writes_nothing_down(world: Place) -> None:
    outcomes(made(here(world), mirrors=world.root), dry_run=True)
    assert git(here(world), "for-each-ref", "refs/heads/ingot-state") == ""
