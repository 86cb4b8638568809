"""Does a repository still offer a commit? Asks for names first, then for the commit alone; keeps nothing."""

import tempfile
from dataclasses import replace
from pathlib import Path

from build.doors.git import CommitMissing, GitMirrors, ask_remote
from build.errors import BadRequest
from build.recipe.refs import Commit

__all__ = ["offers"]


def offers(mirrors: GitMirrors, url: str, commit: Commit, work: Path) -> bool:
    """Say whether the commit can still be fetched from where it came; a repository that is gone has none.

    Raises:
        Unreachable: the remote did not answer.
    """
    where = mirrors.location(url)
    work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=work, prefix="offered-") as folder:
        scratch = replace(mirrors, root=Path(folder) / "git")
        status, listed, _ = ask_remote(scratch.empty(), "ls-remote", "--", where)
        if status == 0 and any(line.startswith(commit) for line in listed.splitlines()):
            return True
        try:
            scratch.fetch(url, commit)
        except (CommitMissing, BadRequest):
            return False
    return True
