"""Python package indexes, read by the simple API: which files a project has, and their bytes. Never runs or unpacks one.

https://packaging.python.org/en/latest/specifications/simple-repository-api/
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, urldefrag, urljoin

from build.doors.web import Answer, Web, host_of
from build.errors import Unavailable, WorkFailed

__all__ = ["IndexFile", "download", "simple_index"]

_JSON = "application/vnd.pypi.simple.v1+json"
_ACCEPT = f"{_JSON}, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"
_MAX_PAGE = 256 << 20
"""Pages of long-lived projects have tens of megabytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexFile:
    """One file of a project."""

    url: str = field(repr=False)
    """Absolute. A private index's address may hold a login."""
    sha256: str
    """64 hex digits; empty where the index does not say."""
    yanked: bool = False
    """Withdrawn by its publisher: still there for those who have locked it."""


def simple_index(url: str, *, web: Web | None = None) -> tuple[IndexFile, ...]:
    """List the files on a project's page; none where the index does not know the project.

    Raises:
        Unreachable: the index did not answer.
        Unavailable: it wants a login.
        WorkFailed: the answer is no page of an index.
    """
    door = web or Web()
    answer = door.retried(lambda: door.fetch("GET", url, headers={"Accept": _ACCEPT}, limit=_MAX_PAGE))
    if answer.status == HTTPStatus.NOT_FOUND:
        return ()
    _require_ok(answer.status, url)
    kind = answer.headers.get("Content-Type", "").partition(";")[0].strip()
    return _from_json(answer) if kind.endswith("json") else _from_html(answer)


def download(url: str, *, web: Web | None = None) -> Iterator[bytes]:
    """Yield a file's bytes as they come; the caller proves their hash.

    Raises:
        Unreachable: the server did not answer, or stopped half way.
    """
    door = web or Web()
    with door.open("GET", url) as incoming:
        _require_ok(incoming.status, url)
        yield from incoming.chunks()


def _require_ok(status: int, url: str) -> None:
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        message = f"the package index on {host_of(url)} refuses access ({status})"
        raise Unavailable(
            message, hint="pip's own index-url may carry a login: https://user:password@host/simple"
        )
    if status != HTTPStatus.OK:
        message = f"the package index on {host_of(url)} answered {status}"
        raise WorkFailed(message)


def _from_json(answer: Answer) -> tuple[IndexFile, ...]:
    try:
        files: list[dict[str, Any]] = json.loads(answer.body)["files"]
        return tuple(
            IndexFile(
                url=urljoin(answer.url, file["url"]),
                sha256=file.get("hashes", {}).get("sha256", ""),
                yanked=file.get("yanked", False) is not False,
            )
            for file in files
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        message = f"the package index on {host_of(answer.url)} sent no page of the simple API"
        raise WorkFailed(message) from error


def _from_html(answer: Answer) -> tuple[IndexFile, ...]:
    page = _Page(answer.url)
    page.feed(answer.body.decode(errors="replace"))
    return tuple(page.files)


class _Page(HTMLParser):
    """Gathers the links of a PEP 503 page; the hash stands in their fragment."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._base = url
        self.files: list[IndexFile] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        target = known.get("href")
        if target is None:
            return
        if tag == "base":
            self._base = urljoin(self._base, target)
        elif tag == "a":
            link, fragment = urldefrag(urljoin(self._base, target))
            hashes = parse_qs(fragment).get("sha256", [""])
            self.files.append(IndexFile(url=link, sha256=hashes[0], yanked="data-yanked" in known))
