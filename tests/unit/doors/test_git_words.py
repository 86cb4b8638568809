"""What git says when a remote command fails, told apart: not there, our mirror is broken, not reachable."""

from pathlib import Path

import pytest

from build.doors.remotewords import join, refused, unreachable
from build.errors import BadRequest, IngotError, Unreachable, WorkFailed

URL = "https://github.com/owner/x.git"
MIRROR = Path("/cache/git/x.git")
ACCESS = f"fatal: unable to access '{URL}/': "
NO_REMOTE = (
    "fatal: Could not read from remote repository.\n\nPlease make sure you have the correct access rights"
)


@pytest.mark.parametrize(
    ("err", "kind"),
    [
        (f"fatal: repository '{URL}/' not found", BadRequest),
        (f"remote: Repository not found.\nfatal: repository '{URL}/' not found", BadRequest),
        ("fatal: could not read Username for 'https://github.com': terminal prompts disabled", BadRequest),
        (f"remote: Invalid credentials\nfatal: Authentication failed for '{URL}/'", BadRequest),
        (ACCESS + "The requested URL returned error: 403", BadRequest),
        (f"ERROR: Repository not found.\n{NO_REMOTE}", BadRequest),
        (f"git@github.com: Permission denied (publickey).\n{NO_REMOTE}", BadRequest),
        ("fatal: remote error: access denied or repository not exported: /x", BadRequest),
        (ACCESS + "Could not resolve host: github.com", Unreachable),
        (ACCESS + "Failed to connect to github.com port 443: Connection refused", Unreachable),
        (ACCESS + "Received HTTP code 403 from proxy after CONNECT", Unreachable),
        (ACCESS + "CONNECT tunnel failed, response 403", Unreachable),
        (ACCESS + "Could not resolve proxy: proxy.example.org", Unreachable),
        (ACCESS + "The requested URL returned error: 407", Unreachable),
        (ACCESS + "The requested URL returned error: 503", Unreachable),
        (ACCESS + "Operation timed out after 300000 milliseconds", Unreachable),
        (ACCESS + "SSL certificate problem: unable to get local issuer certificate", Unreachable),
        (f"ssh: connect to host github.com port 22: Connection timed out\n{NO_REMOTE}", Unreachable),
        ("fatal: unable to connect to github.com:\ngithub.com[0: 1.2.3.4]: errno=Connection refused", Unreachable),
        (f"fatal: '/srv/x' does not appear to be a git repository\n{NO_REMOTE}", Unreachable),
        ("error: RPC failed; curl 56 Recv failure\nfatal: early EOF", Unreachable),
        ("remote: fatal: unable to read tree\nfatal: the remote end hung up unexpectedly", Unreachable),
        ("", Unreachable),
        ("fatal: write error: No space left on device\nfatal: early EOF", WorkFailed),
        (f"fatal: not a git repository: '{MIRROR}'", WorkFailed),
        (f"error: object file {MIRROR}/objects/01/23 is empty\nfatal: loose object 0123 is corrupt", WorkFailed),
        (f"fatal: Unable to create '{MIRROR}/shallow.lock': File exists.", WorkFailed),
        ("error: insufficient permission for adding an object to repository database objects", WorkFailed),
        ("fatal: something that nobody foresaw", WorkFailed),
    ],
)  # fmt: skip
def test_three_answers(err: str, kind: type[IngotError]) -> None:
    error = refused(URL, URL, MIRROR, err)
    assert type(error) is kind
    assert URL in error.message
    assert error.hint
    if kind is Unreachable:
        assert error.message.startswith(f"cannot reach github.com for {URL}: ")
        assert "INGOT_GIT_MIRROR" in error.hint
        assert "insteadOf" in error.hint
    if kind is WorkFailed:
        assert str(MIRROR) in error.message
        assert f"delete {MIRROR}" in error.hint


def test_a_mirror_that_lacks_it_is_named() -> None:
    where = "https://git.example.org/mirrors/owner/x.git"
    error = refused(URL, where, MIRROR, f"fatal: repository '{where}/' not found")
    assert error.message.startswith(f"{URL} is not there or is private: ")
    assert error.hint == f"{where} stands for it (INGOT_GIT_MIRROR): mirror it there, or leave the mirror out"


def test_a_relative_url_that_leads_out_of_everything() -> None:
    assert join("https://a.example.org/x", "../../../../../../etc/x") == "etc/x"


@pytest.mark.parametrize("login", ["someone:hunter2", "ghp_hunter2", "someone:hun@ter2", ":hunter2"])
@pytest.mark.parametrize(
    "said",
    [
        "fatal: repository '{}/' not found",
        "fatal: unable to access '{}/': Could not resolve host: mirror.example.org",
        "fatal: unable to access '{}/': something that nobody foresaw",
        "fatal: write error: No space left on device ({})",
    ],
)
def test_no_login_of_a_mirror_is_told(login: str, said: str) -> None:
    where = f"https://{login}@mirror.example.org/x.git"
    for error in (
        refused(URL, where, MIRROR, said.format(where)),
        refused(where, where, MIRROR, said.format(where)),
        unreachable(URL, where, said.format(where)),
        unreachable(where, where, "no answer within 30 s"),
    ):
        words = f"{error.message} {error.hint}"
        assert "ter2" not in words
        assert "someone" not in words
    assert "//mirror.example.org/x.git" in refused(URL, where, MIRROR, said.format(where)).message


def test_a_mirror_that_stands_for_another_is_named_without_its_login() -> None:
    error = refused(
        URL, "https://me:hunter2@mirror.example.org/x.git", MIRROR, "fatal: repository 'x' not found"
    )
    assert error.hint == (
        "https://mirror.example.org/x.git stands for it (INGOT_GIT_MIRROR): mirror it there, or leave the mirror out"
    )


def test_an_address_that_is_none_is_told_as_it_is() -> None:
    assert (
        unreachable("x", "https://[nothing", "no answer").message
        == "cannot reach https://[nothing for x: no answer"
    )
