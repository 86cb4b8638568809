"""What a remote repository offers, and what a mirrored commit holds, for reading. Changes neither."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from build.doors.git import GitMirrors, ask_remote, git_output
from build.doors.gitcommand import remote_command
from build.doors.remotewords import refused, unreachable
from build.doors.sidebyside import run_all
from build.errors import IngotError, WorkFailed
from build.recipe.refs import Commit

__all__ = ["RemoteAnswer", "RemoteRefs", "list_files", "ls_remote", "ls_remotes", "read_text"]

_ASK = ("ls-remote", "--symref", "--")


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteRefs:
    """The refs of a remote repository."""

    head: str
    """The default branch, as `refs/heads/main`; empty where the server does not say."""
    refs: tuple[tuple[str, Commit], ...]
    """Full names and commits; an annotated tag stands for the commit it leads to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteAnswer:
    """What came of asking one of several remotes."""

    url: str
    refs: RemoteRefs | None
    error: IngotError | None
    """Set where there are no refs."""
    seconds: float


def ls_remote(mirrors: GitMirrors, url: str) -> RemoteRefs:
    """Ask a remote for its refs, without fetching anything.

    Raises:
        Unreachable: it did not answer.
        BadRequest: it answered and has no such repository, or not for us.
        WorkFailed: its answer makes no sense.
    """
    where = mirrors.location(url)
    mirror = mirrors.mirror(url)
    status, out, err = ask_remote(mirror, *_ASK, where)
    if status != 0:
        raise refused(url, where, mirror, err)
    return _parse(url, out)


def ls_remotes(mirrors: GitMirrors, urls: Sequence[str], *, timeout_s: float) -> Iterator[RemoteAnswer]:
    """Ask remotes side by side and yield each answer as it comes; who has not answered in time is an error.

    No mirror is made for any of them.
    """
    asking = mirrors.empty()
    commands = [remote_command(asking, *_ASK, mirrors.location(url)) for url in urls]
    for ended in run_all(commands, timeout_s=timeout_s):
        url, done = urls[ended.number], ended.done
        refs: RemoteRefs | None = None
        error: IngotError | None = None
        if done is None:
            error = unreachable(url, mirrors.location(url), f"no answer within {timeout_s:g} s")
        elif done.status != 0:
            error = refused(url, mirrors.location(url), asking, done.stderr)
        else:
            try:
                refs = _parse(url, done.stdout)
            except WorkFailed as wrong:
                error = wrong
        yield RemoteAnswer(url=url, refs=refs, error=error, seconds=ended.seconds)


def _parse(url: str, out: str) -> RemoteRefs:
    head, refs = "", {}
    for line in out.splitlines():
        what, _, name = line.partition("\t")
        if what.startswith("ref: ") and name == "HEAD":
            head = what.removeprefix("ref: ")
        elif not what.startswith("ref: "):
            # `refs/tags/v1^{}` comes after `refs/tags/v1` and is the commit of the tag object.
            try:
                refs[name.removesuffix("^{}")] = Commit(what)
            except ValueError as error:
                message = f"{urlsplit(url).hostname} answers for {url} what is no list of commits: {error}"
                raise WorkFailed(message, hint="only repositories with SHA-1 names are known here") from error
    return RemoteRefs(head=head, refs=tuple(refs.items()))


def list_files(mirror: Path, commit: Commit) -> tuple[str, ...]:
    """List the paths of a commit's files; links and submodules are not among them."""
    entries = git_output(mirror, "ls-tree", "-r", "--full-tree", "-z", commit).split("\0")
    return tuple(entry.partition("\t")[2] for entry in entries if entry.startswith("100"))


def read_text(mirror: Path, commit: Commit, path: str) -> str:
    """Return the text of one file of a commit."""
    return git_output(mirror, "show", f"{commit}:{path}")
