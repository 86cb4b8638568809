"""Small files on a branch of their own, read and written as git objects: no checkout is touched, no run overwrites another.

With a remote, the remote's branch is the truth: it is fetched before each change and pushed with the value that was read.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from build.doors import store
from build.doors.git import ask_remote, git_output, git_status
from build.doors.remotewords import refused
from build.doors.retry import transient
from build.errors import WorkFailed

__all__ = ["StateBranch", "commit_file", "git_dir", "push_branch"]

_ATTEMPTS = 8
_REFUSED = ("stale info", "[rejected]", "[remote rejected]", "cannot lock ref", "fetch first")
"""What git says where somebody else was faster."""


class _Outrun(WorkFailed):
    """Somebody else changed the branch since it was read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StateBranch:
    """A branch whose files are the state."""

    repository: Path
    """A git directory."""
    branch: str
    remote: str = ""
    """Name or address; empty: the branch lives here alone."""

    def read(self) -> dict[str, str]:
        """Return the files by path; none where the branch is not there."""
        return self._files(self._tip())

    def change(
        self, edit: Callable[[Mapping[str, str]], Mapping[str, str | None]], message: str, *, date: str
    ) -> None:
        """Change files. `edit` is given all there are and returns those that change, None for one that goes.

        It is called again where somebody else was faster; what it raises ends the change.

        Raises:
            Unreachable: the remote did not answer.
            WorkFailed: others were faster again and again.
        """
        transient(lambda: self._once(edit, message, date), on=(_Outrun,), attempts=_ATTEMPTS)

    def _once(
        self, edit: Callable[[Mapping[str, str]], Mapping[str, str | None]], message: str, date: str
    ) -> None:
        tip = self._tip()
        before = self._files(tip)
        changes = {path: text for path, text in edit(before).items() if before.get(path) != text}
        if not changes:
            return
        commit = _commit(self.repository, tip, changes, message, date)
        if self.remote:
            self._push(tip, commit)
        else:
            status, _, err = git_status(
                self.repository, "update-ref", f"refs/heads/{self.branch}", commit, tip or "0" * 40
            )
            if status != 0:
                message = f"{self.branch} was changed meanwhile: {err.strip()}"
                raise _Outrun(message, hint="run it again")

    def _push(self, tip: str, commit: str) -> None:
        if not _pushed(self.repository, self.remote, self.branch, commit, tip):
            message = f"{self.branch} was changed meanwhile by another run"
            raise _Outrun(message, hint="run it again")

    def _tip(self) -> str:
        """Return the branch's commit, which is then here; empty where there is none."""
        full = f"refs/heads/{self.branch}"
        if not self.remote:
            return git_output(self.repository, "for-each-ref", "--format=%(objectname)", full).strip()
        tip = _there(self.repository, self.remote, full)
        if tip and git_status(self.repository, "cat-file", "-e", f"{tip}^{{tree}}")[0] != 0:
            status, _, err = ask_remote(
                self.repository, "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", self.remote, full
            )
            if status != 0:
                raise refused(self.remote, self.remote, self.repository, err)
        return tip

    def _files(self, tip: str) -> dict[str, str]:
        if not tip:
            return {}
        names = git_output(self.repository, "ls-tree", "-r", "--name-only", "-z", tip).split("\0")
        return {name: git_output(self.repository, "show", f"{tip}:{name}") for name in names if name}


def git_dir(root: Path) -> Path:
    """Return the git directory of a checkout, a linked worktree's too.

    Raises:
        WorkFailed: it is no checkout.
    """
    env = {"GIT_DIR": str(root / ".git")}
    return Path(git_output(root, "rev-parse", "--absolute-git-dir", env=env).strip())


def push_branch(repository: Path, remote: str, branch: str) -> None:
    """Make the remote's branch what it is here. The branch is ours: what it was there before is replaced.

    Raises:
        WorkFailed: somebody else pushed it in the same moment.
    """
    full = f"refs/heads/{branch}"
    commit = git_output(repository, "rev-parse", full).strip()
    tip = _there(repository, remote, full)
    if tip != commit and not _pushed(repository, remote, branch, commit, tip):
        message = f"{branch} was pushed by somebody else in this moment"
        raise WorkFailed(message, hint="run it again")


def _there(repository: Path, remote: str, full: str) -> str:
    status, out, err = ask_remote(repository, "ls-remote", "--", remote, full)
    if status != 0:
        raise refused(remote, remote, repository, err)
    return out.partition("\t")[0].strip()


def _pushed(repository: Path, remote: str, branch: str, commit: str, tip: str) -> bool:
    """Push a commit where the branch still is `tip`; say whether it was."""
    full = f"refs/heads/{branch}"
    lease = f"--force-with-lease={full}:{tip}"
    words = ("push", "--quiet", "--no-verify", lease, remote, f"{commit}:{full}")
    status, out, err = ask_remote(repository, *words)
    if status != 0 and not any(word in out + err for word in _REFUSED):
        raise refused(remote, remote, repository, err)
    return status == 0


def commit_file(
    repository: Path, base: str, file: tuple[str, str], *, branch: str, message: str, date: str
) -> str:
    """Commit one file (path and text) on top of `base`, to a branch that then is exactly that. Returns the commit.

    Where the branch is that already, nothing is done.
    """
    full = f"refs/heads/{branch}"
    tip = git_output(repository, "for-each-ref", "--format=%(objectname)", full).strip()
    commit = _commit(repository, base, dict([file]), message, date)
    shape = ("rev-parse", f"{commit}^{{tree}}", f"{commit}^")
    if (
        tip
        and git_output(repository, *shape)
        == git_status(repository, "rev-parse", f"{tip}^{{tree}}", f"{tip}^")[1]
    ):
        return tip
    git_output(repository, "update-ref", full, commit, tip or "0" * 40)
    return commit


def _commit(repository: Path, parent: str, changes: Mapping[str, str | None], message: str, date: str) -> str:
    """Make a commit of a parent's files with some of them changed. No ref is moved."""
    scratch = repository / f"ingot-index.{os.getpid()}"
    blob = repository / f"ingot-blob.{os.getpid()}"
    here = str(repository.absolute())
    # git wants a work tree for taking a path out of an index; no file of it is looked at.
    env = {"GIT_DIR": here, "GIT_WORK_TREE": here, "GIT_INDEX_FILE": str(scratch.absolute())}
    try:
        git_output(repository, "read-tree", *((parent,) if parent else ("--empty",)), env=env)
        for path, text in changes.items():
            if text is None:
                git_output(repository, "update-index", "--force-remove", "--", path, env=env)
                continue
            store.write_text(blob, text)
            made = git_output(
                repository, "hash-object", "-w", "--no-filters", str(blob.absolute()), env=env
            ).strip()
            git_output(repository, "update-index", "--add", "--cacheinfo", f"100644,{made},{path}", env=env)
        tree = git_output(repository, "write-tree", env=env).strip()
    finally:
        for left in (scratch, blob):
            left.unlink(missing_ok=True)
    who = {"NAME": "Ingot", "EMAIL": "ingot@ingot.invalid", "DATE": date}
    names = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in who.items()}
    parents = ("-p", parent) if parent else ()
    return git_output(repository, "commit-tree", tree, *parents, "-m", message, env=names).strip()
