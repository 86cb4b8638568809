"""A small stand-in for GitHub's REST API on loopback: one repository, its branches and pull requests, its refusals.

After https://docs.github.com/en/rest/pulls/pulls : statuses, fields and error documents are those.
"""

import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

__all__ = ["Repository", "serving"]


@dataclass(kw_only=True)
class Repository:
    """What the server knows."""

    name: str = "me/ingot"
    token: str = "the-token"
    default_branch: str = "trunk"
    branches: set[str] = field(default_factory=set)
    pulls: list[dict[str, Any]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    break_after_post: bool = False
    """The next POST is carried out, its answer is a 502."""

    @property
    def open(self) -> list[dict[str, Any]]:
        return [pull for pull in self.pulls if pull["state"] == "open"]

    def add(self, head: str, base: str, title: str, body: str) -> dict[str, Any]:
        number = len(self.pulls) + 1
        pull = {
            "number": number,
            "state": "open",
            "title": title,
            "body": body,
            "html_url": f"https://github.example.org/{self.name}/pull/{number}",
            "head": {"ref": head, "repo": {"full_name": self.name}},
            "base": {"ref": base},
        }
        self.pulls.append(pull)
        return pull


def _invalid(message: str) -> tuple[int, dict[str, Any]]:
    error = {"resource": "PullRequest", "code": "custom", "message": message}
    return 422, {"message": "Validation Failed", "errors": [error]}


def _list(repository: Repository, query: dict[str, list[str]]) -> tuple[int, Any]:
    head, state = query.get("head", [""])[0], query.get("state", ["open"])[0]
    owner = repository.name.partition("/")[0]
    found = [
        pull
        for pull in repository.pulls
        if state in {pull["state"], "all"} and (":" not in head or head == f"{owner}:{pull['head']['ref']}")
    ]
    return 200, found[:30]


def _create(repository: Repository, sent: dict[str, Any]) -> tuple[int, Any]:
    head, base = sent.get("head", ""), sent.get("base", "")
    if not sent.get("title"):
        return _invalid("title is missing")
    if base != repository.default_branch:
        return 422, {"message": "Validation Failed", "errors": [{"field": "base", "code": "invalid"}]}
    if head not in repository.branches:
        return 422, {"message": "Validation Failed", "errors": [{"field": "head", "code": "invalid"}]}
    if any(pull["head"]["ref"] == head for pull in repository.open):
        return _invalid(f"A pull request already exists for {repository.name.partition('/')[0]}:{head}.")
    pull = repository.add(head, base, sent["title"], sent.get("body", ""))
    if repository.break_after_post:
        repository.break_after_post = False
        return 502, {}
    return 201, pull


def _answer(repository: Repository, method: str, url: str, sent: dict[str, Any]) -> tuple[int, Any]:
    parts = urlsplit(url)
    path = parts.path.removeprefix(f"/repos/{repository.name}")
    if path == parts.path:
        return 404, {"message": "Not Found"}
    if method == "GET" and path == "":
        return 200, {"default_branch": repository.default_branch, "full_name": repository.name}
    if method == "GET" and path == "/pulls":
        return _list(repository, parse_qs(parts.query))
    if method == "POST" and path == "/pulls":
        return _create(repository, sent)
    number = re.fullmatch(r"/pulls/(\d+)", path)
    if method == "PATCH" and number and int(number[1]) <= len(repository.pulls):
        pull = repository.pulls[int(number[1]) - 1]
        pull.update({key: sent[key] for key in ("title", "body", "state") if key in sent})
        return 200, pull
    return 404, {"message": "Not Found"}


@contextmanager
def serving(repository: Repository) -> Iterator[str]:
    """Serve the repository for the block; hand over the API's address. Skips the test where loopback is down."""

    class Handler(BaseHTTPRequestHandler):
        def _handle(self) -> None:
            repository.asked.append(f"{self.command} {self.path}")
            sent = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
            if self.headers.get("Authorization") != f"Bearer {repository.token}":
                status, document = 401, {"message": "Bad credentials"}
            else:
                status, document = _answer(repository, self.command, self.path, sent)
            data = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json; charset=utf-8")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PATCH = _handle  # noqa: N815  (http.server's names)

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        try:
            socket.create_connection(("127.0.0.1", server.server_port), timeout=5).close()
        except OSError:
            pytest.skip("loopback is down")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
