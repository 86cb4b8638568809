"""Histories of upstreams: commits and trees without the files' contents, in repositories beside the mirrors.

What is asked here never asks the network again: a content that is missing is an error, not a download.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from build.doors.git import GitMirrors, ask_remote, git_output, git_status
from build.doors.gitlocks import clear_locks
from build.doors.remotewords import refused
from build.doors.store import locked
from build.errors import IngotError
from build.recipe.refs import Commit

__all__ = ["NO_NETWORK", "History", "LoggedCommit", "fetch_history", "history_of"]

_REMOTE = "ingot"
"""git notes down by name where a repository's missing contents could be had; a path cannot be such a name."""
NO_NETWORK = {"GIT_ALLOW_PROTOCOL": "none"}
"""A repository without the files' contents would fetch what it lacks."""
_UPSTREAM = "refs/upstream"
_LOG_MAX = 5000


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedCommit:
    """One commit of a range."""

    commit: Commit
    date: str
    """RFC 3339, the committer's."""
    subject: str
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What is known of an upstream's past, and of its kin."""

    repository: Path

    def has(self, commit: str) -> bool:
        return self._status("cat-file", "-e", f"{commit}^{{commit}}") == 0

    def reachable(self, commit: str) -> bool:
        """Say whether some branch or tag of upstream leads to the commit."""
        return self.has(commit) and not self._ask(
            "rev-list", "--max-count=1", commit, "--not", f"--glob={_UPSTREAM}/*"
        )

    def is_ancestor(self, old: str, new: str) -> bool:
        return self._status("merge-base", "--is-ancestor", old, new) == 0

    def count(self, new: str, *, without: str = "") -> int:
        """Count the commits that lead to `new`, without those that lead to `without` too."""
        return int(self._ask("rev-list", "--count", new, *((f"^{without}",) if without else ())))

    def merge_base(self, one: str, other: str) -> Commit | None:
        """Return the newest commit that leads to both; None where they have nothing in common."""
        status, out, _ = git_status(self.repository, "merge-base", one, other, env=NO_NETWORK)
        return Commit(out.split()[0]) if status == 0 else None

    def date(self, commit: str) -> str:
        """Return the committer's date as RFC 3339 in UTC."""
        return self._ask("log", "-1", "--format=%cd", "--date=format-local:%Y-%m-%dT%H:%M:%SZ", commit)

    def first_parents(self, new: str, *, without: str) -> Iterator[tuple[Commit, str]]:
        """Yield commits and subjects from `new` back along its own line."""
        lines = self._ask("log", "--first-parent", "--format=%H %s", new, f"^{without}").splitlines()
        for line in lines:
            commit, _, subject = line.partition(" ")
            yield Commit(commit), subject

    def log(self, new: str, *, without: str) -> tuple[LoggedCommit, ...]:
        """List the commits that lead to `new` and not to `without`, the newest first, merges left out."""
        out = self._ask(
            "log",
            "--no-merges",
            "--no-renames",
            "--name-only",
            f"--max-count={_LOG_MAX}",
            "--date=format-local:%Y-%m-%dT%H:%M:%SZ",
            "--format=%x01%H%x02%cd%x02%s%x02",
            new,
            f"^{without}",
        )
        return tuple(_logged(part) for part in out.split("\x01")[1:])

    def _ask(self, *arguments: str) -> str:
        return git_output(self.repository, *arguments, env={**NO_NETWORK, "TZ": "UTC"}).strip()

    def _status(self, *arguments: str) -> int:
        return git_status(self.repository, *arguments, env=NO_NETWORK)[0]


def _logged(part: str) -> LoggedCommit:
    commit, date, subject, files = part.split("\x02", 3)
    return LoggedCommit(
        commit=Commit(commit), date=date, subject=subject, files=tuple(filter(None, files.splitlines()))
    )


def history_of(url: str) -> str:
    """Name the repository that holds an upstream's history, beside its mirror."""
    return f"history:{url}"


def fetch_history(
    mirrors: GitMirrors, url: str, *, commits: Sequence[Commit] = (), kin: Sequence[str] = ()
) -> tuple[History, dict[str, Commit | IngotError]]:
    """Fetch all branches and tags of an upstream, single commits of it, and the default branches of its kin.

    A commit that upstream does not give is missing from the history, no error. Kin that cannot be asked is an error in
    the answer, by URL; the others' is the head of their default branch.

    Raises:
        Unreachable: upstream did not answer.
        BadRequest: it has no such repository, or not for us.
    """
    repository = mirrors.mirror(history_of(url))
    history = History(repository=repository)
    with locked(repository.with_name(f"{repository.name}.lock")):
        clear_locks(repository, "shallow.lock", "packed-refs.lock")
        _fetch(
            mirrors,
            repository,
            url,
            "--prune",
            *(f"+refs/{one}/*:{_UPSTREAM}/{one}/*" for one in ("heads", "tags")),
        )
        for commit in commits:
            if not history.has(commit):
                # Refused where upstream has dropped it: that is an answer.
                _ask_remote(mirrors, repository, url, f"+{commit}:refs/pinned/{commit}")
        return history, {one: _head(mirrors, repository, one, number) for number, one in enumerate(kin)}


def _head(mirrors: GitMirrors, repository: Path, url: str, number: int) -> Commit | IngotError:
    ref = f"refs/kin/{number}"
    try:
        _fetch(mirrors, repository, url, f"+HEAD:{ref}")
    except IngotError as error:
        return error
    return Commit(git_output(repository, "rev-parse", ref).strip())


def _fetch(mirrors: GitMirrors, repository: Path, url: str, *words: str) -> None:
    status, err = _ask_remote(mirrors, repository, url, *words)
    if status != 0:
        raise refused(url, mirrors.location(url), repository, err)


def _ask_remote(mirrors: GitMirrors, repository: Path, url: str, *words: str) -> tuple[int, str]:
    options = tuple(word for word in words if word.startswith("--"))
    specs = tuple(word for word in words if not word.startswith("--"))
    status, _, err = ask_remote(
        repository,
        "-c",
        f"remote.{_REMOTE}.url={mirrors.location(url)}",
        "fetch",
        "--quiet",
        "--no-tags",
        "--filter=blob:none",
        *options,
        _REMOTE,
        *specs,
    )
    return status, err
