"""Whether this host can run an image's kernels: a GPU that they were compiled for, and an engine that hands it out.

Decided before anything runs, from what the recipe compiles for, the driver's list of GPUs and the engine's description.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from build.doors.effects import Engine, GpuAccess
from build.doors.nvidia import Gpu, gpus
from build.errors import Unavailable

__all__ = ["HostGpu", "NoGpu", "find_gpu", "required", "runs_on"]

_FORM = re.compile(r"([0-9]+)([0-9])([af]?)(-real|-virtual)?")
_NO_ACCESS = (
    "the engine can give a container no GPU: it lists no CDI device nvidia.com/gpu and no runtime `nvidia`"
)
_MEND = (
    "`nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml` (dockerd with the feature `cdi`), or "
    "`nvidia-ctk runtime configure` and a restart of the engine; INGOT_ENGINE=host takes the host's engine"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class HostGpu:
    """The GPU that an image is run on."""

    gpu: Gpu
    access: GpuAccess
    """How the engine hands it to a container."""

    def __str__(self) -> str:
        """Say which GPU, and by which way."""
        way = "through CDI" if self.access is GpuAccess.CDI else "through the nvidia runtime"
        return f"{self.gpu}, {way}"


@dataclass(frozen=True, slots=True, kw_only=True)
class NoGpu:
    """Why the image is not run on a GPU here."""

    reason: str
    hint: str = ""


def runs_on(architecture: str, capability: str) -> bool:
    """Say whether code for an architecture (`120a-real`) runs on a compute capability (`12.0`). Pure.

    https://docs.nvidia.com/cuda/cuda-c-programming-guide/#binary-compatibility : machine code runs within its major
    version from its own minor one on, PTX is compiled for whatever is newer, `a` is for exactly one capability and `f`
    for a family, which shares the major version.
    """
    match = _FORM.fullmatch(architecture)
    if not match:
        return False
    major, minor, letter, form = int(match[1]), int(match[2]), match[3], match[4]
    its = tuple(int(number) for number in capability.split("."))
    if letter == "a":
        return its == (major, minor)
    if letter != "f" and form != "-real" and its >= (major, minor):
        return True
    return its[0] == major and its[1] >= minor


def find_gpu(
    architectures: Sequence[str], engine: Engine, *, listed: Callable[[], tuple[Gpu, ...]] = gpus
) -> HostGpu | NoGpu:
    """Find the first GPU that the image is compiled for. The engine is asked only where there is one."""
    try:
        there = listed()
    except Unavailable as error:
        return NoGpu(reason=error.message, hint=error.hint)
    fitting = [gpu for gpu in there if any(runs_on(name, gpu.capability) for name in architectures)]
    if not fitting:
        has = "; ".join(str(gpu) for gpu in there)
        reason = f"the image is compiled for {', '.join(architectures)}, this host has {has}"
        wanted = there[0].capability.replace(".", "")
        return NoGpu(reason=reason, hint=f"a variant for this GPU compiles for {wanted}-real")
    access = engine.info().gpu_access
    if access is GpuAccess.NONE:
        return NoGpu(reason=_NO_ACCESS, hint=_MEND)
    return HostGpu(gpu=fitting[0], access=access)


def required(found: HostGpu | NoGpu) -> HostGpu:
    """Return the GPU.

    Raises:
        Unavailable: there is none that fits; that says nothing of the image.
    """
    if isinstance(found, NoGpu):
        raise Unavailable(found.reason, hint=found.hint)
    return found
