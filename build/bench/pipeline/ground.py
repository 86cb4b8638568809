"""What the comparisons stand on: a private engine and a cache of their own, copies of the checkout, programs that are timed.

The user's engine, cache and artifacts are read at most. Everything lies in one folder, which goes in the end.
"""

import json
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from build.bench.pipeline.ratio import Sample
from build.doors import process, store
from build.doors.effects import EngineHandle, Reporter
from build.errors import WorkFailed
from build.host import private, registry
from build.settings import Settings

__all__ = ["Ground", "edit", "image_json", "layer"]

_TREE = ("dockerfiles", "patches", "recipes", "samples")
_LENT = ("images", "wheels", "engine/packages")
"""What the user's cache lends, as hard links: nothing is downloaded, and no toolchain is made for the benchmarks."""
_NAMESPACE = '    CCACHE_NAMESPACE="'
"""Text of the template; another namespace makes the compile cache empty and every stage unknown to BuildKit."""
_MEND = "sample, template or pipeline changed: mend build/bench/pipeline"
_INSTANCES = '  MINI_CUDA: "ON"\n'


@dataclass(kw_only=True)
class Ground:
    """One run of the benchmarks."""

    user: Settings
    """Where the checkout is, what its cache can lend, where images lie that were built before."""
    reporter: Reporter
    kernels: int
    clock: Callable[[], float] = time.monotonic
    open: ExitStack = field(default_factory=ExitStack)
    """What has to be closed in the end."""

    @cached_property
    def settings(self) -> Settings:
        """Return the benchmarks' own settings: cache and engine are theirs."""
        cache = self.user.cache.resolve() / "benchmarks"
        return replace(
            self.user, cache=cache, out=cache / "out", engine="private", engine_name="benchmarks", builder=""
        )  # fmt: skip

    @cached_property
    def engine(self) -> EngineHandle:
        """Return the engine, started."""
        return private.start(self.settings, self.reporter)

    @contextmanager
    def prepared(self, *, engine: bool = True) -> Iterator[None]:
        """Have a cache, and an engine if one is needed, for the block. What a killed run left goes first."""
        cache = self.settings.cache
        with store.locked(cache.with_name("benchmarks.lock")):
            self._clear()
            try:
                for part in _LENT:
                    _lend(self.user.cache / part, cache / part)
                with self.open:
                    if engine:
                        # Where there can be none, the reason is told once, before hours of others.
                        _ = self.engine
                    yield
            finally:
                self._clear()

    def _clear(self) -> None:
        registry.stop(self.settings, purge=True)
        private.stop(self.settings, self.reporter, purge=True)
        store.discard(self.settings.cache)

    @property
    def work(self) -> Path:
        return self.settings.cache / "work"

    def timed(self, call: Callable[[], object]) -> Sample:
        """Time a call."""
        begun = self.clock()
        call()
        return Sample(seconds=self.clock() - begun)

    def checkout(self, name: str, *, cold: bool = False, kernels: int = 0) -> Path:
        """Copy the tree; `cold` gives it an empty compile cache, and stages that BuildKit has never seen."""
        root = self.work / name
        shutil.copytree(
            self.settings.root / "build", root / "build"
        )  # byte code too, as a user's checkout has it
        for part in _TREE:
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(self.settings.root / part, root / part, ignore=ignored)
        instances = f'{_INSTANCES}  MINI_CUDA_INSTANCES: "{kernels or self.kernels}"\n'
        edit(root / "recipes" / "minifork.yaml", _INSTANCES, instances)
        if cold:
            template = root / "dockerfiles" / "llama-cpp.Dockerfile.j2"
            edit(template, _NAMESPACE, f"{_NAMESPACE}benchmark-{time.time_ns()}-")
        return root

    def command(self, root: Path, *words: str, registry: str = "") -> process.Command:
        """Say how a verb is run in a checkout."""
        env = {
            "PYTHONPATH": str(root),
            "INGOT_CACHE": str(self.settings.cache),
            "INGOT_OUT": str(root / "out"),
            "INGOT_ENGINE": "private",
            "INGOT_ENGINE_NAME": self.settings.engine_name,
            "INGOT_REGISTRY": registry,
            **dict.fromkeys(_UNSET, ""),
        }
        return process.Command(argv=(sys.executable, "-c", _PEAK, *words), cwd=root, env=env)

    def pipeline(self, root: Path, *words: str, registry: str = "") -> Sample:
        """Run a verb in a checkout, and read how much memory it held."""
        ended: list[process.Completed] = []
        command = self.command(root, *words, registry=registry)
        sample = self.timed(lambda: ended.append(process.run(command.argv, cwd=command.cwd, env=command.env)))
        return replace(sample, peak_mib=int(ended[0].stdout.split()[-1]) >> 10, said=ended[0].stderr)

    def bake(self, root: Path) -> Sample:
        """Build with nothing but docker what was planned or built in a checkout."""
        file = root / "out" / "minifork" / "docker-bake.json"
        return self.docker("buildx", "bake", "-f", str(file), cwd=root)

    def docker(self, *words: str, cwd: Path | None = None) -> Sample:
        """Run the docker command on the benchmarks' engine."""
        env = dict(self.engine.environment)
        program = shutil.which("docker", path=env.get("PATH")) or "docker"
        return self.timed(lambda: process.run((program, *words), cwd=cwd, env=env))

    @cached_property
    def warmed(self) -> Path:
        """A small checkout that was built: toolchain and base are unpacked by now, so they count for nobody."""
        return self._built("warmed", kernels=1)

    @cached_property
    def built(self) -> Path:
        """A checkout that was built with all kernels."""
        return self._built("built", kernels=self.kernels)

    def _built(self, name: str, *, kernels: int) -> Path:
        root = self.checkout(name, kernels=kernels)
        self.pipeline(root, "image", "minifork")
        return root

    @cached_property
    def toolchain(self) -> str:
        """The toolchain as an image of the engine, for containers without the pipeline."""
        bake = json.loads((self.warmed / "out" / "minifork" / "docker-bake.json").read_bytes())
        layout = bake["target"]["minifork"]["contexts"]["toolchain"]
        folder = self.work / "toolchain"
        store.write_text(folder / "Dockerfile", "FROM toolchain\n")
        name = "ingot-benchmarks/toolchain"
        self.docker(
            "buildx", "build", "--load", "--tag", name, "--build-context", f"toolchain={layout}", str(folder)
        )
        return name


_UNSET = (
    "INGOT_BUILDER",
    "BUILDX_BUILDER",
    "INGOT_LAYER_CACHE",
    "INGOT_LAYER_CACHE_WRITE",
    "INGOT_CUSTODY",
    "INGOT_ATTEST",
    "DOCKER_HOST",
    "FORCE_COLOR",
    "GITHUB_ACTIONS",
    "GITHUB_STEP_SUMMARY",
)

_PEAK = """
import signal, sys
from build.cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)
if code := main(sys.argv[1:]):
    sys.exit(code)
print(*(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""
"""Runs a verb and prints the most memory that it held, in KiB. getrusage would count the parent's, from before the exec.
What is started in the background inherits that interrupts are ignored; one of the comparisons sends one."""


def image_json(root: Path) -> dict[str, Any]:
    """Return what the last build of a checkout made, as image.json has it."""
    return dict(json.loads((root / "out" / "minifork" / "image.json").read_bytes()))


def layer(root: Path, part: str) -> dict[str, Any]:
    """Return the layer of that image with `kernels`, `server` and so on.

    Raises:
        WorkFailed: it has none, or several.
    """
    found = [one for one in image_json(root)["layers"] if f"/collect/{part}/" in one["what"]]
    if len(found) != 1:
        message = f"the image of {root} has {len(found)} layers with {part}, one is expected"
        raise WorkFailed(message, hint=_MEND)
    return dict(found[0])


def edit(file: Path, old: str, new: str) -> None:
    """Change a file of a checkout in one place."""
    text = file.read_text(encoding="utf-8")
    if text.count(old) != 1:
        message = f"{file} has {text.count(old)} times {old!r}"
        raise WorkFailed(message, hint=_MEND)
    store.write_text(file, text.replace(old, new))


def _lend(source: Path, target: Path) -> None:
    if source.is_dir():
        ignored = re.compile(r"\.lock$|\.part$")
        shutil.copytree(
            source,
            target,
            symlinks=True,
            copy_function=lambda one, other: Path(other).hardlink_to(one),
            ignore=lambda _folder, names: [name for name in names if ignored.search(name)],
        )
