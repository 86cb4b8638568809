"""`nox -s benchmarks`: the sample fork in a copy of the checkout, through the pipeline and through a bare bake."""

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from build.bench.ratio import Ratio, by_turns
from build.bench.watch import watch_ratio
from build.doors import process
from build.doors.effects import EngineHandle, Reporter
from build.errors import BadRequest
from build.host.engine import ensure_engine
from build.settings import Settings

__all__ = ["MEASURES", "benchmarks"]

_TREE = ("build", "dockerfiles", "patches", "recipes", "samples")
_CACHE = '    CCACHE_NAMESPACE="'
"""Text of the template; another namespace makes the compile cache empty and every stage unknown to BuildKit."""


@dataclass(kw_only=True)
class _Bench:
    settings: Settings
    reporter: Reporter
    root: Path

    @cached_property
    def engine(self) -> EngineHandle:
        return ensure_engine(self.settings, self.reporter)

    def checkout(self, name: str, *, cold: bool) -> Path:
        """Copy the tree; `cold` gives it an empty compile cache, and stages that BuildKit has never seen."""
        root = self.root / name
        for part in _TREE:
            shutil.copytree(
                self.settings.root / part, root / part, ignore=shutil.ignore_patterns("__pycache__")
            )
        if cold:
            template = root / "dockerfiles" / "llama-cpp.Dockerfile.j2"
            text = template.read_text(encoding="utf-8")
            assert _CACHE in text
            fresh = f"{_CACHE}bench-{time.time_ns()}-"
            template.write_text(text.replace(_CACHE, fresh), encoding="utf-8")
        return root

    def build(self, root: Path, *words: str) -> None:
        env = {
            "PYTHONPATH": str(root),
            "INGOT_CACHE": str(self.settings.cache),
            "INGOT_OUT": str(root / "out"),
        }
        process.run((sys.executable, "-m", "build", *words), cwd=root, env=env)

    def bake(self, root: Path) -> None:
        out = root / "out" / "minifork"
        process.run(
            ("docker", "buildx", "bake", "-f", str(out / "docker-bake.json")),
            cwd=root,
            env=dict(self.engine.environment),
        )

    def noop(self, runs: int) -> Ratio:
        """The second run of a build, against a bake that finds everything cached."""
        root = self.checkout("noop", cold=False)
        self.build(root, "image", "minifork")
        return by_turns(
            "no-op / bare bake no-op",
            lambda _n: self.build(root, "image", "minifork"),
            lambda _n: self.bake(root),
            runs=runs,
            limit=1.0,
            clock=time.monotonic,
        )

    def watch(self, runs: int) -> Ratio:
        """A hundred upstreams, of which three hang and two refuse."""
        return watch_ratio(self.checkout("watch", cold=False), runs)

    def cold(self, runs: int) -> Ratio:
        """Resolve, plan, build and smoke with an empty compile cache, against a bare bake of the rendered file."""
        ours = [self.checkout(f"ours-{number}", cold=True) for number in range(runs)]
        theirs = [self.checkout(f"theirs-{number}", cold=True) for number in range(runs)]
        for root in theirs:
            self.build(root, "plan", "minifork")
        return by_turns(
            "cold pipeline / bare bake",
            lambda number: self.build(ours[number], "image", "minifork"),
            lambda number: self.bake(theirs[number]),
            runs=runs,
            limit=1.15,
            clock=time.monotonic,
        )

    def static(self, runs: int) -> Ratio:
        """The static checks of the largest image that is built here, against unpacking its layers once."""
        out = self._largest()
        peaks = []

        def checks(_number: int) -> None:
            said = process.run(
                (sys.executable, "-c", _PEAK, "smoke", out.name, "--static"), cwd=self.settings.root
            )
            peaks.append(int(said.stdout) >> 10)

        def unpack(_number: int) -> None:
            process.run((sys.executable, "-c", _UNPACK, str(out / "image")), cwd=self.settings.root)

        ratio = by_turns(
            f"static checks of {out.name} / unpacking it",
            checks,
            unpack,
            runs=runs,
            limit=4.0,
            clock=time.monotonic,
        )
        return replace(ratio, peak_mib=max(peaks))

    def _largest(self) -> Path:
        sizes = {
            path.parent: sum(layer["size"] for layer in json.loads(path.read_bytes())["layers"])
            for path in self.settings.out.glob("*/image.json")
            if "+" not in path.parent.name
        }
        if not sizes:
            message = f"no image below {self.settings.out}"
            raise BadRequest(message, hint="build one first: nox -s build-minifork")
        return max(sizes, key=lambda path: sizes[path])


_PEAK = """
import resource, sys
from build.cli import main
if main(sys.argv[1:]):
    sys.exit(1)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
"""Runs a verb and prints the most memory that it held, in KiB (Linux)."""

_UNPACK = """
import hashlib, sys, zlib
from pathlib import Path
from build.image.layout import open_layout
layout = open_layout(Path(sys.argv[1]))
for layer in layout.layers:
    packed, plain, unpack = hashlib.sha256(), hashlib.sha256(), zlib.decompressobj(31)
    with (Path(sys.argv[1]) / "blobs" / layer.digest.replace(":", "/")).open("rb") as file:
        while chunk := file.read(1 << 20):
            packed.update(chunk)
            plain.update(unpack.decompress(chunk))
    assert packed.hexdigest() == layer.digest.hex
"""
"""Reads each layer once: the least that anything that proves an image must do."""


MEASURES: dict[str, tuple[Callable[[_Bench, int], Ratio], int]] = {
    "noop": (_Bench.noop, 5),
    "cold": (_Bench.cold, 3),
    "static": (_Bench.static, 3),
    "watch": (_Bench.watch, 3),
}
"""Name on the command line, how it is measured, how many runs of each side."""


def benchmarks(names: tuple[str, ...], settings: Settings, reporter: Reporter) -> list[Ratio]:
    """Measure; toolchain and base are made first, so that they count for nobody. Raises BadRequest for an unknown name."""
    unknown = [name for name in names if name not in MEASURES]
    if unknown:
        message = f"there is no benchmark called {', '.join(unknown)}"
        raise BadRequest(message, hint=f"benchmarks: {', '.join(MEASURES)}")
    settings = replace(settings, cache=settings.cache.resolve())
    with tempfile.TemporaryDirectory() as folder:
        bench = _Bench(settings=settings, reporter=reporter, root=Path(folder))
        ratios = []
        for name in names or tuple(MEASURES):
            measure, runs = MEASURES[name]
            with reporter.step(f"benchmark {name}, {runs} runs by turns") as step:
                ratio = measure(bench, runs)
                step.verdict(f"{ratio.value:.2f}")
            ratios.append(ratio)
    rows = tuple(
        (
            ratio.name,
            f"{ratio.value:.2f}",
            f"{ratio.limit:.2f}",
            " ".join(map(str, ratio.ours)),
            " ".join(map(str, ratio.theirs)),
            f"{ratio.peak_mib} MiB" if ratio.peak_mib else "",
        )
        for ratio in ratios
    )
    reporter.summary("benchmarks", ("what", "ratio", "at most", "ours, s", "theirs, s", "peak"), rows)
    return ratios
