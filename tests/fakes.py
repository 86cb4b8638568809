"""Fakes: small state machines that behave as the real thing does. tests/contract/ holds both to the same tests."""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from build.doors.registry import Manifest
from build.errors import Unreachable, WorkFailed
from build.recipe.refs import Digest, ImageRef

__all__ = ["FakeRegistry"]


class FakeRegistry:
    """A registry in memory. It refuses what a real one refuses, and may be lost at any call.

    `fail_at` is the number of the call (from 1) that is not answered; `heard` says that it was carried out all the same.
    """

    def __init__(self, *, fail_at: int = 0, heard: bool = False) -> None:
        self.calls: list[str] = []
        self.blobs: dict[tuple[str, Digest], bytes] = {}
        self.manifests: dict[tuple[str, Digest], Manifest] = {}
        self.tagged: dict[str, dict[str, Digest]] = {}
        self.fail_at = fail_at
        self.heard = heard

    def manifest(self, ref: ImageRef) -> Manifest | None:
        with self._call(f"manifest {ref.tag or ref.digest}"):
            digest = ref.digest or self.tagged.get(_repository(ref), {}).get(ref.tag)
            return self.manifests.get((_repository(ref), digest)) if digest else None

    def has_blob(self, repository: ImageRef, digest: Digest) -> bool:
        with self._call(f"has_blob {digest}"):
            return (_repository(repository), digest) in self.blobs

    def push_blob(
        self,
        repository: ImageRef,
        digest: Digest,
        path: Path,
        *,
        on_bytes: Callable[[int], None] = lambda _count: None,
        mount_from: str = "",
    ) -> None:
        with self._call(f"push_blob {digest}"):
            mounted = self.blobs.get((f"{repository.registry}/{mount_from}", digest))
            data = mounted or path.read_bytes()
            if f"sha256:{hashlib.sha256(data).hexdigest()}" != digest:
                message = f"the file of blob {digest} has another digest"
                raise WorkFailed(message)
            on_bytes(len(data))
            self.blobs[_repository(repository), digest] = data

    def put_manifest(self, ref: ImageRef, data: bytes, media_type: str) -> Digest:
        with self._call(f"put_manifest {ref.tag or ref.digest}"):
            digest = Digest(f"sha256:{hashlib.sha256(data).hexdigest()}")
            if ref.digest not in {None, digest}:
                message = f"the manifest is not {ref.digest}"
                raise WorkFailed(message)
            document = json.loads(data)
            for entry in (document["config"], *document["layers"]):
                if (_repository(ref), entry["digest"]) not in self.blobs:
                    message = f"the blob {entry['digest']} of the manifest is not there"
                    raise WorkFailed(message)
            self.manifests[_repository(ref), digest] = Manifest(
                digest=digest, media_type=media_type, data=data
            )
            if ref.tag:
                self.tagged.setdefault(_repository(ref), {})[ref.tag] = digest
            return digest

    def tags(self, repository: ImageRef) -> tuple[str, ...]:
        with self._call("tags"):
            return tuple(sorted(self.tagged.get(_repository(repository), {})))

    @contextmanager
    def _call(self, what: str) -> Iterator[None]:
        self.calls.append(what)
        lost = len(self.calls) == self.fail_at
        message = "the registry cannot be reached: Connection refused"
        if lost and not self.heard:
            raise Unreachable(message)
        yield
        if lost:
            raise Unreachable(message)


def _repository(ref: ImageRef) -> str:
    return f"{ref.registry}/{ref.repository}"
