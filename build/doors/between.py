"""What lies between two commits of a mirror. Asks no remote, and tells a history that is not there from an empty one."""

from dataclasses import dataclass
from pathlib import Path

from build.doors.git import GitMirrors, git_output
from build.doors.history import NO_NETWORK, History, history_of
from build.errors import WorkFailed
from build.recipe.refs import Commit

__all__ = ["Between", "HistoryMissing", "LogLine", "find_mirrors", "read_history"]


class HistoryMissing(WorkFailed):
    """The mirror does not hold what lies between two commits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """One commit, as `git log --oneline` says it."""

    commit: str
    """Abbreviated."""
    subject: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Between:
    """The way from one commit to another, newest first."""

    gained: tuple[LogLine, ...] = ()
    """What the later one has and the earlier one has not."""
    lost: tuple[LogLine, ...] = ()
    """What the earlier one has and the later one has not: a branch rewritten, or a step back."""


def find_mirrors(mirrors: GitMirrors, url: str) -> tuple[Path, ...]:
    """Return the repositories that hold something of an upstream: its history first. Makes none, as `mirror` would."""
    places = (mirrors.path(name) for name in (history_of(url), url))
    return tuple(path for path in places if path.is_dir())


def read_history(mirror: Path, old: Commit, new: Commit) -> Between:
    """Read the way from `old` to `new`.

    Raises:
        HistoryMissing: one of them is not there, or the mirror was fetched without the commits between them.
    """
    for commit in (old, new):
        if not History(repository=mirror).has(commit):
            message = f"the mirror does not hold {commit}"
            raise HistoryMissing(message)
    return Between(gained=_log(mirror, old, new), lost=_log(mirror, new, old))


def _log(mirror: Path, since: Commit, until: Commit) -> tuple[LogLine, ...]:
    listing = git_output(mirror, "log", "--format=%H%x00%h%x00%s", f"{since}..{until}", "--", env=NO_NETWORK)
    rows = [row.split("\0", 2) for row in listing.splitlines() if row.count("\0") == 2]  # noqa: PLR2004
    # A commit in this file was fetched without its parents, so the log ends there and not where the history does.
    grafted = mirror / "shallow"
    cut = frozenset(grafted.read_text(encoding="ascii").split()) if grafted.exists() else frozenset()
    if any(commit in cut for commit, _, _ in rows):
        message = f"the mirror holds {until} without the commits before it"
        raise HistoryMissing(message)
    return tuple(LogLine(commit=short, subject=subject) for _, short, subject in rows)
