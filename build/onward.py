"""What is done with an image that is made: smoke test, bench, push, its pages. Each leaves its artifact below out/.

Calls the stations. No rule of a station lives here.
"""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from build.bench.measure import Bench, Wanted, passed, tell
from build.bench.record import Record
from build.doors import store
from build.errors import BadRequest, SmokeFailed, WorkFailed
from build.image.model import BuiltImage
from build.pin.locks import read_cuda_lock, read_debian_lock
from build.plan.model import ImagePlan
from build.publish.model import PushReceipt
from build.report.difference import Difference
from build.report.operands import published_difference
from build.report.write import Written, discard_report, write_report
from build.settings import Namespace
from build.smoke.gpu import find_gpu, required
from build.smoke.loaded import Loader
from build.smoke.model import SmokeReport, VerifiedImage, identify
from build.smoke.run import SmokeRun, expectations_of, static_report
from build.wiring import Wiring

__all__ = ["Onward"]


@dataclass(kw_only=True)
class Onward(Wiring):
    """The road from an image in out/<name> on."""

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
                    driver_stub=self._driver_stub(plan),
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

    def push(self, name: str, *, moving: bool = True) -> PushReceipt:
        """Push the smoke-tested image whose artifacts are in out/<name> and write push.json.

        Without `moving` only the tag that never moves is pushed: the image is there, and nobody's tag leads to it.
        """
        if self.settings.registry is None:
            message = "INGOT_REGISTRY is not set: nowhere to push to"
            raise BadRequest(message, hint="INGOT_REGISTRY=registry.example.org/namespace")
        with store.locked(self.settings.out / name / ".lock"):
            return self._push(name, self.settings.registry, moving=moving)

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

    # Parts. Who calls them holds the lock of the image's folder.

    def _push(self, name: str, namespace: Namespace, *, moving: bool) -> PushReceipt:
        from build.publish.kept import keep_published
        from build.publish.push import push

        out = self.settings.out / name
        plan, built = self._made(name)
        report = store.read_artifact(out / "smoke.json", SmokeReport, made_by=f"nox -s smoke -- {name}")
        if report.expectations != identify(expectations_of(plan)):
            message = f"{name}: the smoke report answers other expectations than the plan's"
            raise WorkFailed(message, hint=f"nox -s smoke -- {name}")
        verified = VerifiedImage(built=built, report=report)
        wanted = plan if moving else replace(plan, moving_tags=())
        receipt = push(verified, wanted, out / "image", namespace, self.registry, self.reporter)
        difference = published_difference(out)  # to the one before
        discard_report(out)
        # The receipt last: where it is, what is kept is this image's.
        keep_published(out, plan, receipt, difference)
        store.write_artifact(out / "push.json", receipt)
        self._report(plan, built, out, difference)
        return receipt

    def _driver_stub(self, plan: ImagePlan) -> Path:
        """Return the stub libcuda.so.1 for a smoke test: the toolchain's own, or one of a CUDA version that is locked.

        It is generated from cuda.h and belongs to the test, not to the image: an image of wheels has no toolchain.
        """
        wanted = plan.recipe.toolchain.cuda
        if plan.pin.toolchain:
            return self.images.driver_stub(wanted, plan.pin.toolchain)
        locked = sorted(path.stem.removeprefix("cuda-") for path in self.toolchains.glob("cuda-*.txt"))
        cuda = read_cuda_lock(self.toolchains, wanted if wanted in locked else locked[0])
        made = self.images.toolchain(cuda, read_debian_lock(self.toolchains), mode=self.settings.base)
        return self.images.driver_stub(cuda.version, made)

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
        stub = self._driver_stub(plan)
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
        discard_report(out)
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
