"""Addresses of repositories, and what git says when one does not answer, in our words. Pure."""

import re
from urllib.parse import urlsplit

from build.errors import Unreachable

__all__ = ["is_unreachable", "join", "unreachable"]

_UNREACHABLE = re.compile(
    r"could not resolve host|failed to connect|connection (?:refused|reset|timed out)|couldn't connect|unable to access|"
    r"could not read from remote repository|does not appear to be a git repository|repository .* not found|"
    r"operation timed out|network is unreachable|early eof|remote end hung up",
    re.IGNORECASE,
)


def is_unreachable(err: str) -> bool:
    """Say whether git's complaint is about the way to a remote and not about what it holds."""
    return _UNREACHABLE.search(err) is not None


def unreachable(url: str, where: str, err: str) -> Unreachable:
    """Put what git said about a remote that did not answer into our words."""
    host = urlsplit(where).hostname or where
    words = err.strip().splitlines() or ["no answer"]
    # The first fatal line says why; what follows is advice.
    why = next((line for line in words if line.startswith(("fatal:", "ssh:"))), words[-1])
    return Unreachable(
        f"cannot reach {host} for {url}: {why}",
        hint="name a mirror: INGOT_GIT_MIRROR='https://github.com/=https://git.example.org/mirrors/', or git's own "
        "url.<base>.insteadOf",
    )


def join(base: str, url: str) -> str:
    """Resolve a submodule's URL, which may be relative to its parent's."""
    if not url.startswith(("./", "../")):
        return url
    parts = base.rstrip("/").split("/")
    for part in url.split("/"):
        if part == "..":
            parts.pop()
        elif part not in {".", ""}:
            parts.append(part)
    return "/".join(parts)
