"""What a run relies on in pull requests, held against the fake and against a stand-in for GitHub's API on loopback."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from build.doors.pullrequests import GitHubPullRequests, PullRequests
from build.doors.web import Web
from build.errors import BadRequest, Unavailable, Unreachable, WorkFailed
from build.settings import GitHub
from tests.contract.github import Repository, serving
from tests.fakes import FakePullRequests

BRANCH = "ingot/bump/minifork"


@dataclass(frozen=True, kw_only=True)
class Side:
    """Pull requests, and how a test looks behind them."""

    requests: PullRequests
    push: Callable[[str], None]
    shown: Callable[[], list[tuple[str, str]]]
    """Title and body of each that is open."""


@pytest.fixture
def repository() -> Repository:
    return Repository()


@pytest.fixture(params=["fake", "real"])
def side(request: pytest.FixtureRequest, repository: Repository) -> Iterator[Side]:
    if request.param == "fake":
        fake = FakePullRequests()
        yield Side(
            requests=fake,
            push=fake.branches.add,
            shown=lambda: [(one.title, one.body) for one in fake.requests.values()],
        )
        return
    with serving(repository) as api:
        where = GitHub(api=api, repository=repository.name, token=repository.token)
        yield Side(
            requests=GitHubPullRequests(where, web=Web(sleep=lambda _: None)),
            push=repository.branches.add,
            shown=lambda: [(one["title"], one["body"]) for one in repository.open],
        )


def test_a_request_is_opened_once_and_then_updated(side: Side) -> None:
    side.push(BRANCH)
    first = side.requests.open_or_update(BRANCH, "b43", "one")
    again = side.requests.open_or_update(BRANCH, "b44", "two")
    assert first == again
    assert first.endswith("/me/ingot/pull/1")
    assert side.shown() == [("b44", "two")]


def test_each_branch_has_its_own(side: Side) -> None:
    for name in (BRANCH, f"{BRANCH}-two"):
        side.push(name)
        side.requests.open_or_update(name, name, "")
    assert side.shown() == [(BRANCH, ""), (f"{BRANCH}-two", "")]


def test_a_branch_that_was_not_pushed_is_refused(side: Side) -> None:
    with pytest.raises(WorkFailed):
        side.requests.open_or_update(BRANCH, "b43", "one")
    assert side.shown() == []


# The real one alone.


@pytest.fixture
def api(repository: Repository) -> Iterator[str]:
    repository.branches.add(BRANCH)
    with serving(repository) as address:
        yield address


def asking(repository: Repository, api: str, *, token: str = "", name: str = "") -> GitHubPullRequests:
    where = GitHub(api=api, repository=name or repository.name, token=token or repository.token)
    return GitHubPullRequests(where, web=Web(sleep=lambda _: None))


def test_it_goes_to_the_default_branch(repository: Repository, api: str) -> None:
    asking(repository, api).open_or_update(BRANCH, "b43", "one")
    assert repository.open[0]["base"]["ref"] == "trunk"


def test_a_request_that_was_closed_stays_closed_and_a_new_one_is_opened(
    repository: Repository, api: str
) -> None:
    asking(repository, api).open_or_update(BRANCH, "b43", "one")
    repository.pulls[0]["state"] = "closed"
    assert asking(repository, api).open_or_update(BRANCH, "b44", "two").endswith("/pull/2")
    assert repository.pulls[0]["title"] == "b43"


def test_an_answer_that_is_lost_opens_no_second_request(repository: Repository, api: str) -> None:
    repository.break_after_post = True
    assert asking(repository, api).open_or_update(BRANCH, "b43", "one").endswith("/pull/1")
    assert len(repository.pulls) == 1
    assert [request.partition("?")[0] for request in repository.asked] == [
        "GET /repos/me/ingot/pulls", "GET /repos/me/ingot", "POST /repos/me/ingot/pulls",
        "GET /repos/me/ingot/pulls", "PATCH /repos/me/ingot/pulls/1",
    ]  # fmt: skip


def test_a_fork_s_branch_of_the_same_name_is_not_ours(repository: Repository, api: str) -> None:
    pull = repository.add(BRANCH, "trunk", "theirs", "")
    pull["head"]["repo"]["full_name"] = "stranger/ingot"
    with pytest.raises(WorkFailed, match="already exists"):
        asking(repository, api).open_or_update(BRANCH, "b43", "one")
    assert pull["title"] == "theirs"


def test_a_body_is_cut_to_what_github_takes(repository: Repository, api: str) -> None:
    asking(repository, api).open_or_update(BRANCH, "b43", "x" * 70_000)
    body = repository.open[0]["body"]
    assert len(body) == 65_536
    assert body.endswith("(cut here: the whole report is in the run's log)\n")


def test_a_wrong_token_and_a_wrong_repository_are_told_apart(repository: Repository, api: str) -> None:
    with pytest.raises(Unavailable) as caught:
        asking(repository, api, token="s3cret").open_or_update(BRANCH, "b43", "one")
    assert caught.value.message.endswith("refuses GITHUB_TOKEN for me/ingot: Bad credentials")
    assert "pull-requests: write" in caught.value.hint
    with pytest.raises(BadRequest) as wrong:
        asking(repository, api, name="me/other").open_or_update(BRANCH, "b43", "one")
    assert "has no repository me/other, or not for GITHUB_TOKEN" in wrong.value.message


def test_a_branch_without_a_change_says_what_to_do(repository: Repository, api: str) -> None:
    with pytest.raises(WorkFailed) as caught:
        asking(repository, api).open_or_update("other", "b43", "one")
    assert "refuses the pull request: Validation Failed; head invalid" in caught.value.message
    assert caught.value.hint == "push the branch other with a change first"


def test_a_server_that_is_gone_is_unreachable(repository: Repository) -> None:
    with serving(repository) as api:
        pass
    with pytest.raises(Unreachable):
        asking(repository, api).open_or_update(BRANCH, "b43", "one")
