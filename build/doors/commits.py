"""Commits of our own making, in bare repositories of our own: equal inputs give equal ids on every machine."""

import os
from pathlib import Path

from build.doors.git import TreeIndex, git_output, keep_bytes
from build.errors import WorkFailed
from build.recipe.refs import Commit

__all__ = ["commit_folder", "commit_patch"]


def commit_folder(folder: Path, repository: Path, *, branch: str, message: str, date: str) -> Commit:
    """Commit a folder's files, as a commit without parent, to a branch of a bare repository made if it is not there.

    Author, committer and date are constants: equal files give an equal commit id on every machine.
    """
    if not (repository / "HEAD").exists():
        repository.mkdir(parents=True, exist_ok=True)
        git_output(repository, "init", "--bare", "--quiet", f"--initial-branch={branch}", ".")
    keep_bytes(repository)
    index = TreeIndex(mirror=repository, index=repository / f"index.{os.getpid()}")
    index.import_folder(folder)
    tree = index.write_tree()
    index.discard()
    return _commit(repository, tree, branch=branch, message=message, date=date)


def commit_patch(
    patch: Path, repository: Path, *, onto: Commit, branch: str, message: str, date: str
) -> Commit:
    """Commit a patch on top of a commit of a bare repository, to a branch of its own. Equal inputs give an equal id."""
    index = TreeIndex(mirror=repository, index=repository / f"index.{os.getpid()}")
    index.read(onto)
    applied, words = index.apply(patch)
    tree = index.write_tree()
    index.discard()
    if not applied:
        message = f"{patch.name} does not apply to {onto}: {words.strip()}"
        raise WorkFailed(message)
    return _commit(repository, tree, branch=branch, message=message, date=date, parents=("-p", onto))


def _commit(
    repository: Path, tree: str, *, branch: str, message: str, date: str, parents: tuple[str, ...] = ()
) -> Commit:
    who = {"NAME": "Ingot", "EMAIL": "ingot@samples.ingot.invalid", "DATE": date}
    env = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in who.items()}
    commit = Commit(git_output(repository, "commit-tree", tree, *parents, "-m", message, env=env).strip())
    git_output(repository, "update-ref", f"refs/heads/{branch}", commit)
    return commit
