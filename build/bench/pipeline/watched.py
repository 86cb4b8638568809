"""A hundred upstreams on loopback, some of which never answer: how long `watch` takes beside the slowest of them."""

import json
import re
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from build.bench.pipeline.ground import Ground
from build.bench.pipeline.ratio import Sample
from build.doors import process
from build.doors.commits import commit_folder
from build.errors import WorkFailed

__all__ = ["Watched"]

_ANSWERING, _HANGING, _REFUSING = 95, 3, 2
_LIMIT_S = 8.0
"""What each upstream may take; those that hang take all of it."""


@dataclass(kw_only=True, eq=False)
class Watched:
    """A hundred recipes, of whose upstreams three hang and two refuse. Both sides are figures of one run."""

    ground: Ground
    _watches: dict[int, Sample] = field(default_factory=dict)

    def slowest(self, number: int) -> Sample:
        """Run `watch`; return what its slowest answer took, or the time limit where that is longer."""
        self._watches[number], slowest = self._watch()
        return Sample(seconds=max(slowest, _LIMIT_S))

    def ours(self, number: int) -> Sample:
        """Return what the run took as a whole."""
        return self._watches[number]

    def _watch(self) -> tuple[Sample, float]:
        """Run `watch`, which must have told the upstreams apart."""
        command = self.ground.command(self._root, "watch", "*", "--json", "--timeout", f"{_LIMIT_S:g}")
        env = {**command.env, "INGOT_GIT_MIRROR": self._mirrors}
        ended: list[process.Completed] = []
        sample = self.ground.timed(
            lambda: ended.append(process.run(command.argv, cwd=command.cwd, env=env, check=False))
        )
        answer = json.loads(ended[0].stdout)
        found = len(answer.get("candidates", ())), len(answer.get("failed", ()))
        if found != (_ANSWERING, _HANGING + _REFUSING):
            message = f"watch found {found[0]} candidates and {found[1]} errors:\n{ended[0].stderr}"
            raise WorkFailed(message)
        return sample, float(answer["slowest_s"])

    @cached_property
    def _root(self) -> Path:
        root = self.ground.checkout("watched")
        text = (root / "recipes" / "minifork.yaml").read_text(encoding="utf-8")
        for path in (root / "recipes").glob("*.yaml"):
            path.unlink()
        for host, count in (("up", _ANSWERING), ("hang", _HANGING), ("refuse", _REFUSING)):
            for number in range(count):
                _recipe(root, text, host, number)
        _repositories(root, root / "upstreams")
        return root

    @cached_property
    def _mirrors(self) -> str:
        enter = self.ground.open.enter_context
        port = enter(_daemon(self._root / "upstreams", self._root / "daemon.log"))
        ports = {"up": port, "hang": enter(_silent()), "refuse": _closed()}
        return " ".join(f"https://{host}.example.org/=git://127.0.0.1:{one}/" for host, one in ports.items())


def _recipe(root: Path, text: str, host: str, number: int) -> None:
    name = f"{host}-{number}"
    for pattern, words in (
        ("name: .*", f"name: {name}"),
        ("  repository: .*", f"  repository: {name}"),
        ("  repo: .*", f"  repo: https://{host}.example.org/{name}.git"),
    ):
        text = re.sub(f"(?m)^{pattern}$", words, text, count=1)
    patches = re.compile(r"^patches:\n(?:  .*\n)+", re.MULTILINE)
    (root / "recipes" / f"{name}.yaml").write_text(patches.sub("", text), encoding="utf-8")


def _repositories(root: Path, folder: Path) -> None:
    first = folder / "up-0.git"
    files = root / "samples" / "minifork"
    commit_folder(files, first, branch="main", message="new", date="2026-03-01T00:00:00+0000")
    for number in range(1, _ANSWERING):
        shutil.copytree(first, folder / f"up-{number}.git")
    shutil.rmtree(root / "patches")


@contextmanager
def _daemon(folder: Path, log: Path) -> Iterator[int]:
    """Serve the repositories for the block; returns the port."""
    port = _closed()
    argv = (
        "git",
        "daemon",
        "--export-all",
        "--max-connections=0",
        "--listen=127.0.0.1",
        f"--port={port}",
        f"--base-path={folder}",
        str(folder),
    )
    with log.open("wb") as sink:
        child = process.start(argv, cwd=None, env=None, stdout=sink, stderr=sink)
    try:
        _listens(port)
        yield port
    finally:
        process.end(child)


def _listens(port: int) -> None:
    for _ in range(100):
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.1)
    message = f"git daemon does not listen on port {port}"
    raise WorkFailed(message, hint="is loopback up, and git whole?")


@contextmanager
def _silent() -> Iterator[int]:
    """Take connections for the block and never say anything."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        yield int(listener.getsockname()[1])


def _closed() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
