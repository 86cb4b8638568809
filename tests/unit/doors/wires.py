"""A network in a table: requests' own transport replaced, so that everything above it is the real thing."""

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import requests
from requests.adapters import BaseAdapter
from urllib3.response import HTTPResponse

from build.doors.web import Web

__all__ = ["Reply", "Sent", "Wire", "error_document"]


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What a server answers."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, kw_only=True)
class Sent:
    """What arrived at a server."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes
    timeout: object


Handler = Callable[[Sent], Reply | Exception]


class Wire(BaseAdapter):
    """Answers `METHOD url` from lists, the last answer for ever; a function decides by what was sent."""

    def __init__(self, **_: object) -> None:
        super().__init__()
        self.sent: list[Sent] = []
        self.slept: list[float] = []
        self._table: dict[str, list[Reply | Exception | Handler]] = {}

    def on(self, request: str, *replies: Reply | Exception | Handler) -> None:
        self._table[request] = list(replies)

    def web(self) -> Web:
        return Web(adapter=self, sleep=self.slept.append)

    @property
    def asked(self) -> list[str]:
        return [f"{sent.method} {sent.url}" for sent in self.sent]

    def send(
        self,
        request: requests.PreparedRequest,
        *_: object,
        timeout: object = None,
        **__: Any,
    ) -> requests.Response:
        body: Any = request.body
        data = b"".join(body) if hasattr(body, "read") else (body or b"")
        sent = Sent(
            method=str(request.method), url=str(request.url), headers=dict(request.headers),
            body=data.encode() if isinstance(data, str) else data, timeout=timeout,
        )  # fmt: skip
        self.sent.append(sent)
        replies = self._table.get(f"{sent.method} {sent.url}")
        assert replies, f"nobody expects {sent.method} {sent.url}"
        reply = replies.pop(0) if len(replies) > 1 else replies[0]
        answer = reply(sent) if callable(reply) else reply
        if isinstance(answer, Exception):
            raise answer
        return _response(request, answer)

    def close(self) -> None: ...


def error_document(code: str, message: str = "") -> bytes:
    return f'{{"errors": [{{"code": "{code}", "message": "{message}"}}]}}'.encode()


def _response(request: requests.PreparedRequest, reply: Reply) -> requests.Response:
    response = requests.Response()
    response.status_code = reply.status
    response.headers.update(reply.headers)
    response.url = str(request.url)
    response.request = request
    body = b"" if request.method == "HEAD" else reply.body
    response.raw = HTTPResponse(body=io.BytesIO(body), status=reply.status, preload_content=False)
    return response
