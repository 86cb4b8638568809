"""A checkout of its own, run as its user runs it: `python -m build` in a subprocess, against a real engine."""

import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from build.doors.console import Console
from build.doors.effects import EngineHandle
from build.host import private, registry
from build.host.engine import ensure_engine
from build.settings import Settings, from_env

ROOT = Path(__file__).resolve().parents[2]
_WORKER = os.environ.get("PYTEST_XDIST_WORKER", "").removeprefix("gw0")
"""Name of the process that runs these tests beside the first one; empty: this is the first, or the only one."""
_LONGEST = ("test_verify.py", "test_follow.py", "test_hostile.py", "test_interrupted.py", "test_broken.py")
_END_S = 30.0
"""Within this a run ends after a signal. It takes a second or two; this is to catch one that hangs, on any machine."""
_TREE = ("build", "dockerfiles", "patches", "recipes", "samples")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the modules that take longest: side by side, the last one to begin is the one that all wait for."""
    rank = {name: place for place, name in enumerate(_LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.name, len(rank)))


@pytest.fixture(scope="session")
def settings() -> Settings:
    """The repository's own cache: toolchain and base are made once for all tests, and found by a person's next build."""
    own = from_env(os.environ, ROOT)
    return replace(own, engine="private", engine_name=f"{own.engine_name}-{_WORKER}") if _WORKER else own


@pytest.fixture(scope="session")
def engine(settings: Settings) -> Iterator[EngineHandle]:
    """Start an engine for each worker, because tests of one disturb each other; a further worker's goes in the end."""
    yield ensure_engine(settings, Console())
    if _WORKER:
        private.stop(settings, Console(), purge=True)


@pytest.fixture(scope="session")
def loopback(settings: Settings) -> Iterator[registry.RegistryServer]:
    """Start a registry for each worker, as each has an engine."""
    yield registry.start(settings, Console())
    if _WORKER:
        registry.stop(settings, purge=True)


def _heed_interrupts() -> None:
    """Programs started in the background inherit that SIGINT is ignored; at a terminal it is not."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    code: int
    out: str
    err: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkout:
    """A copy of the tree that a test may break."""

    root: Path
    env: dict[str, str] = field(repr=False)

    @property
    def out(self) -> Path:
        return self.root / "out"

    def run(self, *words: str, timeout_s: float = 1800, **env: str) -> Ran:
        done = subprocess.run(
            (sys.executable, "-m", "build", *words),
            cwd=self.root,
            env=self.env | env,
            text=True,
            capture_output=True,
            check=False,
            timeout=timeout_s,
        )
        return Ran(code=done.returncode, out=done.stdout, err=done.stderr)

    def killed(
        self,
        when: str,
        number: signal.Signals,
        *words: str,
        delay_s: float = 0.0,
        ready: Callable[[], bool] = lambda: True,
        within_s: float = _END_S,
        **env: str,
    ) -> int:
        """Run, send a signal when a line of stderr has matched `when`, so much later and `ready`; return the exit status.

        The run and whatever has its stderr must have ended `within_s` of the signal.
        """
        process = subprocess.Popen(
            (sys.executable, "-m", "build", *words),
            cwd=self.root,
            env=self.env | env,
            text=True,
            errors="replace",
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            preexec_fn=_heed_interrupts,  # noqa: PLW1509  (no thread runs here)
        )
        with process:
            assert process.stderr is not None
            for line in process.stderr:
                if re.search(when, line):
                    break
            else:
                pytest.fail(f"{words} never said {when}")
            time.sleep(delay_s)
            while not ready():
                assert process.poll() is None, f"{words} ended before it was to be killed"
                time.sleep(0.1)
            process.send_signal(number)
            try:
                process.communicate(timeout=within_s)
            except subprocess.TimeoutExpired:
                process.kill()
                pytest.fail(f"{words} had not ended {within_s:g} s after {number.name}")
        return process.returncode

    def edit(self, path: str, old: str, new: str) -> None:
        """Replace text that must be there exactly once."""
        text = (self.root / path).read_text()
        assert text.count(old) == 1, f"{path} holds {old!r} {text.count(old)} times"
        (self.root / path).write_text(text.replace(old, new))

    def repin(self) -> None:
        """Commit the changed sample and pin the new commit."""
        assert self.run("pins", "samples").code == 0

    def artifact(self, name: str, recipe: str = "minifork") -> Any:
        return json.loads((self.out / recipe / f"{name}.json").read_text())

    def check(self, name: str, recipe: str = "minifork") -> dict[str, Any]:
        """Return one smoke check's result."""
        (found,) = [one for one in self.artifact("smoke", recipe)["checks"] if one["name"] == name]
        assert isinstance(found, dict)
        return found


def make_checkout(
    root: Path, settings: Settings, engine: EngineHandle, loopback: registry.RegistryServer
) -> Checkout:
    root.mkdir(parents=True, exist_ok=True)
    for name in _TREE:
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    env = {
        **os.environ,
        "PYTHONPATH": str(root),
        "INGOT_CACHE": str(settings.cache),
        "INGOT_OUT": str(root / "out"),
        "INGOT_ENGINE": engine.kind,
        "INGOT_ENGINE_NAME": settings.engine_name,
        "INGOT_REGISTRY": f"{loopback.address}/{root.name.lower().replace('_', '-')}",
    }
    return Checkout(root=root, env=env)


@pytest.fixture
def checkout(
    tmp_path: Path, settings: Settings, engine: EngineHandle, loopback: registry.RegistryServer
) -> Checkout:
    return make_checkout(tmp_path / "checkout", settings, engine, loopback)


@pytest.fixture(scope="session")
def good(
    tmp_path_factory: pytest.TempPathFactory,
    settings: Settings,
    engine: EngineHandle,
    loopback: registry.RegistryServer,
) -> Checkout:
    """The sample, built, smoke-tested and pushed once."""
    # A name of its own: what another run has pushed to the same registry is no part of this one's history.
    root = tmp_path_factory.mktemp("good") / f"good-{secrets.token_hex(4)}"
    made = make_checkout(root, settings, engine, loopback)
    built = made.run("image", "minifork")
    assert built.code == 0, built.err
    pushed = made.run("push", "minifork")
    assert pushed.code == 0, pushed.err
    return made


@pytest.fixture
def nothing_left(engine: EngineHandle) -> Iterator[None]:
    """After the test no container of a smoke test is there, running or not."""
    yield
    listing = ("docker", "ps", "--all", "--quiet", "--filter", "label=ingot.smoke")
    deadline = time.monotonic() + 20
    left = "?"
    while left and time.monotonic() < deadline:
        left = subprocess.run(
            listing,
            env={**os.environ, **dict(engine.environment)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
    assert left == ""
