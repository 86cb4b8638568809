"""All running checks together: what is skipped, and why; what is no verdict at all."""

from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest

from build.doors.effects import ContainerSpec, GpuAccess, RunResult
from build.errors import Unreachable, WorkFailed
from build.recipe.model import Family, Smoke, SmokeModel
from build.smoke.model import Outcome
from build.smoke.running.suite import GPU, names_of, run_running, skipped_by
from tests.fakes import FakeContainer, FakeEngine, Server
from tests.unit.smoke.running.images import FLAGS, NONE, RTX, asked, good_server, outcomes, running_image

NAMES = names_of(Family.LLAMA_CPP)
PASSED = (Outcome.PASSED, "")
UNHEALTHY = (Outcome.SKIPPED, "the server did not become healthy")


def test_a_good_image_passes_everything() -> None:
    image = running_image(good_server(), model=SmokeModel.MINI)
    assert outcomes(image) == {
        **dict.fromkeys(NAMES, PASSED),
        GPU: (Outcome.SKIPPED, "no NVIDIA GPU on this host"),
    }


def test_a_recipe_without_a_model_skips_what_needs_one() -> None:
    found = outcomes(running_image(good_server()))
    for name in skipped_by(Smoke(version="1")):
        assert found[name] == (Outcome.SKIPPED, "the recipe names no test model")
    assert found["sigterm"] == PASSED


def test_an_unhealthy_server_skips_the_rest() -> None:
    found = outcomes(running_image(good_server(dies="no\n"), model=SmokeModel.MINI))
    assert found["version"] == found["arguments"] == PASSED
    assert found["health"][0] is Outcome.FAILED
    for name in ("endpoints", "tokens", "long_prompt", "concurrency", "sigterm"):
        assert found[name] == UNHEALTHY


def test_a_fitting_gpu_runs_the_server_again() -> None:
    image = running_image(good_server())
    assert outcomes(image, gpu=RTX)[GPU] == PASSED
    servers = [spec for spec in asked(image).specs if "--port" in spec.args]
    assert [spec.gpus for spec in servers] == [GpuAccess.NONE, GpuAccess.CDI]


@pytest.mark.parametrize(
    "line",
    [
        "warning: no usable GPU found, --gpu-layers option will be ignored",
        "ggml_cuda_init: failed to initialize CUDA: no CUDA-capable device is detected",
        "warning: the GPU cannot run this model, the CPU will: no kernel for f16 and dim 63",
    ],
)
def test_a_server_that_falls_back_to_the_cpu_has_not_passed(line: str) -> None:
    class FallsBack(FakeEngine):
        def _start(self, container: FakeContainer) -> None:
            self.server.log = (
                f"build: 42\n{line}\nlistening\n" if container.spec.gpus is GpuAccess.CDI else "listening\n"
            )
            super()._start(container)

    found = outcomes(running_image(FallsBack(good_server())), gpu=RTX)
    assert found["health"] == PASSED
    assert found[GPU] == (Outcome.FAILED, f"on GPU: the server ran on the CPU: {line}")


def test_the_gpu_that_was_used_is_in_the_report() -> None:
    results = run_running(running_image(good_server()), gpu=RTX).checks
    assert {one.name: one.detail for one in results}[GPU] == {
        "on": "NVIDIA GeForce RTX 5090 (sm_120, driver 580.65), through CDI"
    }


def test_a_fault_on_the_gpu_alone_is_found() -> None:
    class BrokenOnGpu(FakeEngine):
        def _start(self, container: FakeContainer) -> None:
            self.server.dies = "CUDA error\n" if container.spec.gpus is GpuAccess.CDI else ""
            super()._start(container)

    image = running_image(BrokenOnGpu(good_server()))
    found = outcomes(image, gpu=RTX)
    assert found["health"] == PASSED
    assert found[GPU] == (
        Outcome.FAILED,
        "health: the server ended with status 1 before /health answered 200; its last lines:\nCUDA error",
    )


def test_an_engine_that_went_away_is_no_verdict() -> None:
    image = running_image(good_server())
    asked(image).lost = True
    with pytest.raises(Unreachable):
        run_running(image, gpu=NONE)


@pytest.mark.parametrize("number", range(1, 9))
def test_an_engine_that_goes_away_at_any_moment_is_no_verdict(number: int) -> None:
    class Lost(FakeEngine):
        def _answer(self) -> None:
            self.lost = self.lost or len(self.specs) >= number
            super()._answer()

    engine = Lost(good_server())
    image = running_image(engine)
    with pytest.raises(Unreachable):
        run_running(image, gpu=NONE)
    assert engine.containers == {}


def test_a_check_that_cannot_be_carried_out_has_failed() -> None:
    class Refusing(FakeEngine):
        def run_once(self, spec: ContainerSpec) -> RunResult:
            message = f"starting a container of {spec.image}: no such file: /app/server"
            raise WorkFailed(message)

    image = running_image(Refusing(good_server()))
    found = outcomes(image)
    why = "starting a container of ingot.local/mini:tag: no such file: /app/server"
    assert found["version"] == found["arguments"] == (Outcome.FAILED, why)
    assert found["health"][0] is Outcome.FAILED


def test_a_command_that_cannot_be_run_fails_its_own_check_alone() -> None:
    class Refusing(FakeEngine):
        def run_once(self, spec: ContainerSpec) -> RunResult:
            if "--spec-type" in spec.args and not spec.network.startswith("container:"):
                message = "starting a container: 500"
                raise WorkFailed(message)
            return super().run_once(spec)

    found = outcomes(running_image(Refusing(good_server()), model=SmokeModel.MINI))
    failed = {name: outcome for name, outcome in found.items() if outcome[0] is Outcome.FAILED}
    assert failed == {"arguments": (Outcome.FAILED, "starting a container: 500")}


def test_a_server_that_cannot_be_started_fails_every_check_of_it() -> None:
    class NoStart(FakeEngine):
        def _start(self, container: FakeContainer) -> None:
            if "--port" in container.spec.args:
                message = "starting a container: out of memory"
                raise WorkFailed(message)
            super()._start(container)

    image = running_image(NoStart(good_server()), model=SmokeModel.MINI)
    found = outcomes(image)
    for name in ("health", "endpoints", "tokens", "long_prompt", "concurrency", "sigterm"):
        assert found[name] == (Outcome.FAILED, "starting a container: out of memory")


def test_no_check_reaches_the_network(tmp_path: Path) -> None:
    image = running_image(good_server())
    outcomes(image)
    assert {spec.network.partition(":")[0] for spec in asked(image).specs} == {"none", "container"}


def test_what_a_server_says_commands_nothing() -> None:
    evil = "\x1b[2J::error::x\u202e\n" + "w" * 5000
    image = running_image(good_server(version=evil, version_exit=3, dies=evil))
    for name in ("version", "health"):
        outcome, reason = outcomes(image)[name]
        assert outcome is Outcome.FAILED
        assert "\x1b" not in reason
        assert r"\x1b[2J::error::x\u202e" in reason
        assert "4600 more characters" in reason


@pytest.mark.parametrize(
    ("slow", "done", "left"),
    [
        (("--version",), "version", ("help", "arguments", "broken_model")),
        (("--port",), None, ("health",)),
    ],
)
def test_an_image_that_takes_all_its_time_fails_what_is_left(
    slow: tuple[str, ...], done: str | None, left: tuple[str, ...]
) -> None:
    """Sixteen minutes pass while the version is asked for, or the server starts; what goes on beside it may end before."""

    class Slow(FakeEngine):
        late = 0.0

        def _start(self, container: FakeContainer) -> None:
            super()._start(container)
            if container.spec.args == slow or set(slow) & set(container.spec.args[2:]):
                self.late = 960.0

    engine = Slow(good_server())
    found = outcomes(replace(running_image(engine, model=SmokeModel.MINI), clock=lambda: engine.late))
    why = (Outcome.FAILED, "not run: the image has used up the 900 s of a smoke test")
    assert done is None or found[done] == PASSED
    assert {name: found[name] for name in left} == dict.fromkeys(left, why)


def test_an_interrupt_begins_nothing_new_beside() -> None:
    asked_again, swept = Event(), Event()

    class Interrupted(FakeEngine):
        beside = 0

        def run_once(self, spec: ContainerSpec) -> RunResult:
            if spec.args == ("--version",):
                assert asked_again.wait(60)
                raise KeyboardInterrupt
            if spec.network.startswith("container:"):
                self.beside += 1
                if self.beside == 2:  # the server is healthy, and is asked something
                    asked_again.set()
                    assert swept.wait(60)
            return super().run_once(spec)

        def sweep(self, label: str) -> int:
            found = super().sweep(label)
            swept.set()
            return found

    engine = Interrupted(good_server())
    with pytest.raises(KeyboardInterrupt):
        run_running(running_image(engine, model=SmokeModel.MINI), gpu=NONE)
    assert engine.beside == 2
    assert engine.containers == {}


def test_brackets_without_an_end_are_an_answer_that_is_wrong() -> None:
    class Nested(Server):
        def ask(self, args: list[str]) -> tuple[int, str, str]:
            return (0, "[" * 200_000, "") if "--data" in args else super().ask(args)

    image = running_image(Nested(takes=FLAGS, pages={"/props": "b42-abcdef123"}), model=SmokeModel.MINI)
    outcome, reason = outcomes(image)["tokens"]
    assert outcome is Outcome.FAILED
    assert reason.startswith("answer 1: no JSON: '[[[[")
