"""An image as the running checks see it: loaded, with a test model and a driver stub beside it, never with a network."""

from dataclasses import dataclass, replace
from pathlib import Path

from build.doors.effects import ContainerSpec, Engine, Mount, RunResult
from build.recipe.model import Driver
from build.smoke.model import Expectations

__all__ = ["LABEL", "RunningImage", "tail"]

LABEL = "ingot.smoke"
"""Label of every container that a smoke test starts."""

_STUB = "/ingot/driver"
_MODEL = "/ingot/model"


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
    run_id: str
    memory: int = 4 << 30
    gpu: bool = False
    """Run on this host's GPU with its real driver instead of the stub."""
    device: str = ""
    """UUID of the GPU that the server sees; hosts have others beside it that the kernels are not compiled for."""

    def spec(self, *args: str, timeout_s: float = 60.0) -> ContainerSpec:
        """Describe a container that runs the image's own entrypoint with these arguments."""
        mounts = []
        env: tuple[tuple[str, str], ...] = ()
        if self.expect.driver is Driver.LINKED and not self.gpu:
            mounts.append(Mount(source=self.driver_stub.parent, target=_STUB))
            env = (("LD_LIBRARY_PATH", _STUB),)
        if self.gpu and self.device:
            env = (("CUDA_VISIBLE_DEVICES", self.device),)
        if self.model:
            files = (self.model, *self.beside_model)
            mounts += (Mount(source=file, target=f"{_MODEL}/{file.name}") for file in files)
        return ContainerSpec(
            image=self.image,
            args=args,
            env=env,
            mounts=tuple(mounts),
            labels=((LABEL, self.run_id),),
            timeout_s=timeout_s,
            memory=self.memory,
            gpus=self.gpu,
        )

    def run(self, *args: str, timeout_s: float = 60.0) -> RunResult:
        """Run the entrypoint to its end."""
        return self.engine.run_once(self.spec(*args, timeout_s=timeout_s))

    def beside(
        self, container: str, script: str, timeout_s: float = 60.0, *, mounts: tuple[Mount, ...] = ()
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
            gpus=False,
        )
        return self.engine.run_once(spec)

    def arguments(self, words: tuple[str, ...]) -> tuple[str, ...]:
        """Fill in what is known only when the image runs."""
        model = f"{_MODEL}/{self.model.name}" if self.model else "/nonexistent"
        return tuple(
            word.replace("{model}", model).replace("{port}", str(self.expect.port)) for word in words
        )


def tail(text: str, lines: int = 12) -> str:
    """Return the last lines of what a program printed."""
    return "\n".join(text.strip().splitlines()[-lines:])
