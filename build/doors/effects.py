"""What the stations ask of the world, as Protocols, and the values they exchange. No effect happens here."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Literal, Protocol

from build.doors.progress import BuildEvent

__all__ = [
    "Builder",
    "ContainerSpec",
    "Engine",
    "EngineHandle",
    "EngineInfo",
    "GpuAccess",
    "LoadedImage",
    "Mount",
    "Reporter",
    "RunResult",
    "RunningContainer",
    "Step",
    "Usage",
]


class Step(Protocol):
    """A step while it runs."""

    def update(self, detail: str) -> None:
        """Say how far it is, e.g. `[42/186]`."""

    def verdict(self, word: str) -> None:
        """Say how it ended where that is not `done`, e.g. `cached`."""


class Reporter(Protocol):
    """How people learn what happens. Everything goes to stderr; stdout belongs to machines."""

    def step(self, title: str, *, parallel: bool = False) -> AbstractContextManager[Step]:
        """Report a step, its time and its verdict. Steps nest; parallel ones may overlap and hold no others."""

    def output(self, line: str) -> None:
        """Pass on one line of a tool's own output."""

    def note(self, message: str) -> None: ...

    def warning(self, message: str) -> None: ...

    def error(self, message: str, hint: str = "") -> None: ...

    def summary(self, title: str, header: tuple[str, ...], rows: tuple[tuple[str, ...], ...]) -> None:
        """Print a final table, in CI also as the job's summary page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineHandle:
    """An engine that is running, and how a child process reaches it."""

    kind: Literal["host", "private"]
    name: str
    """`host`, or the private engine's name."""
    docker_host: str
    environment: tuple[tuple[str, str], ...]
    """Laid over a child's environment: DOCKER_HOST, DOCKER_CONFIG, BUILDX_BUILDER, PATH."""
    builder: str = ""
    """Selected buildx builder; empty: the engine's own BuildKit."""


class Builder(Protocol):
    """BuildKit."""

    def version(self) -> str: ...

    def bake(  # noqa: PLR0913  (what a build is)
        self,
        file: Path,
        targets: tuple[str, ...],
        *,
        cwd: Path,
        log: Path,
        on_event: Callable[[BuildEvent], None],
        env: Mapping[str, str] | None = None,
        options: tuple[str, ...] = (),
    ) -> None:
        """Build targets of a bake file; every line goes to `log`, every event to `on_event`."""


class GpuAccess(StrEnum):
    """How an engine hands a GPU to a container."""

    CDI = "cdi"
    """`--device nvidia.com/gpu=all`: the engine reads the device's description itself."""
    RUNTIME = "nvidia"
    """`--gpus all`: NVIDIA's own runtime does."""
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """A path of this host seen, read-only, at `target`."""

    source: Path
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerSpec:
    """A container as a check wants it. The defaults are the strictest."""

    image: str
    args: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] | None = None
    """None: the image's own."""
    env: tuple[tuple[str, str], ...] = ()
    user: str = ""
    network: str = "none"
    """`none`, or `container:<id>` to share another container's."""
    mounts: tuple[Mount, ...] = ()
    tmpfs: tuple[tuple[str, str], ...] = (("/tmp", "rw,noexec,nosuid,size=64m"),)  # noqa: S108  (the container's)
    shm: int = 16 << 20
    """Size of /dev/shm; like every tmpfs it counts as the container's memory."""
    memory: int = 1 << 30
    pids: int = 256
    files: int = 4096
    """Files that one process may hold open."""
    log_bytes: int = 1 << 20
    """A container that prints more is killed. Nothing that it prints is written to disk."""
    timeout_s: float = 60.0
    """Its whole life; it is killed then, whoever waits for it or not. Infinite: whoever started it ends it."""
    labels: tuple[tuple[str, str], ...] = ()
    gpus: GpuAccess = GpuAccess.NONE
    """The way by which the engine hands it this host's GPUs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """How a container ended."""

    exit_code: int
    """137 where it was killed for time or memory."""
    stdout: str
    stderr: str
    timed_out: bool
    oom_killed: bool
    seconds: float
    flooded: bool = False
    """It was killed because it printed more than its limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a container has used up to now, or until it ended."""

    memory: int | None
    """The most bytes at any time; None where the engine does not tell."""
    measured: bool
    """The kernel kept count of the most; otherwise it is the highest of samples."""
    processes: int
    """The most processes and threads in any sample."""
    printed: int
    """Bytes on both streams."""
    flooded: bool
    oom_killed: bool
    """The kernel killed it or one of its processes for memory."""


class RunningContainer(Protocol):
    """A container that was started and will be removed."""

    @property
    def id(self) -> str: ...

    def logs(self) -> str:
        """What it printed so far, both streams, bounded."""

    def signal(self, name: str) -> None:
        """Send e.g. SIGTERM to its first process."""

    def wait(self, timeout_s: float) -> RunResult:
        """Wait for its end; kill it when the time is up."""

    def usage(self) -> Usage:
        """What it has used; can be asked after its end too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedImage:
    """An image in the engine's store."""

    ref: str
    image_id: str
    identity: Literal["manifest", "config"]
    """Which digest of the layout the id equals; it depends on the engine's store."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineInfo:
    """What an engine says of itself."""

    version: str
    architecture: str
    containerd_store: bool
    cpus: int
    memory: int
    gpu_access: GpuAccess = GpuAccess.NONE


class Engine(Protocol):
    """Loads images and runs containers."""

    def info(self) -> EngineInfo: ...

    def load(self, layout: Path, ref: str) -> LoadedImage:
        """Load an OCI layout under a name; its identity is proven."""

    def run_once(self, spec: ContainerSpec) -> RunResult: ...

    def started(self, spec: ContainerSpec) -> AbstractContextManager[RunningContainer]: ...

    def remove_image(self, ref: str) -> None: ...

    def sweep(self, label: str) -> int:
        """Remove containers with the label (`key` or `key=value`); returns how many."""
