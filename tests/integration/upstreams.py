"""A fork that moves: a bare repository served on loopback, and a clone of ours that follows it."""

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from build.doors.commits import commit_folder
from build.doors.statebranch import git_dir
from build.doors.store import sha256_text
from tests.integration.conftest import Checkout, Ran
from tests.unit.follow.making import commit_files

__all__ = ["BRANCH", "HOST", "Follower", "Round", "Upstream", "git", "serving"]

HOST = "https://git.example.org/"
BRANCH = "bump/minifork"
_DATE = "2026-01-01T00:00:00+0000"


def git(root: Path, *words: str) -> str:
    who = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    # Long ago: the schedule counts from the commit that wrote the pin.
    env = {**os.environ, "GIT_COMMITTER_DATE": _DATE}
    done = subprocess.run(
        ("git", *who, *words), cwd=root, env=env, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@dataclass(frozen=True, kw_only=True)
class Upstream:
    """The fork's own repository, and the files of the sample that it began with."""

    repository: Path
    sample: Path
    url: str
    """As recipes name it."""

    def begin(self) -> str:
        return commit_folder(self.sample, self.repository, branch="main", message="first", date=_DATE)

    def read(self, path: str) -> str:
        return (self.sample / path).read_text()

    def land(self, subject: str, onto: str = "", **files: str) -> str:
        """Commit files, named by their stems; with `onto` the branch is forced there."""
        places = {"args": "common/args.cpp", "server": "server/server.cpp"}
        named: dict[str, str | None] = {places[name]: text for name, text in files.items()}
        return commit_files(self.repository, named, subject=subject, onto=onto)

    def forget(self) -> None:
        """Drop what no branch leads to, as hosts do in time."""
        git(self.repository, "reflog", "expire", "--expire=now", "--all")
        git(self.repository, "gc", "--quiet", "--prune=now")

    def has(self, commit: str) -> bool:
        asked = ("git", "cat-file", "-e", f"{commit}^{{commit}}")
        return subprocess.run(asked, cwd=self.repository, capture_output=True, check=False).returncode == 0


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serve the repositories of a folder on loopback, as upstream does, for the block."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ("--export-all", "--reuseaddr", "--listen=127.0.0.1", f"--port={port}", f"--base-path={folder}")
    exec_path = git(folder, "--exec-path")
    server = subprocess.Popen((f"{exec_path}/git-daemon", *words, str(folder)), stderr=subprocess.DEVNULL)
    try:
        for _ in range(100):
            with socket.socket() as tried:
                if tried.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"git://127.0.0.1:{port}/"
    finally:
        server.terminate()
        server.wait()


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What one run left."""

    ran: Ran
    outcome: dict[str, Any]
    """Empty where there was nothing to do."""
    tags: dict[str, str]
    """What each tag in the registry leads to."""
    state: dict[str, Any]
    """The files of the state branch."""
    bump: str
    """The commit of the branch with the new pin."""

    @property
    def record(self) -> dict[str, Any]:
        found = self.state["records/minifork.json"]
        assert isinstance(found, dict)
        return found


@dataclass(frozen=True, kw_only=True)
class Follower:
    """A clone with one recipe of one image, and the repository that it shares with other machines."""

    checkout: Checkout

    @property
    def shared(self) -> Path:
        return self.checkout.root.with_name(f"{self.checkout.root.name}.git")

    @property
    def place(self) -> Path:
        """Where this clone's copies lie."""
        cache = Path(self.checkout.env["INGOT_CACHE"])
        return cache / "follow" / sha256_text(str(git_dir(self.checkout.root)))[:12]

    @property
    def out(self) -> Path:
        return self.place / "minifork" / "out" / "minifork"

    def begin(self, upstream: Upstream, commit: str) -> None:
        """Pin the recipe to a commit of upstream and make this a clone."""
        path = self.checkout.root / "recipes" / "minifork.yaml"
        text = path.read_text()
        text = text[: text.index("variants:")] + text[text.index("runtime:") :]
        lines = text.splitlines(keepends=True)
        pins = {"  repo:": upstream.url, "  commit:": commit}
        for number, line in enumerate(lines):
            for key, value in pins.items():
                if line.startswith(key):
                    lines[number] = f"{key} {value}\n"
        path.write_text("".join(lines))
        root = self.checkout.root
        git(root, "init", "-q", "-b", "main")
        git(root, "add", "build", "dockerfiles", "patches", "recipes", "samples")
        git(root, "commit", "-qm", "ours")
        git(root.parent, "clone", "-q", "--bare", str(root), str(self.shared))
        git(root, "remote", "add", "origin", str(self.shared))

    def end(self) -> None:
        shutil.rmtree(self.place, ignore_errors=True)

    def merge(self) -> None:
        """Take the new pin, as a person who merges the pull request."""
        # Squashed: the commit is dated by this test, and the schedule does not hold the next candidate back.
        git(self.checkout.root, "merge", "-q", "--squash", BRANCH)
        git(self.checkout.root, "commit", "-qm", "merged")

    def round(self) -> Round:
        ran = self.checkout.run("rebuild", "minifork", "--remote", "origin", "--json")
        outcomes = json.loads(ran.out)["outcomes"]
        outcome = outcomes[0] if outcomes else {}
        return Round(ran=ran, outcome=outcome, tags=self.tags(), state=self.state(), bump=self.tip(BRANCH))

    def tip(self, branch: str) -> str:
        return git(self.shared, "for-each-ref", "--format=%(objectname)", f"refs/heads/{branch}")

    def state(self) -> dict[str, Any]:
        if not self.tip("ingot-state"):
            return {}
        names = git(self.shared, "ls-tree", "-r", "--name-only", "ingot-state").split()
        return {name: json.loads(git(self.shared, "show", f"ingot-state:{name}")) for name in names}

    def tags(self) -> dict[str, str]:
        """Ask the registry itself."""
        host, _, namespace = self.checkout.env["INGOT_REGISTRY"].partition("/")
        url = f"http://{host}/v2/{namespace}/minifork"
        accept = {"Accept": "application/vnd.oci.image.manifest.v1+json"}
        try:
            with urlopen(f"{url}/tags/list", timeout=10) as answer:
                names = json.load(answer)["tags"]
        except HTTPError as error:
            if error.code != HTTPStatus.NOT_FOUND:
                raise
            return {}
        found = {}
        for name in names:
            request = Request(f"{url}/manifests/{name}", headers=accept, method="HEAD")
            with urlopen(request, timeout=10) as answer:
                found[name] = answer.headers["Docker-Content-Digest"]
        return found
