"""A recipe's promises, a server that keeps them, and a way to run the checks on it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from build.doors.effects import GpuAccess
from build.doors.nvidia import Gpu
from build.recipe.model import Driver, SmokeEndpoint, SmokeModel
from build.smoke.gpu import HostGpu, NoGpu
from build.smoke.model import CheckResult, Expectations, Outcome
from build.smoke.running.image import RunningImage
from build.smoke.running.session import Session, session
from build.smoke.running.suite import run_running
from build.smoke.static.image import Verdict
from tests.fakes import FakeEngine, Server

__all__ = [
    "EXPECT",
    "FLAGS",
    "NONE",
    "RTX",
    "TOKENS",
    "asked",
    "findings",
    "good_server",
    "outcomes",
    "running_image",
]

NONE = NoGpu(reason="no NVIDIA GPU on this host")
RTX = HostGpu(
    gpu=Gpu(uuid="GPU-12", name="NVIDIA GeForce RTX 5090", capability="12.0", driver="580.65"),
    access=GpuAccess.CDI,
)

TOKENS = [12, 118, 164, 49, 179, 171, 133, 165, 209, 181, 81, 130, 147, 144, 181, 238]
"""Of the default model, the prompt and the count that the check asks with; test_the_tokens_are_right holds it to that."""

FLAGS: dict[str, tuple[str, ...] | None] = {
    "--model": None,
    "-ngl": None,
    "--port": None,
    "--ctx-size": None,
    "--flash-attn": ("on", "off", "auto"),
    "--spec-type": ("none", "draft-mini"),
    "--temp": None,
    "--jinja": (),
}

EXPECT = Expectations(
    recipe="mini",
    cuda="13.0",
    architectures=("120a-real",),
    driver=Driver.LINKED,
    epoch=0,
    entrypoint=("/app/server",),
    workdir="/app",
    user="10001:10001",
    port=8080,
    version="version: 42 (abcdef123)",
    serve=("--model", "{model}", "-ngl", "99", "--spec-type", "draft-mini", "--temp", "-0.5", "--jinja"),
    flags=("--flash-attn on", "--ctx-size 4096"),
    refused=("--spec-type no-such-type", "--no-such-flag"),
    endpoints=(SmokeEndpoint(path="/props", expect="b42-abcdef123"),),
    model=SmokeModel.NONE,
    args=("--model", "{model}", "--port", "{port}"),
)


def good_server(**changes: Any) -> Server:
    server = Server(takes=FLAGS, pages={"/props": '{"build_info":"b42-abcdef123"}'})
    return replace(server, **changes)


def running_image(server: Server | FakeEngine, **promises: Any) -> RunningImage:
    engine = server if isinstance(server, FakeEngine) else FakeEngine(server)
    return RunningImage(
        engine=engine,
        clock=engine.clock,
        image="ingot.local/mini:tag",
        expect=replace(EXPECT, **promises),
        driver_stub=Path("/stubs/driver/libcuda.so.1"),
        model=Path("/models/tiny.mini"),
        run_id="mini-aaaa",
    )


def asked(image: RunningImage) -> FakeEngine:
    assert isinstance(image.engine, FakeEngine)
    return image.engine


def findings(check: Callable[[Session], Verdict], image: RunningImage) -> list[str]:
    """Run one check of the server in a session of its own."""
    with session(image) as started:
        started.healthy = True
        found = list(check(started).findings)
    assert asked(image).containers == {}, "a container was left behind"
    return found


def outcomes(image: RunningImage, *, gpu: HostGpu | NoGpu = NONE) -> dict[str, tuple[Outcome, str]]:
    results: tuple[CheckResult, ...] = run_running(image, gpu=gpu).checks
    assert asked(image).containers == {}, "a container was left behind"
    return {result.name: (result.outcome, result.reason) for result in results}
