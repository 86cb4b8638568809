"""Image registries, by the OCI distribution API: what is there, and bytes into it exactly as they lie in a layout on disk.

Written on plain requests because the `oras` client retries whatever fails and takes any status but 200 for "not there", so its
answers cannot tell absent from unknown, and it sends no identity tokens and mounts no blobs.
https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Final
from urllib.parse import urlencode, urljoin, urlsplit

from build.doors.blob import open_blob
from build.doors.credentials import find_credentials
from build.doors.distribution import (
    ABSENT,
    MANIFESTS,
    api_host,
    codes,
    digest_of,
    document,
    errors_in,
    media_type,
    next_page,
    parse_reference,
    reference_in,
    repository_url,
    scopes_for,
)
from build.doors.tokens import Authority, Refused
from build.doors.web import Answer, ShortlyUnreachable, Timeouts, Upload, Web, host_of
from build.errors import IngotError, Unreachable, WorkFailed
from build.recipe.refs import Digest, ImageRef

__all__ = ["HttpRegistry", "Manifest", "Refused", "parse_reference"]

_STORED: Final = frozenset(
    {HTTPStatus.OK, HTTPStatus.FOUND, HTTPStatus.SEE_OTHER, HTTPStatus.TEMPORARY_REDIRECT}
)
_UPLOAD_LOST: Final = frozenset({"BLOB_UPLOAD_UNKNOWN"})
_QUICK: Final = Timeouts(connect=5.0, read=20.0)
_SENDING: Final = Timeouts(connect=30.0, read=600.0)
"""A registry hashes a blob before it answers: minutes for gigabytes on a slow disk."""
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
_MAX_DETAIL: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A manifest or index as the registry holds it; `digest` is that of `data`."""

    digest: Digest
    media_type: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    """One request to one registry; the body is made anew for each try."""

    method: str
    url: str
    scopes: tuple[str, ...]
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Callable[[], bytes | Upload] | None = None
    timeouts: Timeouts = field(default_factory=Timeouts)
    redirects: bool = True


class HttpRegistry:
    """Registries over HTTP, with docker's own credentials."""

    def __init__(self, *, docker_config: Path, web: Web | None = None) -> None:
        self._web = web or Web()
        self._authority = Authority(self._web, lambda registry: find_credentials(registry, docker_config))

    def manifest(self, ref: ImageRef) -> Manifest | None:
        """Return what a tag or digest means; None only where the registry says that it does not exist.

        Raises:
            Unreachable: no answer; whether it exists is not known.
            Refused: the registry wants another login.
        """
        return self._web.retried(lambda: self._manifest(ref, Timeouts()))

    def exists(self, reference: str) -> bool:
        """Say whether an image that is named as docker names it (`debian:bookworm-slim@sha256:...`) can be pulled.

        Asks briefly. Raises what `manifest` raises.
        """
        ref = parse_reference(reference)

        def ask() -> bool:
            # HEAD is not counted as a pull by Docker Hub; it has no body that could say why something is missing.
            answer = self._ask(ref.registry, self._manifest_request(ref, "HEAD", _QUICK))
            if answer.status == HTTPStatus.OK and media_type(answer) in MANIFESTS:
                return True
            return self._manifest(ref, _QUICK) is not None

        return self._web.retried(ask, attempts=2)

    def digest(self, reference: str) -> Digest | None:
        """Return what a reference in docker's spelling means now; None where it does not exist."""
        found = self.manifest(parse_reference(reference))
        return found.digest if found else None

    def has_blob(self, repository: ImageRef, digest: Digest) -> bool:
        """Say whether a repository holds a blob."""
        # Where a blob is redirected to storage it is there; storage often refuses HEAD.
        answer = self._blob(repository, digest, "HEAD")
        if answer.status in _STORED:
            return True
        if answer.status == HTTPStatus.NOT_FOUND:
            return False
        raise self._failure(repository, answer, f"blob {digest}")

    def read_blob(self, repository: ImageRef, digest: Digest) -> bytes | None:
        """Return a short blob, such as an image's configuration, its hash proven; None where it does not exist."""
        answer = self._blob(repository, digest, "GET")
        if answer.status == HTTPStatus.NOT_FOUND and codes(answer) & ABSENT:
            return None
        if answer.status != HTTPStatus.OK:
            raise self._failure(repository, answer, f"blob {digest}")
        if (found := digest_of(answer.body)) != digest:
            message = f"{repository.registry} answers blob {digest} with bytes whose digest is {found}"
            raise WorkFailed(message, hint="something between here and the registry changes what is read")
        return answer.body

    def push_blob(
        self,
        repository: ImageRef,
        digest: Digest,
        path: Path,
        *,
        on_bytes: Callable[[int], None] = lambda _count: None,
        mount_from: str = "",
    ) -> None:
        """Upload a file as a blob; its hash is proven before the last piece leaves.

        `on_bytes` is told the count of bytes sent so far; `mount_from` is another repository of the registry, whose blob
        is taken where it has it.

        Raises:
            WorkFailed: the file is not what the digest says, or the registry does not take it.
        """
        self._web.retried(lambda: self._upload(repository, digest, path, on_bytes, mount_from))

    def put_manifest(self, ref: ImageRef, data: bytes, media_type: str) -> Digest:
        """Store a manifest under a tag or digest and return its digest, as the registry confirmed it."""
        request = _Request(
            method="PUT",
            url=repository_url(ref, f"manifests/{reference_in(ref)}"),
            scopes=scopes_for(ref, "pull,push"),
            headers={"Content-Type": media_type},
            body=lambda: data,
        )
        answer = self._web.retried(lambda: self._ask(ref.registry, request))
        if answer.status != HTTPStatus.CREATED:
            raise self._failure(ref, answer, f"the manifest {ref}")
        return self._confirmed(ref, answer, digest_of(data))

    def tags(self, repository: ImageRef) -> tuple[str, ...]:
        """List a repository's tags; a repository that does not exist has none."""
        found: list[str] = []
        url: str | None = repository_url(repository, "tags/list")
        while url:
            answer = self._page(repository, url)
            if answer.status == HTTPStatus.NOT_FOUND and codes(answer) & ABSENT:
                return ()
            listed = document(answer).get("tags", []) or []
            if answer.status != HTTPStatus.OK or not isinstance(listed, list):
                raise self._failure(repository, answer, "the list of tags")
            found += [str(tag) for tag in listed]
            url = next_page(answer)
        return tuple(found)

    def _blob(self, repository: ImageRef, digest: Digest, method: str) -> Answer:
        request = _Request(
            method=method,
            url=repository_url(repository, f"blobs/{digest}"),
            scopes=scopes_for(repository, "pull"),
            redirects=method == "GET",
        )
        return self._web.retried(lambda: self._ask(repository.registry, request))

    def _page(self, repository: ImageRef, url: str) -> Answer:
        request = _Request(method="GET", url=url, scopes=scopes_for(repository, "pull"))
        return self._web.retried(lambda: self._ask(repository.registry, request))

    def _manifest(self, ref: ImageRef, timeouts: Timeouts) -> Manifest | None:
        answer = self._ask(ref.registry, self._manifest_request(ref, "GET", timeouts))
        if answer.status == HTTPStatus.NOT_FOUND and codes(answer) & ABSENT:
            return None
        if answer.status != HTTPStatus.OK or media_type(answer) not in MANIFESTS:
            raise self._failure(ref, answer, str(ref))
        digest = self._confirmed(ref, answer, digest_of(answer.body))
        if ref.digest and digest != ref.digest:
            message = f"{ref.registry} answers {ref} with a manifest whose digest is {digest}"
            raise WorkFailed(message, hint="something between here and the registry changes what is read")
        return Manifest(digest=digest, media_type=media_type(answer), data=answer.body)

    def _manifest_request(self, ref: ImageRef, method: str, timeouts: Timeouts) -> _Request:
        return _Request(
            method=method,
            url=repository_url(ref, f"manifests/{reference_in(ref)}"),
            scopes=scopes_for(ref, "pull"),
            headers={"Accept": ", ".join(MANIFESTS)},
            timeouts=timeouts,
        )

    def _upload(
        self,
        repository: ImageRef,
        digest: Digest,
        path: Path,
        on_bytes: Callable[[int], None],
        mount_from: str,
    ) -> None:
        scopes = scopes_for(repository, "pull,push")
        query = ""
        if mount_from:
            scopes += (f"repository:{mount_from}:pull",)
            query = "?" + urlencode({"mount": digest, "from": mount_from})
        start = _Request(
            method="POST", url=repository_url(repository, f"blobs/uploads/{query}"), scopes=scopes
        )
        answer = self._ask(repository.registry, start)
        if mount_from and answer.status == HTTPStatus.CREATED:
            return
        if answer.status != HTTPStatus.ACCEPTED or "Location" not in answer.headers:
            raise self._failure(repository, answer, "an upload")
        target = urljoin(answer.url, answer.headers["Location"])
        with open_blob(path, digest, on_bytes) as body:
            send = _Request(
                method="PUT",
                url=f"{target}{'&' if urlsplit(target).query else '?'}{urlencode({'digest': digest})}",
                scopes=scopes,
                headers={"Content-Type": "application/octet-stream"},
                body=body,
                timeouts=_SENDING,
            )
            answer = self._ask(repository.registry, send)
        if codes(answer) & _UPLOAD_LOST:
            message = f"{host_of(target)} lost an upload"
            raise ShortlyUnreachable(message)
        if answer.status != HTTPStatus.CREATED:
            raise self._failure(repository, answer, f"blob {digest}")

    def _ask(self, registry: str, request: _Request) -> Answer:
        """Send a request; answer one challenge. Credentials go to the registry's own host only, wherever an upload goes."""
        ours = urlsplit(request.url).netloc == api_host(registry)
        login = self._authority.header(registry, request.scopes) if ours else {}
        answer = self._send(request, login)
        if ours and answer.status == HTTPStatus.UNAUTHORIZED:
            login = self._authority.renew(
                registry, answer.headers.get("WWW-Authenticate", ""), request.scopes
            )
            if login:
                answer = self._send(request, login)
        return answer

    def _send(self, request: _Request, login: Mapping[str, str]) -> Answer:
        return self._web.fetch(
            request.method,
            request.url,
            headers={**request.headers, **login},
            body=request.body() if request.body else None,
            timeouts=request.timeouts,
            redirects=request.redirects,
        )

    def _confirmed(self, ref: ImageRef, answer: Answer, digest: Digest) -> Digest:
        said = answer.headers.get("Docker-Content-Digest", digest)
        if said != digest:
            message = f"{ref.registry} calls {ref.repository}'s manifest {self._shown(said)}, its bytes are {digest}"
            raise WorkFailed(message)
        return digest

    def _failure(self, ref: ImageRef, answer: Answer, what: str) -> IngotError:
        said = codes(answer)
        detail = (
            "; ".join(" ".join(error).strip() for error in errors_in(answer)) or f"status {answer.status}"
        )
        challenged = "WWW-Authenticate" in answer.headers
        if answer.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            if said or challenged or self._authority.header(ref.registry, scopes_for(ref, "pull")):
                return Refused(ref.registry, f"{what} ({self._shown(detail)})")
            message = f"{ref.registry} answered {answer.status}, and not as a registry does: something between here and it does"
            return Unreachable(message)
        message = f"{ref.registry} answered {answer.status} when asked for {what}: {self._shown(detail)}"
        if said:
            return WorkFailed(message)
        return WorkFailed(message, hint=f"is {ref.registry} an image registry?")

    def _shown(self, text: str) -> str:
        """Make text of a server fit to be read by people."""
        return _CONTROL.sub(" ", self._authority.scrub(text))[:_MAX_DETAIL]
