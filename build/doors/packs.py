"""One commit of a mirror as a single pack file, and back: what git itself would send for a clone of depth 1."""

from pathlib import Path

from build.doors import store
from build.doors.git import ask_remote, git_output
from build.errors import CommandFailed, WorkFailed
from build.recipe.refs import Commit

__all__ = ["pack_commit", "unpack_commit"]


def pack_commit(mirror: Path, commit: Commit, work: Path) -> Path:
    """Write a commit with its whole tree, without its history, as a pack below `work`."""
    scratch = _repository(work)
    where = f"file://{mirror.absolute()}"
    name = f"refs/ingot/{commit}"
    fetch = (
        "-c",
        "fetch.unpackLimit=1",
        "fetch",
        "--quiet",
        "--no-tags",
        "--depth=1",
        "--",
        where,
        f"+{name}:{name}",
    )
    status, _, err = ask_remote(scratch, *fetch)
    if status != 0:
        raise CommandFailed(("git", "fetch", where), status, output=err)
    (pack,) = (scratch / "objects" / "pack").glob("*.pack")
    return pack


def unpack_commit(pack: Path, commit: Commit, work: Path) -> Path:
    """Make a repository below `work` that holds the commit of a pack, for git to fetch from. Git names each object by its bytes.

    Raises:
        WorkFailed: the pack is not git's, or holds another commit.
    """
    scratch = _repository(work)
    inside = scratch / "objects" / "pack" / "pack-copy.pack"
    pack.rename(inside)
    try:
        git_output(scratch, "index-pack", str(inside))
        # It has no parents here, and git is told so: as after a clone of depth 1.
        store.write_text(scratch / "shallow", f"{commit}\n")
        git_output(scratch, "update-ref", f"refs/ingot/{commit}", commit)
    except CommandFailed as error:
        message = f"the copy of commit {commit} does not hold it: {error.message}"
        raise WorkFailed(message, hint="copy it again: nox -s custody") from error
    return scratch


def _repository(work: Path) -> Path:
    scratch = work / "pack.git"
    store.discard(scratch)
    scratch.mkdir(parents=True)
    git_output(scratch, "init", "--bare", "--quiet", ".")
    return scratch
