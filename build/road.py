"""The road from a recipe to a pushed image, one station after the other, each leaving its artifact below out/.

Calls the stations and decides what need not be done again. No rule of a station lives here.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from build.bench.measure import Bench, Wanted, passed, tell
from build.bench.record import Record
from build.doors import store
from build.errors import BadRequest, SmokeFailed, WorkFailed
from build.image.build import build_image, find_built, rendered, write_rendered
from build.image.model import BuiltImage
from build.pin.locks import read_cuda_lock, read_debian_lock
from build.pin.model import Pin
from build.plan.model import ImagePlan, directory_name
from build.plan.plan import Places, make_plan, unpinned
from build.publish.model import PushReceipt
from build.recipe.effective import effective
from build.recipe.model import Recipe
from build.report.difference import Difference
from build.report.operands import published_difference
from build.report.write import FILES, Written, discard_report, write_report
from build.settings import Namespace
from build.smoke.gpu import find_gpu, required
from build.smoke.loaded import Loader
from build.smoke.model import SmokeReport, VerifiedImage, identify
from build.smoke.run import SmokeRun, covers, expectations_of, static_report
from build.wiring import Wiring

__all__ = ["Road"]


@dataclass(kw_only=True)
class Road(Wiring):
    """One run of the pipeline on one machine."""

    force: bool = False
    """Build and smoke-test even what is done already."""

    # Stations.

    def render(self, recipe: Recipe, variant: str) -> ImagePlan:
        """Write Dockerfile and bake file from the tree alone; digests are zeros where no pin is there."""
        with self._alone(recipe, variant) as out:
            whole = effective(recipe, variant)
            pin = store.read_known(out / "pin.json", Pin)
            if pin is None or pin.inputs != self.resolver.inputs(whole):
                cuda, debian = (
                    read_cuda_lock(self.toolchains, recipe.toolchain.cuda),
                    read_debian_lock(self.toolchains),
                )
                pin = unpinned(whole, toolchain_lock=self.images.toolchain_lock(cuda, debian), base_lock="")
            plan = self._planned(recipe, variant, pin)
            write_rendered(plan, out)
        self.reporter.note(f"{plan.name}: {out / 'Dockerfile'}")
        return plan

    def resolve(self, recipe: Recipe, variant: str) -> Pin:
        """Prove the pin and write pin.json."""
        with self._alone(recipe, variant) as out:
            return self._resolve(recipe, variant, out)

    def plan(self, recipe: Recipe, variant: str) -> ImagePlan:
        """Resolve, plan, write plan.json and what was rendered."""
        with self._alone(recipe, variant) as out:
            return self._plan(recipe, variant, out)

    def image(self, recipe: Recipe, variant: str) -> BuiltImage:
        """Make sure that the image is built and has passed smoke; does nothing where that is so already."""
        with self._alone(recipe, variant) as out:
            return self._image(recipe, variant, out)

    def smoke(self, name: str, *, static: bool = False, gpu: bool = False) -> SmokeReport:
        """Smoke-test again the image whose artifacts are in out/<name>.

        `static`: without any engine; `gpu` requires the checks on a GPU too.
        """
        out = self.settings.out / name
        with store.locked(out / ".lock"):
            plan, built = self._made(name)
            return self._static(plan, built, out) if static else self._smoke(plan, built, out, gpu=gpu).report

    def bench(self, name: str, wanted: Wanted, *, gpu: bool = False) -> tuple[Record, ...]:
        """Measure the image whose artifacts are in out/<name>; `gpu` requires that it is measured on one."""
        out = self.settings.out / name
        with store.locked(out / ".lock"):
            plan, built = self._made(name)
            found = find_gpu(plan.recipe.toolchain.architectures, self.containers)
            if gpu:
                required(found)
            bench = Bench(
                plan=plan,
                built=built,
                loader=Loader(
                    engine=self.containers,
                    layout=out / "image",
                    name=f"{plan.recipe.name}:{plan.tag}",
                    expect=expectations_of(plan),
                    driver_stub=self.images.driver_stub(plan.recipe.toolchain.cuda, plan.pin.toolchain),
                    work=self.settings.cache / "smoke",
                ),
                gpu=found,
                wanted=wanted,
                reporter=self.reporter,
                keep=partial(store.append_line, out / "bench.jsonl"),
            )
            records = bench.records()
        known = [store.read_lines(path, Record) for path in sorted(self.settings.out.glob("*/bench.jsonl"))]
        tell(records, tuple(one for records in known for one in records), self.reporter)
        return passed(name, records)

    def push(self, name: str) -> PushReceipt:
        """Push the smoke-tested image whose artifacts are in out/<name> and write push.json."""
        if self.settings.registry is None:
            message = "INGOT_REGISTRY is not set: nowhere to push to"
            raise BadRequest(message, hint="INGOT_REGISTRY=registry.example.org/namespace")
        with store.locked(self.settings.out / name / ".lock"):
            return self._push(name, self.settings.registry)

    def report(self, name: str) -> Written:
        """Write the pages of the image in out/<name> again, from its artifacts."""
        with store.locked(self.settings.out / name / ".lock"):
            out = self.settings.out / name
            return self._report(*self._made(name), out, published_difference(out))

    def read_plan(self, name: str) -> ImagePlan:
        """Read out/<name>/plan.json."""
        return store.read_artifact(
            self.settings.out / name / "plan.json", ImagePlan, made_by=f"nox -s build -- {name}"
        )

    def refresh(self, locks: tuple[str, ...]) -> list[str]:
        """Rewrite committed locks; returns the files that changed."""
        from build.pin.refresh import Refresh

        refresh = Refresh(
            root=self.settings.root, cache=self.settings.cache, reporter=self.reporter, digest_of=self._digest
        )
        return refresh.refresh(locks)

    # Parts. Who calls them holds the lock of the image's folder.

    @contextmanager
    def _alone(self, recipe: Recipe, variant: str) -> Iterator[Path]:
        """Hold an image's folder: two runs of one image wait for each other; the second then finds things done."""
        out = self._out(recipe, variant)
        with store.locked(out / ".lock"):
            yield out

    def _resolve(self, recipe: Recipe, variant: str, out: Path) -> Pin:
        known = store.read_known(out / "pin.json", Pin)
        pin = self.resolver.resolve(effective(recipe, variant), known=known)
        if pin != known:
            store.write_artifact(out / "pin.json", pin)
        self.reporter.note(
            f"{out.name}: base {pin.base.origin}; toolchain CUDA {recipe.toolchain.cuda}, {pin.toolchain.origin}"
        )
        return pin

    def _plan(self, recipe: Recipe, variant: str, out: Path) -> ImagePlan:
        plan = self._planned(recipe, variant, self._resolve(recipe, variant, out))
        if not rendered(plan, out):
            write_rendered(plan, out)
        if store.read_known(out / "plan.json", ImagePlan) != plan:
            store.write_artifact(out / "plan.json", plan)
        return plan

    def _image(self, recipe: Recipe, variant: str, out: Path) -> BuiltImage:
        plan = self._plan(recipe, variant, out)
        built = None if self.force else find_built(plan, out)
        report = store.read_known(out / "smoke.json", SmokeReport)
        if built and covers(report, built, expectations_of(plan)):
            self.reporter.note(f"{plan.name}: nothing to do, {plan.tag} is built and has passed smoke")
            if not all((out / name).exists() for name in FILES):  # a kill came between smoke.json and them
                self._report(plan, built, out, published_difference(out))
            return built
        if built is None:
            built = build_image(
                plan,
                out,
                root=self.settings.root,
                builder=self.buildx,
                reporter=self.reporter,
                engine={"engine": self.containers.info().version, "buildkit": self.buildx.inspect().buildkit},
            )
        self._smoke(plan, built, out)
        return built

    def _push(self, name: str, namespace: Namespace) -> PushReceipt:
        from build.publish.kept import keep_published
        from build.publish.push import push

        out = self.settings.out / name
        plan, built = self._made(name)
        report = store.read_artifact(out / "smoke.json", SmokeReport, made_by=f"nox -s smoke -- {name}")
        if report.expectations != identify(expectations_of(plan)):
            message = f"{name}: the smoke report answers other expectations than the plan's"
            raise WorkFailed(message, hint=f"nox -s smoke -- {name}")
        verified = VerifiedImage(built=built, report=report)
        receipt = push(verified, plan, out / "image", namespace, self.registry, self.reporter)
        difference = published_difference(out)  # to the one before
        # The receipt last: where it is, what is kept is this image's.
        keep_published(out, plan, receipt, difference)
        store.write_artifact(out / "push.json", receipt)
        self._report(plan, built, out, difference)
        return receipt

    def _out(self, recipe: Recipe, variant: str) -> Path:
        return self.settings.out / directory_name(recipe.name, variant)

    def _planned(self, recipe: Recipe, variant: str, pin: Pin) -> ImagePlan:
        places = Places(
            root=self.settings.root,
            out=self._out(recipe, variant),
            source=self.resolver.sources.folder(pin.source),
            toolchain=self.images.layout(
                self.images.toolchain_name(recipe.toolchain.cuda, pin.toolchain), pin.toolchain
            ),
            base=self.images.layout("base", pin.base),
        )
        return make_plan(effective(recipe, variant), variant, pin, templates=self.templates, places=places)

    def _made(self, name: str) -> tuple[ImagePlan, BuiltImage]:
        plan = self.read_plan(name)
        made_by = f"nox -s build -- {name}"
        built = store.read_artifact(self.settings.out / name / "image.json", BuiltImage, made_by=made_by)
        if built.fingerprint != plan.fingerprint:
            message = f"{name}: image.json is of another plan than plan.json"
            raise WorkFailed(message, hint=made_by)
        return plan, built

    def _smoke(self, plan: ImagePlan, built: BuiltImage, out: Path, *, gpu: bool = False) -> VerifiedImage:
        found = find_gpu(plan.recipe.toolchain.architectures, self.containers)
        if gpu:
            self.reporter.note(f"{plan.name}: GPU {required(found)}")
        stub = self.images.driver_stub(plan.recipe.toolchain.cuda, plan.pin.toolchain)
        discard_report(out)
        for name in ("smoke.json", "help.json"):
            (out / name).unlink(missing_ok=True)
        smoked = SmokeRun(
            plan=plan,
            built=built,
            layout=out / "image",
            driver_stub=stub,
            engine=self.containers,
            reporter=self.reporter,
            work=self.settings.cache / "smoke",
            gpu=found,
            gpu_required=gpu,
        ).smoke()
        # The report last: where it is, the help is there too.
        if smoked.help:
            store.write_artifact(out / "help.json", smoked.help)
        store.write_artifact(out / "smoke.json", smoked.report)
        self._report(plan, built, out, published_difference(out), step_summary=self.settings.step_summary)
        return VerifiedImage(built=built, report=smoked.report)

    def _static(self, plan: ImagePlan, built: BuiltImage, out: Path) -> SmokeReport:
        report = static_report(
            plan,
            built,
            out / "image",
            work=self.settings.cache / "smoke",
            earlier=store.read_known(out / "smoke.json", SmokeReport),
            reporter=self.reporter,
        )
        store.write_artifact(out / "smoke.json", report)
        self._report(plan, built, out, published_difference(out), step_summary=self.settings.step_summary)
        if report.failed:
            message = f"{plan.name}: failed: {', '.join(report.failed)}"
            raise SmokeFailed(message)
        return report

    def _report(
        self,
        plan: ImagePlan,
        built: BuiltImage,
        out: Path,
        difference: Difference | None,
        *,
        step_summary: Path | None = None,
    ) -> Written:
        written = write_report(
            out,
            plan,
            built,
            namespace=self.settings.registry,
            difference=difference,
            step_summary=step_summary,
        )
        self.reporter.note(f"report: {written.page}")
        return written
