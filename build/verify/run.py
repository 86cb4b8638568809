"""Verifies an image of record: its bundle is built again under other conditions, and the two are compared."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from build.doors import process, store
from build.doors.effects import Reporter
from build.doors.platforms import Platform
from build.errors import BadRequest, IngotError, WorkFailed
from build.image.layout import Layout, open_layout
from build.image.model import BUILD_PLATFORM, BuiltImage
from build.pin.model import PinnedImage
from build.plan.model import ImagePlan
from build.publish.bundle import PLAN
from build.recipe.model import Recipe
from build.recipe.refs import Digest
from build.settings import Settings
from build.verify.again import built_again, conditions_here, described
from build.verify.compare import compare
from build.verify.model import Comparison, Rebuilt, Varied, Verdict, Verification

__all__ = ["REBUILT", "Verifier", "elsewhere", "ran_on", "tell", "verified"]

REBUILT: Final = "verify"
"""Folder beside the image of record with the other image and what diffoscope says, where the two differ."""

_TOLD: Final = 20
_PLATFORM: Final = "build-platform"
_DIFFOSCOPE_S: Final = 1200.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Verifier:
    """Verifies on one machine."""

    settings: Settings
    reporter: Reporter
    chosen: frozenset[str]
    """Names of the variations."""

    def verify(self, bundle: Path, out: Path, *, ran_on: str) -> Verification:
        """Compare the image in `out`/image with what its bundle builds to; leaves verify.json, and the other image if it differs.

        `ran_on` is the platform that the image's own compilers ran on; the bundle's may run on another.
        Who calls it holds the lock of `out`.
        """
        plan = store.read_artifact(bundle / PLAN, ImagePlan, made_by="nox -s verify")
        record = open_layout(out / "image")
        for stale in (REBUILT, "verify.json"):
            store.discard(out / stale)
        work = self.settings.cache / "verify" / f".{plan.name}"
        known = store.read_known(out / "image.json", BuiltImage)
        built = known if known and known.digest == record.digest else None
        before = described(out, built)
        how = conditions_here(self.settings, self.chosen, bundle, work, built)
        how = replace(how, varied=(*how.varied, *_platforms(ran_on, plan)))
        self._say(how.varied)
        with built_again(bundle, work, how, self.settings, self.reporter) as made:
            rebuilt = store.read_artifact(made / "image.json", BuiltImage, made_by="nox -s verify")
            after = described(made, rebuilt)
            with self.reporter.step("compare"):
                found = compare(
                    record,
                    open_layout(made / "image"),
                    work / "compare",
                    same_versions=before.engine == after.engine,
                )
            verification = verified(plan, before, after, how.varied, found)
            if found.verdict is Verdict.DIFFERS:
                store.replace_dir(made / "image", out / REBUILT)
                said = self._diffoscope(out, record)
                verification = verified(plan, before, after, how.varied, found, said)
        store.write_artifact(out / "verify.json", verification)
        return verification

    def _say(self, varied: tuple[Varied, ...]) -> None:
        rows = tuple(
            (one.name, one.before, f"not varied: {one.why_not}" if one.why_not else one.after)
            for one in varied
        )
        self.reporter.summary("conditions", ("varied", "here", "in the second build"), rows)

    def _diffoscope(self, out: Path, record: Layout) -> tuple[str, ...]:
        """Let diffoscope say it in its own words, where it is installed; it may fail, the verdict stands without it."""
        if not shutil.which("diffoscope", path=self.settings.path):
            return ()
        other = open_layout(out / REBUILT)
        said = []
        for number, (one, its) in enumerate(zip(record.layers, other.layers, strict=False), start=1):
            if one.diff_id == its.diff_id:
                continue
            file = f"{REBUILT}/diffoscope-layer-{number}.txt"
            blobs = (str(_blob(layout.path, layer.digest)) for layout, layer in ((record, one), (other, its)))
            argv = (
                "diffoscope",
                "--no-progress",
                "--max-report-size",
                "4000000",
                "--text",
                str(out / file),
                *blobs,
            )
            try:
                with self.reporter.step(f"diffoscope, layer {number}"):
                    process.run(argv, env={"PATH": self.settings.path}, check=False, timeout_s=_DIFFOSCOPE_S)
            except IngotError as error:
                self.reporter.warning(f"diffoscope on layer {number}: {error.message}")
            if (out / file).is_file():
                said.append(file)
        return tuple(said)


def ran_on(plan: ImagePlan, built: BuiltImage) -> str:
    """Return the platform that an image's compilers ran on; the plan beside it may be of a later day."""
    return built.engine.get(BUILD_PLATFORM) or _compiled_on(plan)


def elsewhere(
    plan: ImagePlan,
    built: BuiltImage,
    platform: Platform,
    toolchain: Callable[[Platform, Recipe], PinnedImage | None],
) -> ImagePlan:
    """Plan the same image for compilers that run on another platform: their toolchain is another image, of the same lock.

    Raises:
        BadRequest: they ran there already.
    """
    if plan.pin.toolchain is None:
        return plan  # what gathers its bundle says why it has none
    if ran_on(plan, built) == platform:
        message = f"{plan.name}: its compilers ran on {platform}: that is no other platform"
        raise BadRequest(message, hint="leave --build-platform out, or name the other one")
    return replace(plan, pin=replace(plan.pin, toolchain=toolchain(platform, plan.recipe)))


def _compiled_on(plan: ImagePlan) -> str:
    return plan.pin.toolchain.platform if plan.pin.toolchain else ""


def _platforms(before: str, again: ImagePlan) -> tuple[Varied, ...]:
    after = _compiled_on(again)
    return (Varied(name=_PLATFORM, before=before, after=after),) if after != before else ()


def _blob(layout: Path, digest: Digest) -> Path:
    return layout / "blobs" / "sha256" / digest.hex


def verified(
    plan: ImagePlan,
    before: Rebuilt,
    after: Rebuilt,
    varied: tuple[Varied, ...],
    found: Comparison,
    diffoscope: tuple[str, ...] = (),
) -> Verification:
    return Verification(
        recipe=plan.recipe.name,
        variant=plan.variant,
        fingerprint=plan.fingerprint,
        verdict=found.verdict,
        before=before,
        after=after,
        varied=varied,
        differences=found.differences,
        unlisted=found.unlisted,
        diffoscope=diffoscope,
        at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    )


def tell(found: Verification, out: Path, reporter: Reporter) -> None:
    """Say the verdict.

    Raises:
        WorkFailed: the image differs; with what was found.
    """
    name = out.name
    if found.before.engine != found.after.engine:
        reporter.note(f"built by {_versions(found.before)}, then by {_versions(found.after)}")
    if found.before.jobs and found.after.jobs:
        reporter.note(f"compiled with {found.before.jobs}, then with {found.after.jobs}")
    if found.verdict is not Verdict.DIFFERS:
        reporter.note(f"{name}: {found.verdict}: {found.before.digest}, in {found.after.seconds:.0f} s")
        return
    for one in found.differences[:_TOLD]:
        reporter.output(f"  {one}")
    left = len(found.differences) - _TOLD + found.unlisted
    if left > 0:
        reporter.output(f"  and {left} more: {out / 'verify.json'}")
    message = (
        f"{name}: differs: {found.before.digest}, built again {found.after.digest}: {found.differences[0]}"
    )
    hint = f"the other image is {out / REBUILT}; leave out one condition after the other with --without"
    if any(one.name == _PLATFORM for one in found.varied):
        hint = f"the other image is {out / REBUILT}; what compilers of two platforms decide differently: docs/arm64.md"
    error = WorkFailed(message, hint=hint)
    error.answer = found
    raise error


def _versions(built: Rebuilt) -> str:
    return ", ".join(f"{name} {version}" for name, version in sorted(built.engine.items())) or "not known"
