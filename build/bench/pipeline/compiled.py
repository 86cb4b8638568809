"""Builds that compile: cold, beside cmake and ninja alone and beside a bare bake; with the compile cache; one kernel; resumed."""

import re
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

from build.bench.pipeline.ground import Ground, edit, image_json, layer
from build.bench.pipeline.ratio import Sample
from build.doors import process
from build.errors import WorkFailed

__all__ = ["Compiled", "half_done", "raw_build"]

_STAGE = "\nENV CUDAARCHS="
"""Text of the template in the first stage, before all others."""
_PROGRESS = re.compile(r"\[(\d+)/(\d+)\]")
_KERNELS = "mini_library(mini-cuda "
_FIRST_KERNEL = "${instance_dir}/matvec-f32-64.cu"
_FEW = 5
"""Compiles after a commit that changes one kernel: that one, and what has the commit in it."""

_RAW = """
cp -r /given /src
cmake -G Ninja -S /src -B /build/main -DCMAKE_BUILD_TYPE=Release -DMINI_CUDA=ON -DMINI_CUDA_INSTANCES="$1" \
    -DMINI_NATIVE=OFF -DMINI_BUILD_WEBUI=OFF -DMINI_BUILD_NUMBER=42 -DMINI_BUILD_COMMIT=000000000
ninja -C /build/main
cmake -G Ninja -S /src/tools -B /build/tools -DCMAKE_BUILD_TYPE=Release -DMINI_ROOT=/build/main
ninja -C /build/tools
"""
"""What a person would type in the toolchain's container: the sample and its tools, without compile cache."""


def raw_build(ground: Ground, architecture: str) -> Sample:
    """Time cmake and ninja alone in a container of the toolchain, with the compiler options of the pipeline."""
    image, sources = ground.toolchain, ground.settings.root / "samples" / "minifork"
    environment = (
        f"CUDAARCHS={architecture}",
        "CUDAFLAGS=--objdir-as-tempdir -frandom-seed=ingot",
        "LDFLAGS=-Wl,-rpath-link,/opt/driver-stub",
    )
    return ground.docker(
        *("run", "--rm", "--network=none", f"--volume={sources}:/given:ro"),
        *(word for pair in environment for word in ("--env", pair)),
        *(image, "sh", "-euc", _RAW, "sh", str(ground.kernels)),
    )


@dataclass(kw_only=True, eq=False)
class Compiled:
    """The sample, compiled in every way. A round has one checkout that `cold` makes and others build upon."""

    ground: Ground
    _rounds: dict[int, Path] = field(default_factory=dict)

    def raw(self, _number: int) -> Sample:
        """Configure and compile, nothing else."""
        return raw_build(self.ground, "120a-real")

    def bake(self, number: int) -> Sample:
        """Bake the rendered files with docker alone."""
        _ = self.ground.warmed
        root = self.ground.checkout(f"bake-{number}", cold=True)
        self.ground.pipeline(root, "plan", "minifork")
        return self.ground.bake(root)

    def cold(self, number: int) -> Sample:
        """Resolve, plan, build and smoke-test with an empty compile cache and no layer."""
        _ = self.ground.warmed
        root = self._rounds[number] = self.ground.checkout(f"cold-{number}", cold=True)
        sample = self.ground.pipeline(root, "image", "minifork")
        hits, misses = _cached(root)
        _expect(misses >= self.ground.kernels and not hits, "a cold build found compiles in the cache", root)
        return sample

    def warm(self, number: int) -> Sample:
        """The same after all its layers are gone, with the compile cache.

        The first stage is changed: to prune would take the unpacked toolchain too.
        """
        root = self._rounds[number]
        template = root / "dockerfiles" / "llama-cpp.Dockerfile.j2"
        edit(template, _STAGE, f"\nENV INGOT_BENCHMARK={time.time_ns()}{_STAGE}")
        sample = self.ground.pipeline(root, "image", "minifork")
        hits, misses = _cached(root)
        _expect(
            hits >= self.ground.kernels and not misses, "a warm build found too little in the cache", root
        )
        return sample

    def kernel(self, number: int) -> Sample:
        """The same after a commit that changes one kernel."""
        root = self._rounds[number]
        before = layer(root, "kernels")
        change = f'file(APPEND {_FIRST_KERNEL} "__device__ int changed = {number};\\n")'
        edit(root / "samples" / "minifork" / "cuda" / "CMakeLists.txt", _KERNELS, f"{change}\n{_KERNELS}")
        self.ground.pipeline(root, "pins", "samples")
        sample = self.ground.pipeline(root, "image", "minifork")
        _, misses = _cached(root)
        _expect(misses <= _FEW, "a build with one kernel changed compiled more", root)
        _expect(
            before["digest"] != layer(root, "kernels")["digest"],
            "a build with one kernel changed has the kernels of the one before",
            root,
        )
        return sample

    def resumed(self, number: int) -> Sample:
        """The same as `cold`, interrupted when half of the files are compiled and begun again: both parts."""
        root = self.ground.checkout(f"resumed-{number}", cold=True)
        half = self.ground.timed(lambda: self._interrupted(root))
        rest = self.ground.pipeline(root, "image", "minifork")
        return replace(rest, seconds=half.seconds + rest.seconds)

    def _interrupted(self, root: Path) -> None:
        command = self.ground.command(root, "image", "minifork")
        log, words = root / "out" / "minifork" / "build.log", root / "interrupted.log"
        with words.open("wb") as sink:
            child = process.start(
                command.argv, cwd=command.cwd, env=command.env, stdout=sink, stderr=sink
            )  # fmt: skip
            try:
                while not half_done(_text(log), self.ground.kernels):
                    if child.poll() is not None:
                        message = (
                            f"the build ended before it could be interrupted:\n{words.read_text()[-2000:]}"
                        )
                        raise WorkFailed(message, hint="--kernels 60: with few it is over too soon")
                    time.sleep(0.1)
            finally:
                process.end(child)


def _cached(root: Path) -> tuple[int, int]:
    """Return hits and misses of the compile cache in the last build of a checkout."""
    found = image_json(root)["compile_cache"]
    return found["hits"], found["misses"]


def _expect(holds: bool, otherwise: str, root: Path) -> None:  # noqa: FBT001  (a condition)
    """Refuse a time that is not of what its line says."""
    if not holds:
        hits, misses = _cached(root)
        message = f"{otherwise}: {hits} hits, {misses} misses"
        raise WorkFailed(message, hint="the sample or the template changed: mend build/bench/pipeline")


def half_done(text: str, kernels: int) -> bool:
    """Say whether ninja has done half of the project that has the kernels, by the log of a build."""
    counts = [(int(done), int(of)) for done, of in _PROGRESS.findall(text)]
    return any(of > kernels and 2 * done >= of for done, of in counts)


def _text(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
