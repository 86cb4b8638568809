"""What a remote repository offers, and what a mirrored commit holds, for reading. Changes neither."""

from dataclasses import dataclass
from pathlib import Path

from build.doors.git import GitMirrors, ask_remote, git_output
from build.doors.remotewords import refused
from build.recipe.refs import Commit

__all__ = ["RemoteRefs", "list_files", "ls_remote", "read_text"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteRefs:
    """The refs of a remote repository."""

    head: str
    """The default branch, as `refs/heads/main`; empty where the server does not say."""
    refs: tuple[tuple[str, Commit], ...]
    """Full names and commits; an annotated tag stands for the commit it leads to."""


def ls_remote(mirrors: GitMirrors, url: str) -> RemoteRefs:
    """Ask a remote for its refs, without fetching anything.

    Raises:
        Unreachable: it did not answer.
        BadRequest: it answered and has no such repository, or not for us.
    """
    where = mirrors.location(url)
    mirror = mirrors.mirror(url)
    status, out, err = ask_remote(mirror, "ls-remote", "--symref", "--", where)
    if status != 0:
        raise refused(url, where, mirror, err)
    head, refs = "", {}
    for line in out.splitlines():
        what, _, name = line.partition("\t")
        if what.startswith("ref: ") and name == "HEAD":
            head = what.removeprefix("ref: ")
        elif not what.startswith("ref: "):
            # `refs/tags/v1^{}` comes after `refs/tags/v1` and is the commit of the tag object.
            refs[name.removesuffix("^{}")] = Commit(what)
    return RemoteRefs(head=head, refs=tuple(refs.items()))


def list_files(mirror: Path, commit: Commit) -> tuple[str, ...]:
    """List the paths of a commit's files; links and submodules are not among them."""
    entries = git_output(mirror, "ls-tree", "-r", "--full-tree", "-z", commit).split("\0")
    return tuple(entry.partition("\t")[2] for entry in entries if entry.startswith("100"))


def read_text(mirror: Path, commit: Commit, path: str) -> str:
    """Return the text of one file of a commit."""
    return git_output(mirror, "show", f"{commit}:{path}")
