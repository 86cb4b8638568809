"""Verifies an image of a registry from what the registry holds alone: its bundle is fetched, built again, and compared.

Needs neither the recipe nor its upstream. What is fetched is anybody's word until it is proven; what it says to run is run by
BuildKit, shut in as every build is.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from build.doors import store
from build.doors.effects import Reporter
from build.doors.jsonvalues import MalformedError
from build.doors.registry import parse_reference
from build.errors import BadRequest, NothingSelected, WorkFailed
from build.image.config import ImageConfig
from build.image.layout import open_layout
from build.image.model import BuiltImage
from build.plan.model import ImagePlan
from build.plan.plan import decided
from build.publish.bundle import PLAN
from build.publish.depot import CustodyRegistry, fetch
from build.publish.published import contents_of
from build.publish.pulled import pull, read_config
from build.recipe.refs import ImageRef
from build.settings import Settings
from build.verify.again import built_again, conditions_here, described
from build.verify.compare import compare
from build.verify.model import Comparison, Rebuilt, Verdict, Verification
from build.verify.run import REBUILT, tell, verified

__all__ = ["PublishedVerifier"]

_FINGERPRINT: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedVerifier:
    """Verifies on one machine, which may have nothing of the image."""

    settings: Settings
    reporter: Reporter
    registry: CustodyRegistry
    chosen: frozenset[str]
    """Names of the variations."""

    def verify(self, reference: str) -> Verification:
        """Build the image that a reference with a digest names again, and compare. Its layers are pulled only if the two differ.

        Raises:
            BadRequest: the reference is a tag; the message says what it means now.
            NothingSelected: the image is not there, or has no bundle.
            WorkFailed: the bundle is another image's or was changed, or the image differs.
            Unavailable: the registry, or an engine, cannot be reached.
        """
        ref = self._named(reference)
        before, config = self._record(ref)
        fingerprint = _fingerprint(ref, dict(config.labels))
        bundle = fetch(ref, fingerprint, self.settings.cache, self.registry, self.reporter)
        plan = _planned(bundle, fingerprint)
        name = f"{ref.repository.rpartition('/')[2]}@{before.digest.hex[:12]}"
        out = self.settings.cache / "verify" / name
        lock = out.with_name(f".{name}.lock")
        with store.locked(
            lock, waits=lambda: self.reporter.note(f"{name}: waiting for another verify of it")
        ):
            found = self._compared(ref, plan, bundle, before, out)
        tell(found, out, self.reporter)
        return found

    def _named(self, reference: str) -> ImageRef:
        ref = parse_reference(reference)
        if ref.digest:
            return replace(ref, tag="")
        there = self.registry.manifest(ref)
        if there is None:
            raise _absent(ref)
        message = f"{ref} is a tag, and tags move: now it means {there.digest}"
        raise BadRequest(message, hint=f"--image {replace(ref, tag='', digest=there.digest)}")

    def _record(self, ref: ImageRef) -> tuple[Rebuilt, ImageConfig]:
        """Read what the image is, without its layers."""
        manifest = self.registry.manifest(ref)
        if manifest is None:
            raise _absent(ref)
        try:
            contents = contents_of(manifest)
            config = read_config(ref, contents.config, self.registry)
        except MalformedError as error:
            message = f"{ref} cannot be read: {error}"
            raise WorkFailed(message, hint="name the digest of one image, as push.json has it") from error
        record = Rebuilt(
            digest=manifest.digest,
            config_digest=contents.config,
            diff_ids=config.diff_ids,
            engine={},
            seconds=0.0,
            jobs="",
        )
        return record, config

    def _compared(
        self, ref: ImageRef, plan: ImagePlan, bundle: Path, before: Rebuilt, out: Path
    ) -> Verification:
        for stale in (REBUILT, "verify.json"):
            store.discard(out / stale)
        work = out.with_name(f".{out.name}.work")
        how = conditions_here(self.settings, self.chosen, bundle, work, None)
        with built_again(bundle, work, how, self.settings, self.reporter) as made:
            rebuilt = store.read_artifact(made / "image.json", BuiltImage, made_by="nox -s verify")
            found = Comparison(verdict=Verdict.IDENTICAL)
            if rebuilt.digest != before.digest:
                record = pull(ref, self.settings.cache / "pulled", self.registry, self.reporter).layout
                with self.reporter.step("compare"):
                    found = compare(
                        record, open_layout(made / "image"), work / "compare", same_versions=False
                    )
            verification = verified(plan, before, described(made, rebuilt), how.varied, found)
            if found.verdict is Verdict.DIFFERS:
                out.mkdir(parents=True, exist_ok=True)
                store.replace_dir(made / "image", out / REBUILT)
        store.write_artifact(out / "verify.json", verification)
        return verification


def _absent(ref: ImageRef) -> NothingSelected:
    return NothingSelected(f"{ref} is not in the registry", hint="`nox -s history -- RECIPE` shows what is")


def _fingerprint(ref: ImageRef, labels: Mapping[str, str]) -> str:
    found = labels.get("ingot.fingerprint", "")
    if not _FINGERPRINT.fullmatch(found):
        message = f"{ref} has no label ingot.fingerprint that is one: it is no image of Ingot"
        raise BadRequest(
            message, hint="only what was pushed with --custody can be built again from the registry"
        )
    return found


def _planned(bundle: Path, fingerprint: str) -> ImagePlan:
    """Refuse a plan that is not the image's, before anything is laid out by it."""
    plan = store.read_artifact(bundle / PLAN, ImagePlan, made_by="nox -s push -- --custody")
    if (found := decided(plan)) != fingerprint:
        message = (
            f"{bundle / PLAN}: its inputs have the fingerprint {found}, the image's label says {fingerprint}"
        )
        raise WorkFailed(
            message, hint="the bundle is another image's, or was changed: push it again with --custody"
        )
    if "Dockerfile" not in dict(plan.files):
        message = f"{bundle / PLAN} has no Dockerfile"
        raise WorkFailed(message, hint="push the image again with --custody")
    return plan
