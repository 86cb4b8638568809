"""Image to verdict: static proofs from the layout, then the running ones, one report. Wires the checks to the engine."""

import platform
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from build.doors import process, store
from build.doors.bakefile import EPOCH
from build.doors.effects import Engine, Reporter
from build.errors import IngotError, WorkFailed
from build.image.layout import open_layout
from build.image.model import BuiltImage
from build.plan.model import ImagePlan
from build.recipe.model import SmokeModel
from build.smoke import gguf, minimodel
from build.smoke.model import CheckResult, Expectations, Outcome, SmokeReport, identify
from build.smoke.running import suite as running
from build.smoke.running.image import LABEL, RunningImage
from build.smoke.static import suite as static

__all__ = ["SmokeRun", "covers", "expectations_of", "gpu_missing"]

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


def gpu_missing(architectures: tuple[str, ...]) -> str:
    """Say why this host cannot run the image's kernels; empty where it can."""
    try:
        listing = process.run(
            ("nvidia-smi", "--query-gpu=compute_cap", "--format=csv,noheader"), timeout_s=20
        )
    except IngotError:
        return "no NVIDIA GPU on this host (nvidia-smi does not answer)"
    there = {line.strip().replace(".", "") for line in listing.stdout.splitlines() if line.strip()}
    if not there:
        return "no NVIDIA GPU on this host (nvidia-smi lists none)"
    wanted = {name.removesuffix("-real").removesuffix("-virtual").rstrip("af") for name in architectures}
    if there & wanted:
        return ""
    return f"the GPUs of this host (sm_{', sm_'.join(sorted(there))}) are none of sm_{', sm_'.join(sorted(wanted))}"


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

    def report(self) -> SmokeReport:
        """Run every check.

        Raises:
            Unavailable: the engine went away; that is no verdict on the image.
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
        return SmokeReport.of(self.built, expect, results)

    def static(self, expect: Expectations) -> tuple[CheckResult, ...]:
        """Run the checks that read the layout alone."""
        self.work.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.work) as scratch:
            return static.run_static(
                open_layout(self.layout), expect, host_words=_host_words(), scratch=Path(scratch)
            )

    def running(self, expect: Expectations) -> tuple[CheckResult, ...]:
        """Load the image and run the checks that run it. Containers of an earlier, killed run are removed first."""
        # One smoke test at a time below one cache: whatever carries this label and still runs was left by a kill.
        run_id = store.sha256_text(str(self.work.resolve()))[:12]
        with store.locked(self.work / ".lock"):
            self.engine.sweep(f"{LABEL}={run_id}")
            return self._loaded(expect, run_id)

    def _loaded(self, expect: Expectations, run_id: str) -> tuple[CheckResult, ...]:
        # A name of this cache's own: another one's smoke test on the same engine would remove it, or give it away.
        name = f"ingot.local/{run_id}/{self.plan.recipe.name}:{self.plan.tag}"
        loaded = self.engine.load(self.layout, name)
        self.work.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.work) as scratch:
            image = RunningImage(
                engine=self.engine,
                image=loaded.ref,
                expect=expect,
                driver_stub=_readable(self.driver_stub, Path(scratch)),
                model=_model(expect.model, _folder(Path(scratch), "model")),
                run_id=run_id,
            )
            try:
                return running.run_running(image, gpu=_no_gpu(image))
            finally:
                self.engine.sweep(f"{LABEL}={run_id}")
                self.engine.remove_image(loaded.ref)


def _no_gpu(image: RunningImage) -> str:
    """Say why the checks are not run on a GPU: none that fits, or an engine that cannot hand it to a container."""
    if reason := gpu_missing(image.expect.architectures):
        return reason
    try:
        replace(image, gpu=True).run("--version")
    except WorkFailed as error:
        return f"this engine cannot give a container the GPU: {error.message}"
    return ""


def _folder(scratch: Path, name: str) -> Path:
    """Make a folder that the container's user, who is nobody on this host, can read."""
    scratch.chmod(0o755)
    folder = scratch / name
    folder.mkdir()
    folder.chmod(0o755)
    return folder


def _readable(stub: Path, scratch: Path) -> Path:
    copy = _folder(scratch, "driver") / stub.name
    shutil.copyfile(stub, copy)
    copy.chmod(0o755)
    return copy


def _model(kind: SmokeModel, folder: Path) -> Path | None:
    if kind is SmokeModel.NONE:
        return None
    path = folder / ("tiny.mini" if kind is SmokeModel.MINI else "tiny.gguf")
    if kind is SmokeModel.MINI:
        path.write_bytes(minimodel.generate().to_bytes())
    else:
        gguf.write_llama(path)
    path.chmod(0o644)
    return path


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
