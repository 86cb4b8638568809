"""What is done with an image that is made: smoke test, bench, push, its pages. Each leaves its artifact below out/.

Calls the stations. No rule of a station lives here.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from build.attest.model import PROVENANCE, SBOM, Attested
from build.bench.measure import Bench, Wanted, passed, tell
from build.bench.record import Record
from build.doors import store
from build.doors.platforms import Platform
from build.errors import BadRequest, SmokeFailed, WorkFailed
from build.image.model import BuiltImage
from build.plan.model import ImagePlan
from build.publish.bundle import gather
from build.publish.model import PushReceipt
from build.recipe.check import check
from build.recipe.model import Recipe
from build.recipe.naming import directory_name
from build.recipe.refs import Digest, ImageRef
from build.report.difference import Difference
from build.report.operands import published_difference
from build.report.write import Written, discard_report, write_report
from build.settings import AttestChoice, Namespace
from build.smoke.gpu import find_gpu, required
from build.smoke.loaded import Loader
from build.smoke.model import SmokeReport, VerifiedImage, identify
from build.smoke.run import SmokeRun, expectations_of, static_report
from build.verify.model import Verification
from build.verify.run import Verifier, elsewhere, ran_on
from build.verify.run import tell as tell_verdict
from build.wiring import Wiring

if TYPE_CHECKING:
    from build.publish.attach import Artifact
    from build.publish.rollback import RollbackReceipt

__all__ = ["Onward"]


@dataclass(kw_only=True)
class Onward(Wiring):
    """The road from an image in out/<name> on."""

    def smoke(self, name: str, *, static: bool = False, gpu: bool = False) -> SmokeReport:
        """Smoke-test again the image whose artifacts are in out/<name>.

        `static`: without any engine; `gpu` requires the checks on a GPU too.
        """
        out = self.settings.out / name
        with self.alone(out):
            plan, built = self._made(name)
            return self._static(plan, built, out) if static else self._smoke(plan, built, out, gpu=gpu).report

    def bench(self, name: str, wanted: Wanted, *, gpu: bool = False) -> tuple[Record, ...]:
        """Measure the image whose artifacts are in out/<name>; `gpu` requires that it is measured on one."""
        out = self.settings.out / name
        with self.alone(out):
            plan, built = self._made(name)
            found = find_gpu(plan.recipe.toolchain.architectures, self.containers)
            if gpu:
                required(found)
            bench = Bench(
                plan=plan,
                built=built,
                loader=self._loader(plan, out),
                gpu=found,
                wanted=wanted,
                reporter=self.reporter,
                keep=partial(store.append_line, out / "bench.jsonl"),
            )
            records = bench.records()
        known = [store.read_lines(path, Record) for path in sorted(self.settings.out.glob("*/bench.jsonl"))]
        tell(records, tuple(one for records in known for one in records), self.reporter)
        return passed(name, records)

    def attest(self, name: str) -> Attested:
        """Write bill of materials and provenance of the image whose artifacts are in out/<name>."""
        out = self.settings.out / name
        with self.alone(out):
            attested = self._attest(*self._made(name), out)
        self.reporter.note(f"{name}: {', '.join(attested.files)}")
        return attested

    def push(self, name: str, *, moving: bool = True, attest: AttestChoice | None = None) -> PushReceipt:
        """Push the smoke-tested image whose artifacts are in out/<name> and write push.json.

        Without `moving` only the tag that never moves is pushed: the image is there, and nobody's tag leads to it.
        `attest` says what is attached to it; without it the settings do.
        """
        namespace = self.namespace("nowhere to push to")
        with self.alone(self.settings.out / name):
            return self._push(name, namespace, moving=moving, attest=attest or self.settings.attest)

    def rollback(
        self, recipe: Recipe, variant: str, *, to: str = "", dry_run: bool = False
    ) -> "RollbackReceipt":
        """Point a recipe's moving tags back at an image that was pushed before, and write rollback.json before and after."""
        from build.publish.rollback import RollbackReceipt, carry_out, plan_rollback

        namespace = self.namespace("no registry to ask")
        out = self.settings.out / directory_name(recipe.name, variant)
        record = out / "rollback.json"
        with self.alone(out):
            last = store.read_known(record, RollbackReceipt)
            plan = plan_rollback(recipe, variant, namespace, self.registry, self.reporter, to=to, last=last)
            if dry_run:
                return plan.planned
            store.write_artifact(record, plan.planned)
            receipt = carry_out(plan, self.registry, self.reporter)
            store.write_artifact(record, receipt)
            return receipt

    def verify(self, name: str, chosen: frozenset[str], platform: Platform | None = None) -> Verification:
        """Build the image in out/<name> again, varied, with compilers on `platform` if it is said; compare, write verify.json.

        Raises:
            BadRequest: the first's ran there too, or the second's would be emulated and nobody asked for that.
            WorkFailed: they differ; its answer says where.
        """
        out = self.settings.out / name
        with self.alone(out):
            plan, built = self._made(name)
            again = elsewhere(plan, built, platform, self.toolchain_on) if platform else plan
            with self._bundled(again) as bundle:
                verifier = Verifier(settings=self.settings, reporter=self.reporter, chosen=chosen)
                found = verifier.verify(bundle, out, ran_on=ran_on(plan, built))
        tell_verdict(found, out, self.reporter)
        return found

    def report(self, name: str) -> Written:
        """Write the pages of the image in out/<name> again, from its artifacts."""
        with self.alone(self.settings.out / name):
            out = self.settings.out / name
            return self._report(*self._made(name), out, published_difference(out))

    def read_plan(self, name: str) -> ImagePlan:
        """Read out/<name>/plan.json."""
        return store.read_artifact(
            self.settings.out / name / "plan.json", ImagePlan, made_by=f"nox -s build -- {name}"
        )

    # Parts. Who calls them holds the lock of the image's folder.

    def _push(self, name: str, namespace: Namespace, *, moving: bool, attest: AttestChoice) -> PushReceipt:
        from build.publish.attach import attach
        from build.publish.depot import deposit
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
        artifacts = self._statements(plan, built, out) if attest != "no" else ()

        if attest == "custody" and not plan.pin.toolchain:
            self.reporter.warning(
                f"{name}: only what is compiled has a bundle; its wheels are named by their lock"
            )
            attest = "yes"
        registry, reporter = self.registry, self.reporter
        with ExitStack() as stack:
            # Before anything is sent: what cannot be gathered is found out now.
            bundle = stack.enter_context(self._bundled(plan)) if attest == "custody" else None

            def attached(subject: ImageRef) -> dict[str, Digest]:
                kept = (deposit(bundle, plan, subject, namespace, registry, reporter),) if bundle else ()
                return {} if attest == "no" else attach(subject, (*artifacts, *kept), registry, reporter)

            receipt = push(verified, wanted, out / "image", namespace, registry, reporter, attach=attached)
        difference = published_difference(out)  # to the one before
        discard_report(out)
        # The receipt last: where it is, what is kept is this image's.
        keep_published(out, plan, receipt, difference)
        store.write_artifact(out / "push.json", receipt)
        self._report(plan, built, out, difference)
        return receipt

    def _attest(self, plan: ImagePlan, built: BuiltImage, out: Path) -> Attested:
        from build.attest.write import Attestor

        repository = plan.recipe.image.repository
        namespace = f"{self.settings.registry}/" if self.settings.registry else ""
        attestor = Attestor(
            root=self.settings.root,
            cache=self.settings.cache,
            toolchains=self.toolchains,
            images=self.images,
            reporter=self.reporter,
        )
        return attestor.write(out, plan, built, subject=f"{namespace}{repository}:{plan.tag}")

    @contextmanager
    def _bundled(self, plan: ImagePlan) -> Iterator[Path]:
        """Gather the bundle of an image for the block."""
        recipe = next((one for one in check(self.settings.root) if one.name == plan.recipe.name), None)
        if recipe is None:
            message = f"{plan.name}: there is no recipe {plan.recipe.name} any more"
            raise BadRequest(message, hint="a bundle needs the recipe that the image was built from")
        with store.scratch(self.settings.cache / "bundles") as folder:
            bundle = folder / plan.fingerprint
            with self.reporter.step("gather the bundle"):
                gather(bundle, plan, recipe, self.resolver, root=self.settings.root)
            yield bundle

    def _statements(self, plan: ImagePlan, built: BuiltImage, out: Path) -> "tuple[Artifact, ...]":
        from build.publish.attach import bill_of_materials, statement

        self._attest(plan, built, out)
        return (bill_of_materials(out / SBOM), statement(out / PROVENANCE))

    def _made(self, name: str) -> tuple[ImagePlan, BuiltImage]:
        plan = self.read_plan(name)
        made_by = f"nox -s build -- {name}"
        built = store.read_artifact(self.settings.out / name / "image.json", BuiltImage, made_by=made_by)
        if built.fingerprint != plan.fingerprint:
            message = f"{name}: image.json is of another plan than plan.json"
            raise WorkFailed(message, hint=made_by)
        return plan, built

    def _loader(self, plan: ImagePlan, out: Path) -> Loader:
        return Loader(
            engine=self.containers,
            layout=out / "image",
            name=f"{plan.recipe.name}:{plan.tag}",
            expect=expectations_of(plan),
            driver_stub=self.driver_stub(plan.recipe.toolchain.cuda, plan.pin.toolchain),
            work=self.settings.cache / "smoke",
        )

    def _smoke(self, plan: ImagePlan, built: BuiltImage, out: Path, *, gpu: bool = False) -> VerifiedImage:
        found = find_gpu(plan.recipe.toolchain.architectures, self.containers)
        if gpu:
            self.reporter.note(f"{plan.name}: GPU {required(found)}")
        loader = self._loader(plan, out)
        discard_report(out)
        for name in ("smoke.json", "help.json"):
            (out / name).unlink(missing_ok=True)
        smoked = SmokeRun(
            plan=plan,
            built=built,
            loader=loader,
            reporter=self.reporter,
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
