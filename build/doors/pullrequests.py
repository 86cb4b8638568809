"""Pull requests on GitHub, by its REST API: one open request for each branch, updated and never multiplied.

https://docs.github.com/en/rest/pulls/pulls
"""

import json
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Protocol
from urllib.parse import urlencode, urljoin

from build.doors.web import Answer, Web, host_of
from build.errors import BadRequest, IngotError, Unavailable, Unreachable, WorkFailed
from build.settings import GitHub

__all__ = ["LONGEST", "GitHubPullRequests", "PullRequests"]

_VERSION = "2022-11-28"
"""https://docs.github.com/en/rest/about-the-rest-api/api-versions"""
LONGEST = 65_536
"""Characters that GitHub takes as a body."""
_CUT = "\n\n(cut here: the whole report is in the run's log)\n"
_EXISTS = "pull request already exists"
_PERMISSIONS = (
    "a workflow needs `permissions: pull-requests: write` and `contents: write`, and the repository's setting "
    "'Allow GitHub Actions to create and approve pull requests'"
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


class PullRequests(Protocol):
    """Where changes are offered for review."""

    def open_or_update(self, branch: str, title: str, body: str) -> str:
        """Offer a pushed branch for review, or renew the words of its open request. Returns the request's URL."""


class GitHubPullRequests:
    """A repository's pull requests. The token goes to the API's own host and into no message."""

    def __init__(self, where: GitHub, *, base: str = "", web: Web | None = None) -> None:
        self._web = web or Web()
        self._token = where.token
        self._repository = where.repository
        self._api = f"{where.api.rstrip('/')}/repos/{where.repository}"
        self._base = base
        """Branch that changes go to; empty: the repository's default branch."""
        if not where.repository or not where.token:
            missing = "GITHUB_REPOSITORY" if not where.repository else "GITHUB_TOKEN"
            message = f"{missing} is not set: no repository to offer changes to"
            raise BadRequest(
                message,
                hint="a workflow sets GITHUB_REPOSITORY; GITHUB_TOKEN comes from secrets.GITHUB_TOKEN",
            )

    def open_or_update(self, branch: str, title: str, body: str) -> str:
        """Open a pull request for a branch of the repository, or update the one that is open.

        Raises:
            Unreachable: no answer, or GitHub asks to come back later.
            Unavailable: the token does not permit it.
            BadRequest: there is no such repository or branch.
            WorkFailed: GitHub refuses for another reason, such as a branch without a change.
        """
        words = {"title": title, "body": _fitting(body)}
        # Whoever is cut off between the two finds the request that was opened: so the whole is repeated, not its parts.
        return self._web.retried(lambda: self._update(branch, words) or self._open(branch, words))

    def _update(self, branch: str, words: Mapping[str, str]) -> str:
        """Renew the words of the open request; an empty result says that there is none."""
        owner = self._repository.partition("/")[0]
        query = urlencode({"state": "open", "head": f"{owner}:{branch}"})
        listed = self._ask("GET", f"/pulls?{query}", HTTPStatus.OK)
        numbers = [
            one["number"]
            for one in (listed if isinstance(listed, list) else [])
            # GitHub passes over a head that it does not understand and lists every request.
            if _of(one, "head", "ref") == branch and _of(one, "head", "repo", "full_name") == self._repository
        ]
        if not numbers:
            return ""
        return self._url(self._ask("PATCH", f"/pulls/{min(numbers)}", HTTPStatus.OK, words))

    def _open(self, branch: str, words: Mapping[str, str]) -> str:
        base = self._base or str(_of(self._ask("GET", "", HTTPStatus.OK), "default_branch") or "")
        wanted = {**words, "head": branch, "base": base}
        try:
            return self._url(self._ask("POST", "/pulls", HTTPStatus.CREATED, wanted))
        except WorkFailed as error:
            # Somebody else has opened it in the meantime.
            found = self._update(branch, words) if _EXISTS in error.message else ""
            if not found:
                raise
            return found

    def _ask(self, method: str, path: str, wanted: HTTPStatus, words: Mapping[str, str] | None = None) -> Any:  # noqa: ANN401  (JSON has no narrower type)
        headers = {
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {self._token}",
            "X-GitHub-Api-Version": _VERSION,
            **({"Content-Type": "application/json"} if words else {}),
        }
        body = json.dumps(dict(words)).encode() if words else None
        url = self._api + path
        answer = self._web.fetch(method, url, headers=headers, body=body)
        if answer.status != wanted:
            raise self._failure(answer, f"{method} {path.partition('?')[0] or '/'}", words or {})
        try:
            return json.loads(answer.body)
        except ValueError:
            message = f"{host_of(url)} did not answer as GitHub does"
            raise WorkFailed(message, hint="GITHUB_API_URL names another server?") from None

    def _url(self, request: object) -> str:
        url = str(_of(request, "html_url") or "")
        if not url:
            message = f"{host_of(self._api)} answered without the address of the pull request"
            raise WorkFailed(message, hint="GITHUB_API_URL names another server?")
        return urljoin(self._api, url)

    def _failure(self, answer: Answer, what: str, words: Mapping[str, str]) -> IngotError:
        host, said = host_of(self._api), self._said(answer)
        if _is_rate_limit(answer):
            return Unreachable(
                f"{host} takes no more requests for now: {said}", hint="run it again in an hour"
            )
        if answer.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            return Unavailable(
                f"{host} refuses GITHUB_TOKEN for {self._repository}: {said}", hint=_PERMISSIONS
            )
        if answer.status == HTTPStatus.NOT_FOUND:
            message = f"{host} has no repository {self._repository}, or not for GITHUB_TOKEN"
            return BadRequest(message, hint="GITHUB_REPOSITORY is owner/name")
        if answer.status == HTTPStatus.UNPROCESSABLE_ENTITY:
            hint = f"push the branch {words.get('head', '')} with a change first" if words.get("head") else ""
            return WorkFailed(f"{host} refuses the pull request: {said}", hint=hint)
        return WorkFailed(f"{host} answered {answer.status} to {what} of {self._repository}: {said}")

    def _said(self, answer: Answer) -> str:
        """Put GitHub's own words into one line that may be shown."""
        try:
            document = json.loads(answer.body)
        except ValueError:
            document = {}
        if not isinstance(document, dict):
            document = {}
        errors = document.get("errors")
        details = [_detail(error) for error in errors] if isinstance(errors, list) else []
        text = "; ".join(word for word in (str(document.get("message") or ""), *details) if word)
        return _CONTROL.sub(" ", (text or f"status {answer.status}").replace(self._token, "***"))[:300]


def _of(document: object, *keys: str) -> object:
    """Look into JSON of a stranger; None where something else is there."""
    for key in keys:
        document = document.get(key) if isinstance(document, dict) else None
    return document


def _detail(error: object) -> str:
    if isinstance(error, str):
        return error
    return str(
        _of(error, "message") or " ".join(str(_of(error, key) or "") for key in ("field", "code")).strip()
    )


def _is_rate_limit(answer: Answer) -> bool:
    """https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api ; 429 is the web door's."""
    spent = answer.headers.get("X-RateLimit-Remaining") == "0" or "Retry-After" in answer.headers
    return answer.status == HTTPStatus.FORBIDDEN and spent


def _fitting(body: str) -> str:
    return body if len(body) <= LONGEST else body[: LONGEST - len(_CUT)] + _CUT
