"""HTTP for the doors that speak it. The one importer of requests: TLS or loopback, typed failures, bounded answers.

Says when a server cannot be reached or asks to come back later, and follows reads where they are sent; what any other status
means is the caller's business. Knows no credentials, and no message names more of an address than its host.
"""

import ipaddress
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import Protocol, TypeVar
from urllib.parse import urljoin, urlsplit

import requests
from requests.adapters import BaseAdapter
from requests.utils import get_environ_proxies

from build.doors.retry import transient
from build.errors import BadRequest, Unreachable, WorkFailed

__all__ = ["Answer", "Incoming", "ShortlyUnreachable", "Timeouts", "Upload", "Web", "base_url", "host_of"]

T = TypeVar("T")

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_HOPS = 5
_CHUNK = 1 << 18
_LONGEST_WAIT_S = 60.0
"""A server that asks to wait longer is not waited for."""
_AUTHORITIES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")


class ShortlyUnreachable(Unreachable):
    """A failure that may pass: no connection, no answer in time, an overloaded server. Worth another try."""

    def __init__(self, message: str, *, hint: str = "", retry_after_s: float = 0.0) -> None:
        super().__init__(message, hint=hint)
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Seconds to wait for the network."""

    connect: float = 10.0
    """Also for one piece of an upload to leave."""
    read: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A whole answer. Addresses, headers and bodies may carry secrets: none is shown in a repr."""

    status: int
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    """Looked up without regard to case."""
    body: bytes = field(default=b"", repr=False)


class Upload(Protocol):
    """A body that is read while it is sent; requests takes its length for Content-Length."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[bytes]: ...

    def read(self, size: int = ..., /) -> bytes: ...


class Incoming:
    """An answer whose body has not been read yet."""

    def __init__(self, response: requests.Response) -> None:
        self._response = response
        self.status = response.status_code
        self.url = response.url
        self.headers: Mapping[str, str] = response.headers

    def chunks(self) -> Iterator[bytes]:
        """Yield the body as it comes. Raises ShortlyUnreachable where it ends too early."""
        try:
            yield from self._response.iter_content(_CHUNK)
        except requests.RequestException as error:
            raise _unreachable(host_of(self.url), error) from None

    def read(self, limit: int) -> bytes:
        """Return the body. Raises WorkFailed where it is longer than anybody expects."""
        body = bytearray()
        for chunk in self.chunks():
            body += chunk
            if len(body) > limit:
                message = (
                    f"{host_of(self.url)} sent more than {limit} bytes where a short document is expected"
                )
                raise WorkFailed(message)
        return bytes(body)


class Web:
    """Sends requests."""

    def __init__(
        self, *, adapter: BaseAdapter | None = None, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._session = requests.Session()
        # A login in ~/.netrc would silently replace the Authorization header that a registry's token belongs in.
        self._session.trust_env = False
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        if adapter is not None:
            self._session.mount("http://", adapter)
            self._session.mount("https://", adapter)
        self._verify = _authorities()
        self._sleep = sleep

    def fetch(  # noqa: PLR0913  (what a request is)
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | Upload | None = None,
        timeouts: Timeouts = Timeouts(),
        redirects: bool = True,
        limit: int = 4 << 20,
    ) -> Answer:
        """Send a request and read the answer whole, up to `limit` bytes."""
        with self.open(
            method, url, headers=headers, body=body, timeouts=timeouts, redirects=redirects
        ) as incoming:
            return Answer(
                status=incoming.status, url=incoming.url, headers=incoming.headers, body=incoming.read(limit)
            )

    @contextmanager
    def open(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | Upload | None = None,
        timeouts: Timeouts = Timeouts(),
        redirects: bool = True,
    ) -> Iterator[Incoming]:
        """Send a request and hand over the answer, unread. Only reads follow redirects; credentials stay at home.

        Raises:
            ShortlyUnreachable: no connection, no answer in time, or a status that asks to come back.
            Unreachable: the server's certificate is not trusted, or it asks to come back much later.
            WorkFailed: plain HTTP to another machine, or too many redirects.
        """
        sent = {"Accept-Encoding": "identity", "User-Agent": "ingot", **(headers or {})}
        follow = redirects and method in {"GET", "HEAD"}
        for _ in range(_HOPS):
            response = self._once(method, url, sent, body, timeouts)
            try:
                location = response.headers.get("Location")
                if not (follow and location and response.status_code in _REDIRECTS):
                    yield Incoming(response)
                    return
            finally:
                response.close()
            target = urljoin(url, location)
            if urlsplit(target).netloc != urlsplit(url).netloc:
                sent.pop("Authorization", None)
            url = target
        message = f"{host_of(url)} redirects in circles"
        raise WorkFailed(message)

    def retried(self, call: Callable[[], T], *, attempts: int = 4) -> T:
        """Call again on failures that may pass, and no sooner than the server asked for."""
        wanted = 0.0

        def attempt() -> T:
            nonlocal wanted
            try:
                return call()
            except ShortlyUnreachable as error:
                wanted = error.retry_after_s
                raise

        return transient(
            attempt,
            on=(ShortlyUnreachable,),
            attempts=attempts,
            sleep=lambda delay: self._sleep(max(delay, wanted)),
        )

    def _once(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | Upload | None,
        timeouts: Timeouts,
    ) -> requests.Response:
        host = host_of(url)
        try:
            response = self._session.request(
                method,
                url,
                headers=dict(headers),
                data=body,
                stream=True,
                allow_redirects=False,
                timeout=(timeouts.connect, timeouts.read),
                proxies={} if _is_loopback(url) else get_environ_proxies(url, no_proxy=None),
                verify=self._verify,
            )
        except requests.RequestException as error:
            # Without its cause: that one's text may hold an upload's address, which is a ticket of its own.
            raise _unreachable(host, error) from None
        status = response.status_code
        if (
            status in {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS}
            or status >= HTTPStatus.INTERNAL_SERVER_ERROR
        ):
            response.close()
            raise _come_back(host, status, response.headers.get("Retry-After", ""))
        return response


def host_of(url: str) -> str:
    """Return the host and port of an address, without a login that may stand before them.

    Raises:
        WorkFailed: plain HTTP to another machine.
        BadRequest: it is no HTTP address.
    """
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        message = "what should be an HTTP address has no host" if not host else f"{host}: not an HTTP address"
        raise BadRequest(message)
    if parts.scheme == "http" and not _is_loopback(url):
        message = f"plain HTTP to {host} is refused; only loopback is spoken to without TLS"
        raise WorkFailed(message, hint=f"a server behind a TLS proxy must know that it is https://{host}")
    return host


def base_url(host: str) -> str:
    """Return `https://host`, or `http://host` on loopback."""
    return f"{'http' if _is_loopback(f'//{host}') else 'https'}://{host}"


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _authorities() -> str | bool:
    """Find the system's CA bundle, where a company's own root lives; requests alone would take certifi's."""
    environment = requests.Session().merge_environment_settings("https://localhost", {}, None, None, None)[
        "verify"
    ]
    if isinstance(environment, str):
        return environment
    known = (ssl.get_default_verify_paths().cafile, *_AUTHORITIES)
    return next((path for path in known if path and Path(path).is_file()), True)


def _unreachable(host: str, error: requests.RequestException) -> Unreachable:
    if isinstance(error, requests.exceptions.SSLError):
        message = f"{host} cannot be reached: its certificate is not trusted"
        return Unreachable(message, hint="SSL_CERT_FILE or REQUESTS_CA_BUNDLE names the CA bundle to trust")
    if isinstance(error, requests.exceptions.ProxyError):
        reason = "the proxy does not connect to it"
    elif isinstance(error, requests.exceptions.Timeout):
        reason = "no answer in time"
    else:
        reason = _reason(error)
    hint = "is the name right, and does it run? The same command goes on where this one ended"
    return ShortlyUnreachable(f"{host} cannot be reached: {reason}", hint=hint)


def _reason(error: BaseException) -> str:
    """Find the operating system's word for it, which names no address."""
    found, cause = "the connection broke", error.__cause__ or error.__context__
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            found = cause.strerror
        cause = cause.__cause__ or cause.__context__
    return found


def _come_back(host: str, status: int, retry_after: str) -> Unreachable:
    wait = float(retry_after) if retry_after.isascii() and retry_after.isdigit() else 0.0
    message = f"{host} answered {status}"
    if wait > _LONGEST_WAIT_S:
        return Unreachable(f"{message} and asks to come back in {wait:.0f} s")
    return ShortlyUnreachable(message, retry_after_s=wait)
