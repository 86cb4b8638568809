"""Addresses of repositories, and what git says when it cannot fetch from one, in our words. Pure."""

import re
from pathlib import Path
from urllib.parse import urlsplit

from build.errors import BadRequest, IngotError, Unreachable, WorkFailed

__all__ = ["is_broken", "is_final", "join", "refused", "unreachable"]

_BROKEN = re.compile(
    r"no space left on device|disk quota exceeded|read-only file system|file too large|input/output error|"
    r"not a git repository|\bcorrupt|object file .* is empty|bad object|bad (?:numeric )?config|does not match index|"
    r"unable to (?:read|write|create|unpack)|failed to unpack|insufficient permission|"
    r"permission denied(?! \((?:publickey|password|keyboard|gssapi|hostbased))",
    re.IGNORECASE,
)
"""The disk or the repository on it, not the way to a remote."""
_NOT_THERE = re.compile(
    r"repository .*not found|repository not exported|could not read (?:username|password)|authentication failed|"
    r"invalid credentials|requested url returned error: (?:401|403|404|410|451)|/info/refs not valid|"
    r"permission denied \(|project .* could not be found|access denied",
    re.IGNORECASE,
)
"""The host answered. GitHub asks for a name where a repository is missing, so that private ones stay unknown."""
_UNREACHABLE = re.compile(
    r"could not resolve|failed to connect|connection (?:refused|reset|timed out|closed)|couldn't connect|unable to access|"
    r"unable to (?:connect|look up)|could not read from remote repository|does not appear to be a git repository|"
    r"timed out|network is unreachable|no route to host|early eof|hung up|rpc failed|proxy",
    re.IGNORECASE,
)
_NOT_WHOLE = re.compile(
    r"repository corruption on the remote side|missing (?:blob|tree|commit) object|did not send all necessary objects",
    re.IGNORECASE,
)
"""What arrived, named by its bytes, is not what was asked for: the other side's objects are not those of their names."""
_LOGIN = re.compile(r"(\w+://)[^\s/?#'\"]*@")
_MIRROR_HINT = (
    "name a mirror: INGOT_GIT_MIRROR='https://github.com/=https://git.example.org/mirrors/', or git's own "
    "url.<base>.insteadOf"
)


def is_broken(err: str) -> bool:
    """Say whether git complains about its own files: a full disk, a damaged repository."""
    # What the other side's disk has to say comes with `remote:` in front.
    return any(_BROKEN.search(line) for line in err.splitlines() if not line.startswith("remote:"))


def is_final(err: str) -> bool:
    """Say whether asking the same remote in another way would be of no use."""
    return is_broken(err) or bool(_NOT_THERE.search(err) or _UNREACHABLE.search(err))


def refused(url: str, where: str, mirror: Path, err: str) -> IngotError:
    """Choose the error for a remote command that failed: not there, our mirror is broken, or not reachable."""
    where, url = _without_login(where), _without_login(url)
    if not is_broken(err) and _NOT_THERE.search(err):
        message = f"{url} is not there or is private: {_why(err)}"
        hint = "correct the recipe's URL, or give git's credential helper an account that may read it"
        if where != url:
            hint = f"{where} stands for it (INGOT_GIT_MIRROR): mirror it there, or leave the mirror out"
        return BadRequest(message, hint=hint)
    if not is_broken(err) and (_UNREACHABLE.search(err) or not err.strip()):
        return unreachable(url, where, err)
    if _NOT_WHOLE.search(err):
        message = f"{where} serves other bytes than those of the commit that {url} is pinned to: {_why(err)}"
        return WorkFailed(
            message, hint=f"`git fsck` in {where} names what is damaged; or fetch from elsewhere"
        )
    message = f"cannot fetch {url} into {mirror}: {_why(err)}"
    return WorkFailed(message, hint=f"where its disk has room, delete {mirror}: it is fetched again")


def unreachable(url: str, where: str, err: str) -> Unreachable:
    """Put what git said about a remote that did not answer into our words."""
    host = _host(_without_login(where))
    message = f"cannot reach {host} for {_without_login(url)}: {_why(err)}"
    return Unreachable(message, hint=_MIRROR_HINT)


def _host(where: str) -> str:
    try:
        return urlsplit(where).hostname or where
    except ValueError:  # brackets that hold no IPv6 address
        return where


def _without_login(words: str) -> str:
    """Take user and password out of every address. A person's mirror or remote may have them, a log may not."""
    return _LOGIN.sub(r"\1", words)


def _why(err: str) -> str:
    """Return the first fatal line, which says why; what follows is advice."""
    words = err.strip().splitlines() or ["no answer"]
    return _without_login(next((line for line in words if line.startswith(("fatal:", "ssh:"))), words[-1]))


def join(base: str, url: str) -> str:
    """Resolve a submodule's URL, which may be relative to its parent's."""
    if not url.startswith(("./", "../")):
        return url
    parts = base.rstrip("/").split("/")
    for part in url.split("/"):
        if part == "..":
            # What leads out of the host is no URL any more; who fetches it refuses it.
            del parts[-1:]
        elif part not in {".", ""}:
            parts.append(part)
    return "/".join(parts)
