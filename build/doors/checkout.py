"""The checkout that the pipeline runs in, as git knows it: its commit, and since when its files say what they say. Reads only."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from build.doors.git import git_output, git_status

__all__ = ["CheckoutState", "added_lines", "checkout_state"]

_LOG = (
    "log",
    "--no-color",
    "--no-ext-diff",
    "--no-textconv",
    "--no-renames",
    "--unified=0",
    "--format=%x01%H %ct",
)


def added_lines(root: Path, folder: str, pattern: str) -> dict[str, datetime]:
    """Return, for each line that a commit added below `folder` and that matches, when that was last done.

    Empty where `root` is no checkout. A shallow clone's oldest commit seems to add everything: it says nothing.
    """
    if not (root / ".git").exists():
        return {}
    env = {"GIT_DIR": str(root / ".git")}
    status, out, _ = git_status(root, *_LOG, "--patch", f"-G{pattern}", "--", folder, env=env)
    if status != 0:  # a checkout without a commit
        return {}
    cut = _cut_off(root, env)
    found: dict[str, datetime] = {}
    for commit, when, line in _added(out):
        if commit not in cut and re.search(pattern, line):
            found.setdefault(line.strip(), when)
    return found


_INPUTS = ("build", "dockerfiles", "patches", "recipes", "samples", "requirements.txt")
"""What a build depends on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckoutState:
    """Which state of the repository its files are. Empty: git does not know."""

    commit: str = ""
    changed: bool = False
    """Files that a build depends on differ from the commit."""
    repository: str = ""
    """Where `origin` is, if that is an address: without login, and no path of this machine."""


def checkout_state(root: Path) -> CheckoutState:
    """Ask git for the state of a checkout. `root` may be none, or one that git does not trust."""
    if not (root / ".git").exists():
        return CheckoutState()
    env = {"GIT_DIR": str(root / ".git"), "GIT_OPTIONAL_LOCKS": "0"}
    status, commit, _ = git_status(root, "rev-parse", "--verify", "HEAD", env=env)
    if status != 0:
        return CheckoutState()
    changes = git_output(root, "status", "--porcelain", "--", *_INPUTS, env=env)
    _, url, _ = git_status(root, "config", "--get", "remote.origin.url", env=env)
    return CheckoutState(commit=commit.strip(), changed=bool(changes), repository=_address(url.strip()))


def _address(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"https", "http", "ssh", "git"}:
        return ""
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _cut_off(root: Path, env: dict[str, str]) -> set[str]:
    place = root / git_output(root, "rev-parse", "--git-path", "shallow", env=env).strip()
    return set(place.read_text(encoding="ascii").split()) if place.is_file() else set()


def _added(log: str) -> Iterator[tuple[str, datetime, str]]:
    commit, when = "", datetime.fromtimestamp(0, tz=UTC)
    for line in log.splitlines():
        if line.startswith("\x01"):
            commit, _, stamp = line[1:].partition(" ")
            when = datetime.fromtimestamp(int(stamp), tz=UTC)
        elif line.startswith("+") and not line.startswith("+++"):
            yield commit, when, line[1:]
