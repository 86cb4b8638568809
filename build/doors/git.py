"""Git. The one importer of GitPython; turns git's words into ours and keeps bare mirrors of upstreams.

Commands that stay on this machine go through GitPython. Those that wait for a remote go through `process`: GitPython
leaves its child running when we are interrupted or killed, and a fetch that lives on changes the mirror under the next.
"""

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from build.doors import process
from build.doors.gitcommand import CONFIGURATION, ENVIRONMENT, remote_command
from build.doors.gitlocks import clear_locks
from build.doors.gitobjects import committed_tree
from build.doors.remotewords import is_broken, is_final, join, refused
from build.doors.store import locked, write_text
from build.errors import CommandFailed, ToolMissing, WorkFailed
from build.recipe.refs import Commit

__all__ = [
    "CommitMissing",
    "GitMirrors",
    "Submodule",
    "TreeIndex",
    "ask_remote",
    "git_output",
    "git_status",
    "keep_bytes",
]

_ATTRIBUTES = "* -text -ident -filter -export-subst -export-ignore -working-tree-encoding\n"
"""Bytes as committed, whatever the tree's own attributes ask for: no line-end conversion, no filters."""

_ABSENT = "upload-pack: not our ref"


class CommitMissing(WorkFailed):
    """The repository answered, and does not hold the commit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Submodule:
    """A submodule as a commit records it."""

    path: str
    url: str
    commit: Commit


def git_status(
    directory: Path, *arguments: str, env: Mapping[str, str] | None = None
) -> tuple[int, str, str]:
    # Importing GitPython runs git, and fails where there is none unless it is told to wait for the first command.
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    import git

    command = ["git", *CONFIGURATION, *arguments]
    # Said in every call: git hooks export GIT_DIR, and we may be called from one.
    places = {"GIT_DIR": str(directory.absolute())}
    try:
        with open(os.devnull, "rb") as source:  # noqa: PTH123  (a device)
            status, out, err = git.cmd.Git(directory).execute(
                command,
                env={**ENVIRONMENT, **places, **(env or {})},
                istream=source,
                with_extended_output=True,
                with_exceptions=False,
                strip_newline_in_stdout=False,
                stdout_as_string=True,
            )
    except git.exc.GitCommandNotFound as error:
        message = "git is not installed"
        raise ToolMissing(message, hint="install the distribution's package: git") from error
    return int(status), str(out), str(err)


def ask_remote(mirror: Path, *arguments: str, env: Mapping[str, str] | None = None) -> tuple[int, str, str]:
    """Run a git command that waits for a remote. An interrupt ends it with its children; so does our own death."""
    command = remote_command(mirror, *arguments, env=env)
    done = process.run(command.argv, cwd=command.cwd, env=command.env, check=False)
    return done.status, done.stdout, done.stderr


def git_output(directory: Path, *arguments: str, env: Mapping[str, str] | None = None) -> str:
    status, out, err = git_status(directory, *arguments, env=env)
    if status != 0:
        hint = ""
        if is_broken(err):
            hint = (
                f"where its disk has room, delete {(env or {}).get('GIT_DIR', directory)}: it is made again"
            )
        raise CommandFailed(("git", *arguments), status, output=err or out, hint=hint)
    return out


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeIndex:
    """A git index of its own over a mirror: a tree is read into it, patches change it, files are written from it."""

    mirror: Path
    index: Path

    @property
    def _env(self) -> dict[str, str]:
        return {"GIT_DIR": str(self.mirror), "GIT_INDEX_FILE": str(self.index)}

    def read(self, tree: str) -> None:
        """Fill the index from a commit or a tree."""
        self.discard()
        git_output(self.mirror, "read-tree", tree, env=self._env)

    def import_folder(self, folder: Path) -> None:
        """Fill the index from files on disk, byte for byte, ignoring .gitignore."""
        self.discard()
        git_output(folder, "add", "--all", "--force", ".", env={**self._env, "GIT_WORK_TREE": str(folder)})

    def apply(self, patch: Path, *options: str) -> tuple[bool, str]:
        """Apply a patch to the index. Returns whether it applied, and what git said about it."""
        status, out, err = git_status(
            self.mirror,
            "apply",
            "--cached",
            "--verbose",
            "--whitespace=nowarn",
            *options,
            str(patch),
            env=self._env,
        )
        return status == 0, out + err

    def write_tree(self) -> str:
        """Store the index as a tree object. Returns its id."""
        return git_output(self.mirror, "write-tree", env=self._env).strip()

    def entries(self) -> dict[str, tuple[str, str]]:
        """List mode and id of each file by its path."""
        listed = git_output(self.mirror, "ls-files", "--stage", "-z", env=self._env).split("\0")
        parts = (line.partition("\t") for line in listed if line)
        return {path: (facts.split()[0], facts.split()[1]) for facts, _, path in parts}

    def discard(self) -> None:
        """Remove the index and the lock that a killed git may have left beside it."""
        self.index.unlink(missing_ok=True)
        self.index.with_name(f"{self.index.name}.lock").unlink(missing_ok=True)

    def export(self, folder: Path) -> None:
        """Write the files of the index below `folder`, which must be empty."""
        folder.mkdir(parents=True, exist_ok=True)
        git_output(
            folder, "checkout-index", "--all", "--force", env={**self._env, "GIT_WORK_TREE": str(folder)}
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class GitMirrors:
    """Bare mirrors of upstream repositories under one folder.

    What was fetched once stays buildable: each pinned commit gets a ref of its own, so that a force-push upstream takes
    nothing away.
    """

    root: Path
    replacements: tuple[tuple[str, str], ...] = ()
    """Prefixes of URLs and what stands for them (INGOT_GIT_MIRROR); git's own `insteadOf` is honoured by git itself."""

    def location(self, url: str) -> str:
        """Return where a URL is really fetched from."""
        for prefix, replacement in self.replacements:
            if url.startswith(prefix):
                return replacement + url.removeprefix(prefix)
        return url

    def path(self, url: str) -> Path:
        """Say where the mirror of `url` lies, or would lie."""
        name = re.sub(r"[^A-Za-z0-9.-]+", "-", url.rsplit("://", maxsplit=1)[-1])
        digest = hashlib.sha256(url.encode()).hexdigest()[:8]
        return self.root / f"{name.strip('-').removesuffix('.git')}-{digest}.git"

    def mirror(self, url: str) -> Path:
        """Return the bare repository that mirrors `url`, made if it is not there."""
        path = self.path(url)
        if not (path / "HEAD").exists():
            # Two at once trip over each other's files; who comes second makes again what is there already.
            with locked(self.root.with_name(f"{self.root.name}.lock")):
                path.mkdir(parents=True, exist_ok=True)
                git_output(path, "init", "--bare", "--quiet", ".")
        keep_bytes(path)
        return path

    def empty(self) -> Path:
        """Return a repository that holds nothing, for questions to remotes that are not mirrored."""
        return self.mirror("ingot:nothing")

    def has(self, mirror: Path, commit: Commit) -> bool:
        """Say whether the mirror holds the commit with its whole tree."""
        status, _, _ = git_status(mirror, "rev-parse", "--verify", "--quiet", f"refs/ingot/{commit}^{{tree}}")
        return status == 0

    def fetch(self, url: str, commit: Commit) -> Path:
        """Make sure that the mirror of `url` holds `commit`; the network is asked only when it does not.

        Raises:
            Unreachable: the remote did not answer.
            BadRequest: it answered and has no such repository, or not for us.
            CommitMissing: it has the repository and no such commit.
            WorkFailed: the mirror is broken.
        """
        mirror = self.mirror(url)
        with locked(mirror.with_name(f"{mirror.name}.lock")):
            if not self.has(mirror, commit):
                self._fetch(url, mirror, commit)
        return mirror

    def _fetch(self, url: str, mirror: Path, commit: Commit) -> None:
        clear_locks(mirror, "shallow.lock", "packed-refs.lock", f"refs/ingot/{commit}.lock")
        where, mine = self.location(url), f"refs/ingot/{commit}"
        fetch = ("fetch", "--quiet", "--no-tags")
        status, _, err = ask_remote(mirror, *fetch, "--depth=1", "--", where, f"+{commit}:{mine}")
        if status == 0:
            return
        if _ABSENT in err and _speaks_v2(mirror, where):
            raise _missing(url, commit)
        if is_final(err):
            raise refused(url, where, mirror, err)
        # Servers may refuse to name a commit that is no branch's head: take everything and look again.
        status, _, err = ask_remote(mirror, *fetch, "--", where, "+refs/*:refs/upstream/*")
        if status != 0:
            raise refused(url, where, mirror, err)
        status, _, err = git_status(mirror, "update-ref", mine, commit)
        if status != 0:
            raise refused(url, where, mirror, err) if is_broken(err) else _missing(url, commit)

    def tree(self, mirror: Path, commit: Commit) -> str:
        """Return the id of the commit's tree, as the commit's own bytes say, whose hash is proven."""
        data = git_output(mirror, "cat-file", "commit", commit)
        return committed_tree(commit, data.encode("utf-8", "surrogateescape"), mirror)

    def committed_at(self, mirror: Path, commit: Commit) -> str:
        """Return the commit's date as RFC 3339 in UTC."""
        return git_output(
            mirror,
            "show",
            "--no-patch",
            "--format=%cd",
            "--date=format-local:%Y-%m-%dT%H:%M:%SZ",
            commit,
            env={"TZ": "UTC"},
        ).strip()

    def submodules(self, mirror: Path, commit: Commit, *, base: str) -> tuple[Submodule, ...]:
        """List the commit's submodules. Relative URLs are resolved against `base`."""
        links = [
            line.split(None, 3)
            for line in git_output(mirror, "ls-tree", "-r", "--full-tree", "-z", commit).split("\0")
            if line.startswith("160000 ")
        ]
        if not links:
            return ()
        # No .gitmodules is an empty list: the message below then names the submodule.
        _, listing, _ = git_status(mirror, "config", f"--blob={commit}:.gitmodules", "--null", "--list")
        settings = dict(item.partition("\n")[::2] for item in listing.split("\0") if item)
        names = {path: key.removesuffix(".path") for key, path in settings.items() if key.endswith(".path")}
        found = []
        for _, _, commit_id, path in links:
            url = settings.get(f"{names.get(path, '')}.url", "")
            if not url:
                message = f"the submodule {path} of {base} has no URL in .gitmodules"
                raise WorkFailed(
                    message, hint="pin a commit whose submodules are whole, or say submodules: false"
                )
            found.append(Submodule(path=path, url=join(base, url), commit=Commit(commit_id)))
        return tuple(found)

    def index(self, mirror: Path, index: Path) -> TreeIndex:
        """Return an empty index over the mirror, kept in the file `index`."""
        return TreeIndex(mirror=mirror, index=index)


def _missing(url: str, commit: Commit) -> CommitMissing:
    message = f"{url} has no commit {commit}"
    return CommitMissing(message, hint="a branch rewritten upstream? choose a commit that is still there")


def _speaks_v2(mirror: Path, where: str) -> bool:
    """Say whether the server looks a commit up among all it has, as protocol 2 does, and not among its refs alone."""
    _, _, trace = ask_remote(mirror, "ls-remote", "--", where, "HEAD", env={"GIT_TRACE_PACKET": "1"})
    return "< version 2" in trace


def keep_bytes(repository: Path) -> None:
    """Switch conversions off. The file is left alone where it is right: another process may be reading it."""
    attributes = repository / "info" / "attributes"
    if not attributes.exists() or attributes.read_text(encoding="utf-8") != _ATTRIBUTES:
        write_text(attributes, _ATTRIBUTES)
