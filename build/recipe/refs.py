"""Names that are right by construction: a commit, a digest, an image reference. Parse or raise ValueError; pure."""

import re
from dataclasses import dataclass
from typing import Self

__all__ = ["TAG_MAX", "Commit", "Digest", "ImageRef", "is_tag"]

TAG_MAX = 128
"""Longest tag a registry takes (OCI distribution specification 1.1, `<reference>` as a tag)."""

_COMMIT = re.compile(r"[0-9a-f]{40}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_REPOSITORY = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*")
_HOST = re.compile(r"(?:[A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?")


class Commit(str):
    """A full git commit id: 40 lower-case hex digits, never a branch or an abbreviation."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        if not _COMMIT.fullmatch(text):
            message = f"'{text}' is not a full commit id (40 lower-case hex digits)"
            raise ValueError(message)
        return super().__new__(cls, text)


class Digest(str):
    """A content address, `sha256:` and 64 hex digits."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        if not _DIGEST.fullmatch(text):
            message = f"'{text}' is not a sha256 digest"
            raise ValueError(message)
        return super().__new__(cls, text)

    @property
    def hex(self) -> str:
        """The 64 digits alone."""
        return self.removeprefix("sha256:")


def is_tag(text: str) -> bool:
    """Say whether a registry accepts `text` as a tag."""
    return _TAG.fullmatch(text) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRef:
    """`registry/repository[:tag][@digest]`; the registry is always explicit."""

    registry: str
    repository: str
    tag: str = ""
    digest: Digest | None = None

    def __post_init__(self) -> None:
        if not _HOST.fullmatch(self.registry):
            message = f"'{self.registry}' is not a registry host"
            raise ValueError(message)
        if not _REPOSITORY.fullmatch(self.repository):
            message = f"'{self.repository}' is not a repository name (lower case, digits, . _ - and /)"
            raise ValueError(message)
        if self.tag and not is_tag(self.tag):
            message = f"'{self.tag}' is not a tag ([A-Za-z0-9_.-], at most {TAG_MAX} characters)"
            raise ValueError(message)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a reference whose first component is a registry host. Raises ValueError."""
        name, _, digest = text.partition("@")
        registry, slash, rest = name.partition("/")
        if not slash or not ("." in registry or ":" in registry or registry == "localhost"):
            message = f"'{text}' does not begin with a registry host"
            raise ValueError(message)
        repository, _, tag = rest.partition(":")
        return cls(
            registry=registry,
            repository=repository,
            tag=tag,
            digest=Digest(digest) if digest else None,
        )

    def __str__(self) -> str:
        """Render as docker and OCI tools read it."""
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.registry}/{self.repository}{tag}{digest}"
