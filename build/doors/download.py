"""Blobs out of a registry, into files. What is on its way in is never taken for whole: size and hash are proven first."""

import hashlib
from collections.abc import Callable, Mapping
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Final

from build.doors.distribution import repository_url, scopes_for
from build.doors.registry import HttpRegistry
from build.doors.web import Answer, Incoming, ShortlyUnreachable, Timeouts
from build.errors import WorkFailed
from build.recipe.refs import Digest, ImageRef

__all__ = ["ReadingRegistry"]

_READING: Final = Timeouts(connect=30.0, read=120.0)
_MAX_ERROR: Final = 1 << 20


class ReadingRegistry(HttpRegistry):
    """A registry that images are also read from."""

    def save_blob(
        self,
        repository: ImageRef,
        digest: Digest,
        size: int,
        path: Path,
        *,
        on_bytes: Callable[[int], None] = lambda _count: None,
    ) -> None:
        """Write a blob to a file, which is there only when it is whole; `on_bytes` is told the count so far.

        Raises:
            WorkFailed: the registry does not hold it, or sends other bytes under its name.
            Unreachable: the registry does not answer.
        """
        self._web.retried(lambda: self._save(repository, digest, size, path, on_bytes))

    def _save(
        self, repository: ImageRef, digest: Digest, size: int, path: Path, on_bytes: Callable[[int], None]
    ) -> None:
        scopes = scopes_for(repository, "pull")
        url = repository_url(repository, f"blobs/{digest}")
        fetch = partial(
            self._attempt, url, partial(_write, digest=digest, size=size, path=path, on_bytes=on_bytes)
        )
        refusal = fetch(self._authority.header(repository.registry, scopes))
        if refusal and refusal.status == HTTPStatus.UNAUTHORIZED:
            challenge = refusal.headers.get("WWW-Authenticate", "")
            refusal = fetch(self._authority.renew(repository.registry, challenge, scopes))
        if refusal:
            raise self._failure(repository, refusal, f"blob {digest}")

    def _attempt(
        self, url: str, write: Callable[[Incoming], None], login: Mapping[str, str]
    ) -> Answer | None:
        """Ask once. Returns what was answered instead of the blob. Storage elsewhere gets no credentials: see Web.open."""
        with self._web.open("GET", url, headers=login, timeouts=_READING) as incoming:
            if incoming.status == HTTPStatus.OK:
                write(incoming)
                return None
            body = incoming.read(_MAX_ERROR)
            return Answer(status=incoming.status, url=incoming.url, headers=incoming.headers, body=body)


def _write(
    incoming: Incoming, *, digest: Digest, size: int, path: Path, on_bytes: Callable[[int], None]
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    hashed, count = hashlib.sha256(), 0
    try:
        with part.open("wb") as file:
            for chunk in incoming.chunks():
                count += len(chunk)
                if count > size:
                    message = f"blob {digest} is longer than the {size} bytes that its manifest says"
                    raise WorkFailed(message, hint="the registry, or something before it, sends other bytes")
                hashed.update(chunk)
                file.write(chunk)
                on_bytes(count)
        if count < size:
            message = f"blob {digest} ended after {count} of {size} bytes"
            raise ShortlyUnreachable(message)
        if f"sha256:{hashed.hexdigest()}" != digest:
            message = f"blob {digest} arrived as sha256:{hashed.hexdigest()}"
            raise WorkFailed(message, hint="the registry, or something before it, sends other bytes")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
