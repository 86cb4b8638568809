"""The page of one image as values: everything that both renderings say, in the order in which they say it. Pure."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from build.image.model import BuiltImage
from build.plan.model import ImagePlan
from build.publish.model import PushReceipt
from build.report.checks import CheckRow, Ended, check_rows, count
from build.report.detail import Detail
from build.report.difference import Area, Change, Difference
from build.report.inside import (
    BigFile,
    GpuRow,
    LayerRow,
    Library,
    VendorRow,
    biggest,
    gpu_rows,
    layer_rows,
    libraries,
    vendor_rows,
)
from build.report.ledger import LedgerRow, SetRow, ledger_rows, set_rows
from build.report.times import BuildTimes, PhaseRow, phase_rows
from build.report.usage import Usage, usage
from build.settings import Namespace
from build.smoke.model import Outcome, SmokeReport
from build.smoke.run import check_names, expectations_of

__all__ = ["Artifacts", "Cache", "Changes", "Page", "Standing", "make_page"]

_ELSEWHERE: Final = Namespace(host="registry.example.org", path="namespace")
"""Stands in the lines to copy where no registry is set."""


class Standing(StrEnum):
    """The verdict, in one word or two."""

    PASSED = "passed"
    FAILED = "failed"
    INCOMPLETE = "incomplete"
    """What ran has passed, and a check that every push needs did not run."""
    UNTESTED = "not tested"


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifacts:
    """What the page is made from."""

    plan: ImagePlan
    built: BuiltImage
    report: SmokeReport | None
    """None: there is none for this image."""
    receipt: PushReceipt | None
    """None: the image was not pushed."""
    difference: Difference | None
    """From the published image to this one; None: there is none to compare with."""
    history: tuple[BuildTimes, ...]
    """Oldest first; the last one is this build."""
    namespace: Namespace | None
    """Where images are pushed to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What changed in one area."""

    area: Area
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cache:
    """How often the compile cache had what was asked for."""

    hits: int
    misses: int

    @property
    def share(self) -> int:
        return round(100 * self.hits / max(1, self.hits + self.misses))


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Everything that is said about one image."""

    name: str
    title: str
    standing: Standing
    sentence: str
    """Why it stands so."""
    reference: str
    """Repository and immutable tag."""
    digest: str
    refs: tuple[str, ...]
    """Where it was pushed; empty: nowhere."""
    at: str
    facts: tuple[tuple[str, str], ...]
    difference: Difference | None
    changes: tuple[Changes, ...]
    checks: tuple[CheckRow, ...]
    promised: tuple[str, ...]
    gpu: tuple[GpuRow, ...]
    vendor: tuple[VendorRow, ...]
    libraries: tuple[Library, ...]
    injected: tuple[str, ...]
    size: int
    layers: tuple[LayerRow, ...]
    biggest: tuple[BigFile, ...]
    phases: tuple[PhaseRow, ...]
    before: BuildTimes | None
    """The build before this one."""
    cache: Cache
    layer_cache: str
    """The registry's cache that layers were taken from; empty: none."""
    usage: Usage
    patches: tuple[LedgerRow, ...]
    patch_sets: tuple[SetRow, ...]
    labels: tuple[tuple[str, str], ...]
    minimum_driver: str
    engine: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]

    @property
    def failed(self) -> tuple[CheckRow, ...]:
        return tuple(row for row in self.checks if row.ended is Ended.FAILED)

    @property
    def unproven(self) -> tuple[CheckRow, ...]:
        """Checks that say nothing about the image."""
        return tuple(row for row in self.checks if row.ended in {Ended.SKIPPED, Ended.NOT_RUN})


def make_page(artifacts: Artifacts) -> Page:
    """Put everything in its place."""
    plan, built = artifacts.plan, artifacts.built
    report = artifacts.report if artifacts.report and artifacts.report.digest == built.digest else None
    receipt = artifacts.receipt if artifacts.receipt and artifacts.receipt.digest == built.digest else None
    expect = expectations_of(plan)
    rows = check_rows(report, expect.required, check_names(expect.family))
    standing, sentence = _standing(report, rows)
    seen = {check.name: Detail.of(check.detail) for check in report.checks} if report else {}
    nothing = Detail.of(None)
    gpu_code, closure = seen.get("gpu_code", nothing), seen.get("closure", nothing)
    ledger = seen.get("patches", nothing).child("ledger")
    layers = layer_rows(built.layers)
    now = artifacts.history[-1]
    before = artifacts.history[-2] if len(artifacts.history) > 1 else None
    labels = dict(plan.labels)
    return Page(
        name=plan.name,
        title=plan.recipe.title,
        standing=standing,
        sentence=sentence,
        reference=f"{plan.recipe.image.repository}:{plan.tag}",
        digest=str(built.digest),
        refs=tuple(receipt.refs) if receipt else (),
        at=now.at,
        facts=_facts(plan, built),
        difference=artifacts.difference,
        changes=_changes(artifacts.difference),
        checks=rows,
        promised=gpu_code.texts("promised"),
        gpu=gpu_rows(gpu_code),
        vendor=vendor_rows(gpu_code),
        libraries=libraries(closure, expect.app),
        injected=closure.texts("injected"),
        size=built.size,
        layers=layers,
        biggest=biggest(seen.get("layout", nothing), layers),
        phases=phase_rows(now, before),
        before=before,
        layer_cache=built.layer_cache,
        cache=Cache(hits=built.compile_cache.get("hits", 0), misses=built.compile_cache.get("misses", 0)),
        usage=usage(
            plan,
            _repository(plan, receipt, artifacts.namespace),
            str(built.digest),
            verified=any(row.name == "arguments" and row.ended is Ended.PASSED for row in rows),
            pushed=receipt is not None,
        ),
        patches=ledger_rows(plan, ledger),
        patch_sets=set_rows(plan, ledger),
        labels=plan.labels,
        minimum_driver=labels.get("ingot.driver.minimum", ""),
        engine=tuple(built.engine.items()),
        notes=plan.recipe.notes,
    )


def _standing(report: SmokeReport | None, rows: tuple[CheckRow, ...]) -> tuple[Standing, str]:
    if report is None:
        return Standing.UNTESTED, "no smoke test of this image has ended: it cannot be pushed"
    if report.outcome is Outcome.FAILED:
        failed = ", ".join(row.name for row in rows if row.ended is Ended.FAILED)
        return Standing.FAILED, f"{failed}: failed, so it cannot be pushed ({count(rows)})"
    if open_ := [row.name for row in rows if row.required and row.ended is not Ended.PASSED]:
        return Standing.INCOMPLETE, f"{count(rows)}; a push also needs {', '.join(open_)}"
    return Standing.PASSED, count(rows)


def _facts(plan: ImagePlan, built: BuiltImage) -> tuple[tuple[str, str], ...]:
    """List what tells this image from others at a glance."""
    recipe, source = plan.recipe, plan.pin.source
    labels = dict(plan.labels)
    facts = (
        ("upstream", labels.get("org.opencontainers.image.source", source.url)),
        ("version", recipe.source.version),
        ("commit", source.commit),
        ("committed", source.committed_at),
        ("CUDA", recipe.toolchain.cuda),
        ("architectures", ", ".join(recipe.toolchain.architectures)),
        ("minimum driver", labels.get("ingot.driver.minimum", "")),
        ("platform", built.platform),
        ("base", plan.pin.base.origin),
        ("toolchain", plan.pin.toolchain.origin if plan.pin.toolchain else "none: made of wheels"),
        ("fingerprint", built.fingerprint),
    )
    return tuple((name, value) for name, value in facts if value)


def _changes(difference: Difference | None) -> tuple[Changes, ...]:
    if difference is None:
        return ()
    found = (
        Changes(area=area, changes=tuple(one for one in difference.changes if one.area is area))
        for area in Area
    )
    return tuple(one for one in found if one.changes)


def _repository(plan: ImagePlan, receipt: PushReceipt | None, namespace: Namespace | None) -> str:
    """Name the repository: where the image is, would go, or a stand-in."""
    immutable = next(iter(receipt.refs), "") if receipt else ""
    if immutable.endswith(f":{plan.tag}"):
        return immutable.removesuffix(f":{plan.tag}")
    return f"{namespace or _ELSEWHERE}/{plan.recipe.image.repository}"
