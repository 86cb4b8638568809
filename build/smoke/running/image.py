"""An image as the running checks see it: loaded, with a test model and a driver stub beside it, never with a network."""

import math
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from build.doors.effects import ContainerSpec, Engine, GpuAccess, Mount, RunResult
from build.errors import IngotError, WorkFailed
from build.recipe.model import Driver
from build.smoke.gpu import HostGpu
from build.smoke.model import Expectations
from build.smoke.running.limits import LIMITS, LOG_BYTES, PROBE_MEMORY, PROBE_S, PROCESSES, Limits

__all__ = ["LABEL", "RunningImage"]

LABEL = "ingot.smoke"
"""Label of every container that a smoke test starts."""

_STUB = "/ingot/driver"
_MODEL = "/ingot/model"
_PYTHON = "/ingot/python"
_PYTHON_ENV = (
    ("PYTHONPATH", _PYTHON),
    # The root is read-only, and the promised user may have no home: caches go to the tmpfs.
    ("HOME", "/tmp/home"),  # noqa: S108  (the container's)
    *(
        (name, f"/tmp/{name.lower()}")  # noqa: S108  (the container's)
        for name in (
            "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "VLLM_CACHE_ROOT", "VLLM_CONFIG_ROOT", "TRITON_CACHE_DIR", "HF_HOME",
            "TORCHINDUCTOR_CACHE_DIR", "FLASHINFER_WORKSPACE_BASE", "NUMBA_CACHE_DIR", "TILELANG_CACHE_DIR",
        )
    ),
    ("HF_HUB_OFFLINE", "1"),
    ("VLLM_NO_USAGE_STATS", "1"),
    ("PYTHONDONTWRITEBYTECODE", "1"),
)  # fmt: skip
_AT_ONCE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningImage:
    """How to run the image under test."""

    engine: Engine
    image: str
    expect: Expectations
    driver_stub: Path
    """A stub libcuda.so.1, mounted at test time only, and only where the recipe links the driver."""
    model: Path | None
    """A tiny generated model, or None where the recipe is tested without one."""
    beside_model: tuple[Path, ...] = ()
    """Further files that the server sees beside the model."""
    python: Path | None = None
    """Folder of what a Python image is asked by, mounted at test time only; None for other images."""
    run_id: str
    memory: int = 0
    """Of the server; 0 is the family's limit."""
    gpu: HostGpu | None = None
    """Run on this GPU with the host's real driver instead of the stub."""
    until: float = math.inf
    """When the test as a whole has taken too long, by the clock."""
    clock: Callable[[], float] = time.monotonic

    @property
    def limits(self) -> Limits:
        """What a container of this image may use."""
        return LIMITS[self.expect.family]

    def spec(
        self, *args: str, timeout_s: float | None = None, entrypoint: tuple[str, ...] | None = None
    ) -> ContainerSpec:
        """Describe a container that runs the image's own entrypoint, or another, with these arguments.

        Raises:
            WorkFailed: the time of the whole test is up.
        """
        left = self.until - self.clock()
        if left <= 0:
            message = f"not run: the image has used up the {self.limits.whole_s:g} s of a smoke test"
            raise WorkFailed(message)
        mounts = []
        env: tuple[tuple[str, str], ...] = ()
        if self.python:
            mounts.append(Mount(source=self.python, target=_PYTHON))
            env = _PYTHON_ENV
        if self.expect.driver is Driver.LINKED and not self.gpu:
            mounts.append(Mount(source=self.driver_stub.parent, target=_STUB))
            env = (*env, ("LD_LIBRARY_PATH", _STUB))
        if self.gpu:
            # Hosts have others beside it that the kernels are not compiled for.
            env = (*env, ("CUDA_VISIBLE_DEVICES", self.gpu.gpu.uuid))
        if self.model:
            files = (self.model, *self.beside_model)
            mounts += (Mount(source=file, target=f"{_MODEL}/{file.name}") for file in files)
        return ContainerSpec(
            image=self.image,
            args=args,
            entrypoint=entrypoint,
            env=env,
            # The promised user, by number: what the image itself names could be root by its own account file.
            user=self.expect.user,
            mounts=tuple(mounts),
            tmpfs=(("/tmp", f"rw,noexec,nosuid,nodev,size={self.limits.tmp}"),),  # noqa: S108  (the container's)
            shm=self.limits.shm,
            memory=self.memory or self.limits.memory,
            pids=PROCESSES,
            log_bytes=LOG_BYTES,
            labels=((LABEL, self.run_id),),
            timeout_s=min(timeout_s or self.limits.check_s, left),
            gpus=self.gpu.access if self.gpu else GpuAccess.NONE,
        )

    def run(
        self, *args: str, timeout_s: float | None = None, entrypoint: tuple[str, ...] | None = None
    ) -> RunResult:
        """Run the entrypoint, or another, to its end."""
        return self.engine.run_once(self.spec(*args, timeout_s=timeout_s, entrypoint=entrypoint))

    def beside(
        self,
        container: str,
        script: str,
        timeout_s: float = PROBE_S,
        *,
        mounts: tuple[Mount, ...] = (),
    ) -> RunResult:
        """Run a shell script in a fresh container inside another's network namespace: the only network there is."""
        usual = self.spec(timeout_s=timeout_s)
        spec = replace(
            usual,
            entrypoint=("/bin/sh", "-c"),
            args=(script,),
            env=(),
            network=f"container:{container}",
            mounts=(*usual.mounts, *mounts),
            memory=PROBE_MEMORY,
            gpus=GpuAccess.NONE,
        )
        return self.engine.run_once(spec)

    def each(self, command_lines: Iterable[tuple[str, ...]]) -> list[RunResult]:
        """Run the entrypoint with each of several command lines, some at a time; the answers in their order."""
        with ThreadPoolExecutor(_AT_ONCE) as pool, self.swept():
            return list(pool.map(lambda words: self.run(*words), command_lines))

    @contextmanager
    def swept(self) -> Iterator[None]:
        """Remove all containers of the test if it is broken off; else leaving a pool waits until their time is up."""
        try:
            yield
        except WorkFailed:  # one check's; the others go on
            raise
        except BaseException:
            with suppress(IngotError):
                self.engine.sweep(f"{LABEL}={self.run_id}")
            raise

    def arguments(self, words: tuple[str, ...]) -> tuple[str, ...]:
        """Fill in what is known only when the image runs."""
        model = f"{_MODEL}/{self.model.name}" if self.model else "/nonexistent"
        return tuple(
            word.replace("{model}", model).replace("{port}", str(self.expect.port)) for word in words
        )
