"""Image to verdict: static proofs from the layout, then the running ones, one report. Wires the checks to the engine."""

import platform
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from build.doors.bakefile import EPOCH
from build.doors.effects import Engine, Reporter
from build.errors import Unavailable, WorkFailed
from build.image.layout import open_layout
from build.image.model import BuiltImage
from build.plan.model import ImagePlan
from build.recipe.model import SmokeModel
from build.smoke.gpu import HostGpu, NoGpu
from build.smoke.loaded import Loader
from build.smoke.model import CheckResult, Expectations, Outcome, SmokeReport, identify
from build.smoke.running import suite as running
from build.smoke.running.image import RunningImage
from build.smoke.static import suite as static

__all__ = ["SmokeRun", "covers", "expectations_of"]

_TELLING = 6
"""A shorter word stands in many files by chance."""
_COMMON = frozenset({"localhost", "/home", "/root"})


def expectations_of(plan: ImagePlan) -> Expectations:
    """Take out of a plan what the image must show. Pure."""
    recipe = plan.recipe
    without = {"tokens"} if recipe.smoke.model is SmokeModel.NONE else set()
    return Expectations(
        recipe=recipe.name,
        variant=plan.variant,
        cuda=recipe.toolchain.cuda,
        architectures=recipe.toolchain.architectures,
        driver=recipe.toolchain.driver,
        epoch=EPOCH,
        entrypoint=recipe.runtime.entrypoint,
        workdir=recipe.runtime.workdir,
        user=recipe.runtime.user,
        port=recipe.runtime.port,
        env=recipe.runtime.env,
        links=recipe.runtime.links,
        health=recipe.runtime.healthcheck.path if recipe.runtime.healthcheck else "/health",
        labels=plan.labels,
        version=recipe.smoke.version,
        serve=recipe.serve.args,
        flags=recipe.smoke.flags,
        refused=recipe.smoke.refused,
        endpoints=recipe.smoke.endpoints,
        model=recipe.smoke.model,
        args=recipe.smoke.args,
        sigterm_exit=recipe.smoke.sigterm_exit,
        imports=recipe.smoke.imports,
        required=tuple(name for name in (*static.NAMES, *running.NAMES) if name not in without),
    )


def covers(report: SmokeReport | None, built: BuiltImage, expect: Expectations) -> bool:
    """Say whether a report proves this image against these expectations. Pure."""
    return (
        report is not None
        and report.outcome is Outcome.PASSED
        and (report.digest, report.config_digest) == (built.digest, built.config_digest)
        and report.expectations == identify(expect)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SmokeRun:
    """One smoke test of one image."""

    plan: ImagePlan
    built: BuiltImage
    layout: Path
    driver_stub: Path
    engine: Engine
    reporter: Reporter
    work: Path
    gpu: HostGpu | NoGpu
    gpu_required: bool = False
    """Its check must have passed: a report that skips it passes no image on."""

    def report(self) -> SmokeReport:
        """Run every check.

        Raises:
            Unavailable: the engine went away, or gives no GPU where one is required; that is no verdict on the image.
        """
        expect = expectations_of(self.plan)
        # Both at once: one is Python reading layers, the other mostly waits for containers.
        with self.reporter.step(f"smoke {self.plan.name}") as step, ThreadPoolExecutor(1) as beside:
            read = beside.submit(self.static, expect)
            ran = self.running(expect)
            results = (*read.result(), *ran)
            step.verdict(_count(results))
        for result in results:
            if result.outcome is Outcome.FAILED:
                self.reporter.error(f"{result.name}: {result.reason}")
            elif result.outcome is Outcome.SKIPPED:
                self.reporter.note(f"skipped {result.name}: {result.reason}")
        also = (running.GPU,) if self.gpu_required else ()
        return SmokeReport.of(self.built, expect, results, also=also)

    def static(self, expect: Expectations) -> tuple[CheckResult, ...]:
        """Run the checks that read the layout alone."""
        self.work.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.work) as scratch:
            return static.run_static(
                open_layout(self.layout), expect, host_words=_host_words(), scratch=Path(scratch)
            )

    def running(self, expect: Expectations) -> tuple[CheckResult, ...]:
        """Load the image and run the checks that run it."""
        loader = Loader(
            engine=self.engine,
            layout=self.layout,
            name=f"{self.plan.recipe.name}:{self.plan.tag}",
            expect=expect,
            driver_stub=self.driver_stub,
            work=self.work,
        )
        with loader.loaded() as image:
            return self._checked(image)

    def _checked(self, image: RunningImage) -> tuple[CheckResult, ...]:
        """Run the running checks, on the GPU too where the engine really hands it out."""
        if isinstance(self.gpu, NoGpu):
            return running.run_running(image, gpu=self.gpu.reason)
        image = replace(image, device=self.gpu.gpu.uuid)
        refused = _no_gpu(replace(image, gpu=True))
        if refused and self.gpu_required:
            raise Unavailable(refused, hint="`nvidia-ctk` sets an engine up for GPUs")
        return running.run_running(image, gpu=refused, on=str(self.gpu))


def _no_gpu(image: RunningImage) -> str:
    """Say why the engine's containers do not get the GPU that it has; empty where they do."""
    try:
        image.run("--version")
    except WorkFailed as error:
        return f"this engine cannot give a container the GPU: {error.message}"
    return ""


def _host_words() -> tuple[str, ...]:
    """Words that name this machine and its user; none of them may be in an image."""
    words = {platform.node(), str(Path.home()), str(Path.cwd())}
    return tuple(sorted(word for word in words if len(word) >= _TELLING and word not in _COMMON))


def _count(results: tuple[CheckResult, ...]) -> str:
    words = []
    for outcome in Outcome:
        count = sum(result.outcome is outcome for result in results)
        if count:
            words.append(f"{count} {outcome}")
    return ", ".join(words)
