"""What GitHub may answer and a stand-in does not: limits, other people's JSON, secrets in messages."""

import json
from pathlib import Path

import pytest

from build.doors.pullrequests import GitHubPullRequests
from build.errors import BadRequest, IngotError, Unavailable, Unreachable, WorkFailed
from build.settings import GitHub, from_env
from tests.unit.doors.wires import Reply, Wire

TOKEN = "ghs_s3cret"
WHERE = GitHub(repository="me/ingot", token=TOKEN)
LIST = "GET https://api.github.com/repos/me/ingot/pulls?state=open&head=me%3Abump"
REPO = "GET https://api.github.com/repos/me/ingot"
OPEN = "POST https://api.github.com/repos/me/ingot/pulls"
URL = "https://github.com/me/ingot/pull/7"


def reply(document: object, status: int = 200, **headers: str) -> Reply:
    return Reply(status=status, headers=headers, body=json.dumps(document).encode())


@pytest.fixture
def wire() -> Wire:
    made = Wire()
    made.on(LIST, reply([]))
    made.on(REPO, reply({"default_branch": "main"}))
    made.on(OPEN, reply({"html_url": URL}, 201))
    return made


def offer(wire: Wire) -> str:
    return GitHubPullRequests(WHERE, web=wire.web()).open_or_update("bump", "title", "body")


def failed(wire: Wire, kind: type[IngotError]) -> IngotError:
    with pytest.raises(kind) as caught:
        offer(wire)
    assert TOKEN not in f"{caught.value.message} {caught.value.hint}"
    return caught.value


def test_what_is_sent_is_what_the_api_asks_for(wire: Wire) -> None:
    assert offer(wire) == URL
    sent = wire.sent[-1]
    assert json.loads(sent.body) == {"title": "title", "body": "body", "head": "bump", "base": "main"}
    assert sent.headers["Authorization"] == f"Bearer {TOKEN}"
    assert sent.headers["Accept"] == "application/vnd.github+json"
    assert sent.headers["X-GitHub-Api-Version"] == "2022-11-28"


@pytest.mark.parametrize("header", [{"X-RateLimit-Remaining": "0"}, {"Retry-After": "60"}])
def test_a_limit_is_not_a_refusal(wire: Wire, header: dict[str, str]) -> None:
    wire.on(LIST, reply({"message": "API rate limit exceeded"}, 403, **header))
    assert failed(wire, Unreachable).message == (
        "api.github.com takes no more requests for now: API rate limit exceeded"
    )


def test_a_permission_that_lacks_is_named_with_the_setting(wire: Wire) -> None:
    words = "GitHub Actions is not permitted to create or approve pull requests."
    wire.on(OPEN, reply({"message": words}, 403))
    error = failed(wire, Unavailable)
    assert error.message == f"api.github.com refuses GITHUB_TOKEN for me/ingot: {words}"
    assert "'Allow GitHub Actions to create and approve pull requests'" in error.hint


def test_an_overloaded_server_is_asked_again(wire: Wire) -> None:
    wire.on(OPEN, Reply(status=502), reply({"html_url": URL}, 201))
    assert offer(wire) == URL
    assert wire.asked.count(LIST) == 2, "the request may have been opened in spite of the 502"


def test_a_request_opened_in_between_is_updated(wire: Wire) -> None:
    exists = {
        "message": "Validation Failed",
        "errors": [{"message": "A pull request already exists for me:bump."}],
    }
    mine = {"number": 7, "head": {"ref": "bump", "repo": {"full_name": "me/ingot"}}}
    wire.on(OPEN, reply(exists, 422))
    wire.on(LIST, reply([]), reply([mine]))
    wire.on("PATCH https://api.github.com/repos/me/ingot/pulls/7", reply({"html_url": URL}))
    assert offer(wire) == URL


@pytest.mark.parametrize("listed", [{}, ["x"], [{"head": None}], [{"head": {"ref": "bump", "repo": None}}]])
def test_requests_of_others_are_passed_over(wire: Wire, listed: object) -> None:
    wire.on(LIST, reply(listed))
    assert offer(wire) == URL
    assert wire.asked[-1] == OPEN


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (Reply(status=201, body=b"<html>"), "api.github.com did not answer as GitHub does"),
        (reply({}, 201), "api.github.com answered without the address of the pull request"),
        (reply({"message": "x"}, 418), "api.github.com answered 418 to POST /pulls of me/ingot: x"),
        (
            Reply(status=307, headers={"Location": "/elsewhere"}),
            "answered 307 to POST /pulls of me/ingot: status 307",
        ),
        (reply({"message": f"bad {TOKEN}\n", "errors": "x"}, 418), "of me/ingot: bad *** "),
        (
            reply({"message": "no", "errors": ["No commits between main and bump"]}, 422),
            "no; No commits between main",
        ),
        (reply([], 422), "refuses the pull request: status 422"),
    ],
)
def test_other_answers_are_failures_with_a_reason(wire: Wire, answer: Reply, message: str) -> None:
    wire.on(OPEN, answer)
    assert message in failed(wire, WorkFailed).message


@pytest.mark.parametrize(
    ("env", "missing"),
    [({"GITHUB_TOKEN": "x"}, "GITHUB_REPOSITORY"), ({"GITHUB_REPOSITORY": "me/ingot"}, "GITHUB_TOKEN")],
)
def test_what_is_not_set_is_named(env: dict[str, str], missing: str) -> None:
    with pytest.raises(BadRequest) as caught:
        GitHubPullRequests(from_env(env, Path("/x")).pull_requests)
    assert caught.value.message == f"{missing} is not set: no repository to offer changes to"


def test_the_token_is_in_no_repr() -> None:
    settings = from_env({"GITHUB_TOKEN": TOKEN, "GITHUB_REPOSITORY": "me/ingot"}, Path("/x"))
    assert settings.pull_requests == WHERE
    assert TOKEN not in repr(settings)
    with pytest.raises(BadRequest) as caught:
        from_env({"GITHUB_REPOSITORY": "me"}, Path("/x"))
    assert caught.value.message == "GITHUB_REPOSITORY is 'me'"
