"""The OCI distribution API on the wire: how things are addressed and what an answer says. Pure; sends nothing.

https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md
"""

import hashlib
import json
import re
from typing import Any, Final
from urllib.parse import urljoin

from build.doors.credentials import DOCKER_HUB
from build.doors.web import Answer, base_url
from build.errors import BadRequest
from build.recipe.refs import Digest, ImageRef

__all__ = [
    "ABSENT",
    "MANIFESTS",
    "api_host",
    "codes",
    "digest_of",
    "document",
    "errors_in",
    "media_type",
    "next_page",
    "parse_reference",
    "reference_in",
    "repository_url",
    "scopes_for",
]

MANIFESTS: Final = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
ABSENT: Final = frozenset({"MANIFEST_UNKNOWN", "NAME_UNKNOWN", "BLOB_UNKNOWN", "NOT_FOUND"})
"""Error codes that say "not there". The last is not the specification's; Harbor sends it."""

_HUB_API: Final = "registry-1.docker.io"
_HUB_ALIASES: Final = frozenset({"index.docker.io", _HUB_API})


def parse_reference(text: str) -> ImageRef:
    """Parse a reference as docker does: without a host it is on Docker Hub, there without a namespace in `library`."""
    name, at, digest = text.partition("@")
    host, slash, rest = name.partition("/")
    if not slash or not ("." in host or ":" in host or host == "localhost"):
        host, rest = DOCKER_HUB, name
    if host in _HUB_ALIASES:
        host = DOCKER_HUB
    if host == DOCKER_HUB and "/" not in rest:
        rest = f"library/{rest}"
    if not at and ":" not in rest:
        rest += ":latest"
    try:
        return ImageRef.parse(f"{host}/{rest}{at}{digest}")
    except ValueError as error:
        message = f"'{text}' is not the name of an image: {error}"
        raise BadRequest(message, hint="name it as docker does: debian:bookworm-slim@sha256:...") from error


def api_host(registry: str) -> str:
    """Return the host that speaks the API; Docker Hub is called otherwise."""
    return _HUB_API if registry == DOCKER_HUB or registry in _HUB_ALIASES else registry


def repository_url(ref: ImageRef, path: str) -> str:
    """Return the address of something in a repository."""
    return f"{base_url(api_host(ref.registry))}/v2/{ref.repository}/{path}"


def scopes_for(ref: ImageRef, actions: str) -> tuple[str, ...]:
    """Name what a token is to permit."""
    return (f"repository:{ref.repository}:{actions}",)


def reference_in(ref: ImageRef) -> str:
    """Return digest or tag; the digest wins, as docker has it. Raises BadRequest where there is neither."""
    name = ref.digest or ref.tag
    if not name:
        message = f"{ref} names no tag and no digest"
        raise BadRequest(message)
    return name


def digest_of(data: bytes) -> Digest:
    """Return the digest of bytes."""
    return Digest(f"sha256:{hashlib.sha256(data).hexdigest()}")


def media_type(answer: Answer) -> str:
    """Return the Content-Type without its parameters."""
    return answer.headers.get("Content-Type", "").partition(";")[0].strip()


def document(answer: Answer) -> dict[str, Any]:
    """Return the JSON object that an answer holds; an empty one where it holds none."""
    try:
        document = json.loads(answer.body)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def errors_in(answer: Answer) -> tuple[tuple[str, str], ...]:
    """Read the specification's error document: code and message of each."""
    listed = document(answer).get("errors")
    errors = [error for error in listed if isinstance(error, dict)] if isinstance(listed, list) else []
    return tuple((str(error.get("code") or ""), str(error.get("message") or "")) for error in errors)


def codes(answer: Answer) -> frozenset[str]:
    """Return the error codes of an answer; none where a registry did not write it."""
    return frozenset(code for code, _ in errors_in(answer) if code)


def next_page(answer: Answer) -> str | None:
    """Read `Link: </v2/...>; rel="next"`."""
    link = re.match(r'\s*<([^>]+)>\s*;.*rel="?next"?', answer.headers.get("Link", ""))
    return urljoin(answer.url, link[1]) if link else None
