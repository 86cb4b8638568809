"""Image to verdict: static proofs from the layout, then the running ones, one report. Wires the checks to the engine."""

from dataclasses import dataclass, replace
from pathlib import Path

from build.doors.bakefile import EPOCH
from build.doors.effects import Reporter
from build.errors import Unavailable, WorkFailed
from build.image.model import BuiltImage
from build.plan.model import ImagePlan
from build.plan.orders import patched
from build.recipe.model import Family, Recipe, VendorSource
from build.smoke.clihelp import ImageHelp
from build.smoke.gpu import HostGpu, NoGpu
from build.smoke.loaded import Loader
from build.smoke.model import CheckResult, Expectations, Outcome, SmokeReport, identify, objection
from build.smoke.running import suite as running
from build.smoke.running.image import RunningImage
from build.smoke.running.suite import Ran
from build.smoke.static import suite as static
from build.smoke.static.run import apart, run_static

__all__ = [
    "SmokeRun",
    "Smoked",
    "check_names",
    "covers",
    "expectations_of",
    "static_report",
]

_APPS = {Family.LLAMA_CPP: "/app", Family.PYTHON: "/opt/venv"}


def expectations_of(plan: ImagePlan) -> Expectations:
    """Take out of a plan what the image must show. Pure."""
    recipe = plan.recipe
    without = running.skipped_by(recipe.smoke)
    return Expectations(
        recipe=recipe.name,
        variant=plan.variant,
        family=recipe.family,
        cuda=recipe.toolchain.cuda,
        architectures=recipe.toolchain.architectures,
        driver=recipe.toolchain.driver,
        epoch=EPOCH,
        own_layers=_own_layers(recipe),
        app=_APPS[recipe.family],
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
        packages=recipe.runtime.packages,
        patches=_installed_patches(recipe) if recipe.family is Family.PYTHON else (),
        no_server=recipe.smoke.no_server,
        required=tuple(name for name in check_names(recipe.family) if name not in (*without, running.GPU)),
    )


def _own_layers(recipe: Recipe) -> int | None:
    """Count what the template lays over a publisher's image: the patches, and the working folder."""
    return 1 + patched(recipe) if isinstance(recipe.source, VendorSource) else None


def _installed_patches(recipe: Recipe) -> tuple[str, ...]:
    """Name the patches that the ledger must tell of, as the check `patches` names them."""
    ids = (
        f"{one.name} {name}"
        for one in recipe.patch_sets
        for name in (*(patch.id for patch in one.patches), *(each.id for each in one.exclude))
    )
    return (*(patch.file for patch in recipe.patches), *ids)


def check_names(family: Family) -> tuple[str, ...]:
    """Name every check of a family's images, in order. Pure."""
    return (*static.names_of(family), *running.names_of(family), running.GPU)


def covers(report: SmokeReport | None, built: BuiltImage, expect: Expectations) -> bool:
    """Say whether a report proves this image against these expectations. Pure."""
    return report is not None and report.expectations == identify(expect) and not objection(built, report)


@dataclass(frozen=True, slots=True, kw_only=True)
class Smoked:
    """What a smoke test leaves: the report, and the help of the image where it could be read."""

    report: SmokeReport
    help: ImageHelp | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SmokeRun:
    """One smoke test of one image."""

    plan: ImagePlan
    built: BuiltImage
    loader: Loader
    reporter: Reporter
    gpu: HostGpu | NoGpu
    gpu_required: bool = False
    """Its check must have passed: a report that skips it passes no image on."""

    def smoke(self) -> Smoked:
        """Run every check.

        Raises:
            Unavailable: the engine went away, or gives no GPU where one is required; that is no verdict on the image.
        """
        expect = self.loader.expect
        with (
            self.reporter.step(f"smoke {self.plan.name}") as step,
            apart(self.loader.layout, expect, self.loader.work) as read,
        ):
            ran = self.running()
            results = (*read(), *ran.checks)
            step.verdict(_count(results))
        _say(results, self.reporter)
        listed = ImageHelp(digest=self.built.digest, flags=ran.flags) if ran.flags else None
        also = (running.GPU,) if self.gpu_required else ()
        return Smoked(report=SmokeReport.of(self.built, expect, results, also=also), help=listed)

    def running(self) -> Ran:
        """Load the image and run the checks that run it, on the GPU too where the engine really hands it out."""
        with self.loader.loaded() as image:
            if isinstance(self.gpu, NoGpu):
                return running.run_running(image, gpu=self.gpu)
            refused = _no_gpu(replace(image, gpu=self.gpu))
            if refused and self.gpu_required:
                raise Unavailable(refused, hint="`nvidia-ctk` sets an engine up for GPUs")
            return running.run_running(image, gpu=NoGpu(reason=refused) if refused else self.gpu)


def static_report(
    plan: ImagePlan,
    built: BuiltImage,
    layout: Path,
    *,
    work: Path,
    earlier: SmokeReport | None,
    reporter: Reporter,
) -> SmokeReport:
    """Run the checks that read the layout alone: no engine is asked for anything.

    What the running checks found is kept where `earlier` is a report of the same image against the same expectations;
    else they are skipped, and such a report lets no image be pushed.
    """
    expect = expectations_of(plan)
    with reporter.step(f"smoke {plan.name}, static checks") as step:
        results = run_static(layout, expect, work)
        step.verdict(_count(results))
    _say(results, reporter)
    same = earlier is not None and (
        (earlier.digest, earlier.config_digest, earlier.expectations)
        == (built.digest, built.config_digest, identify(expect))
    )
    known = {check.name: check for check in earlier.checks} if earlier and same else {}
    ran = (
        known.get(name)
        or CheckResult(name=name, outcome=Outcome.SKIPPED, reason="only the static checks were asked for")
        for name in (*running.names_of(expect.family), running.GPU)
    )
    return SmokeReport.of(built, expect, (*results, *ran))


def _say(results: tuple[CheckResult, ...], reporter: Reporter) -> None:
    for result in results:
        if result.outcome is Outcome.FAILED:
            reporter.error(f"{result.name}: {result.reason}")
        elif result.outcome is Outcome.SKIPPED:
            reporter.note(f"skipped {result.name}: {result.reason}")


def _no_gpu(image: RunningImage) -> str:
    """Say why the engine's containers do not get the GPU that it has; empty where they do."""
    try:
        image.run("--version")
    except WorkFailed as error:
        return f"this engine cannot give a container the GPU: {error.message}"
    return ""


def _count(results: tuple[CheckResult, ...]) -> str:
    words = []
    for outcome in Outcome:
        count = sum(result.outcome is outcome for result in results)
        if count:
            words.append(f"{count} {outcome}")
    return ", ".join(words)
