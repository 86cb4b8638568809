"""Plan to image: writes what was rendered, runs bake, reads the layout that it left. The bytes are BuildKit's alone."""

import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

from build.doors import store
from build.doors.bakefile import BakeTarget, output_attribute
from build.doors.buildx import EXPORTS, BuildFailed, narrated
from build.doors.checkout import CheckoutState
from build.doors.effects import Builder, Reporter
from build.doors.progress import BuildEvent
from build.image.layercache import LayerCache
from build.image.layout import BrokenLayout, Layout, open_layout
from build.image.model import BUILD_PLATFORM, BuildRun, BuiltImage
from build.plan.model import ImagePlan

__all__ = ["Phases", "build_image", "describe", "find_built", "rendered", "write_rendered"]

_CCACHE = re.compile(r"ccache: hits=(\d+) misses=(\d+)")
_OF_THE_IMAGE_BEFORE = (
    "image.json", "smoke.json", "help.json", "push.json", "verify.json", "sbom.cdx.json", "provenance.json",
)  # fmt: skip


@dataclass(slots=True)
class Phases:
    """Gathers from BuildKit's events how long each stage and the export took and how often the compile cache hit."""

    seconds: dict[str, float] = field(default_factory=dict)
    hits: int = 0
    misses: int = 0

    def see(self, event: BuildEvent) -> None:
        """Take one event."""
        phase = event.stage or next((name for start, name in EXPORTS if event.name.startswith(start)), "")
        if event.kind == "done" and phase:
            self.seconds[phase] = round(self.seconds.get(phase, 0.0) + event.seconds, 3)
        if found := _CCACHE.search(event.text):
            self.hits += int(found[1])
            self.misses += int(found[2])


def write_rendered(plan: ImagePlan, out: Path) -> None:
    """Write the plan's rendered files below its folder; what an earlier plan left in the build context goes."""
    store.discard(out / "context")
    for path, text in plan.files:
        store.write_text(out / path, text)


def rendered(plan: ImagePlan, out: Path) -> bool:
    """Say whether the files below `out` are the plan's, to the byte."""
    return all((out / path).is_file() and (out / path).read_text() == text for path, text in plan.files)


def build_image(  # noqa: PLR0913  (what a build is, and what only the caller knows)
    plan: ImagePlan,
    out: Path,
    *,
    root: Path,
    builder: Builder,
    reporter: Reporter,
    engine: Mapping[str, str] = MappingProxyType({}),
    options: tuple[str, ...] = (),
    checkout: CheckoutState | None = None,
    cache: LayerCache | None = None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> BuiltImage:
    """Build a plan's image into `out`/image and return what it is.

    `engine` says further versions for the record, `checkout` what this repository was when the build began.

    A kill at any moment leaves no `image` folder that is not whole: BuildKit writes beside it, then it is put in place.
    Paths in the bake file are relative to `root`; `options` are further ones of bake. Without a `cache` no layer comes from
    anywhere but the builder.

    Raises:
        BuildFailed: with the failing stage and the last lines of its log.
    """
    for stale in out.glob(".image.*.part"):
        store.discard(stale)
    # A name of its own: a BuildKit that outlived a killed run may still be writing to the earlier one.
    part = out / f".image.{os.getpid()}.part"
    for name in _OF_THE_IMAGE_BEFORE:
        (out / name).unlink(missing_ok=True)
    begun, started = time.monotonic(), clock()
    bake = _Bake(
        plan=plan, out=out, part=part, root=root, builder=builder, reporter=reporter, options=options
    )
    try:
        phases = bake.run(cache)
    except BaseException:
        store.discard(part)
        raise
    phases.seconds["total"] = round(time.monotonic() - begun, 3)
    described = describe(plan, open_layout(part), phases, engine={"buildx": builder.version(), **engine})
    built = replace(
        described,
        run=_run(checkout or CheckoutState(), started, clock()),
        layer_cache=cache.reference(plan) if cache and cache.read else "",
    )
    if phases.hits + phases.misses:
        reporter.note(f"{plan.name}: compile cache, {phases.hits} hits, {phases.misses} misses")
    store.replace_dir(part, out / "image")
    store.write_artifact(out / "image.json", built)
    return built


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bake:
    plan: ImagePlan
    out: Path
    part: Path
    root: Path
    builder: Builder
    reporter: Reporter
    options: tuple[str, ...]

    def run(self, cache: LayerCache | None) -> Phases:
        """Bake; where the layer cache turns out not to be whole, once more without reading it."""
        try:
            return self._once(cache)
        except BuildFailed:
            if cache is None or not cache.lost:
                raise
            self.reporter.warning(f"the layer cache is not whole, so all is built here: {cache.lost}")
            store.discard(self.part)
            return self._once(cache)

    def _once(self, cache: LayerCache | None) -> Phases:
        target, phases = self.plan.target, Phases()
        whole = BakeTarget(name=target, context="", output=str(self.part), compression=self.plan.compression)
        compilers = self.plan.pin.toolchain
        # BuildKit would take its own, which is another where one asks for an emulated build.
        runs_on = ("--set", f"{target}.args.BUILDPLATFORM={compilers.platform}") if compilers else ()
        with narrated(self.reporter) as narrate:

            def see(event: BuildEvent) -> None:
                phases.see(event)
                narrate(event)
                if cache:
                    cache.see(event)

            self.builder.bake(
                self.out / "docker-bake.json",
                (target,),
                cwd=self.root,
                log=self.out / "build.log",
                on_event=see,
                options=(
                    "--set",
                    f"{target}.output={output_attribute(whole)}",
                    *runs_on,
                    *(cache.options(self.plan) if cache else ()),
                    *self.options,
                ),
            )
        return phases


def _run(checkout: CheckoutState, started: datetime, finished: datetime) -> BuildRun:
    return BuildRun(
        started=_stamp(started),
        finished=_stamp(finished),
        commit=checkout.commit,
        changed=checkout.changed,
        repository=checkout.repository,
    )


def _stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def find_built(plan: ImagePlan, out: Path) -> BuiltImage | None:
    """Return the image below `out`, if it is this plan's and whole: manifest and configuration by hash, layers by size.

    Compilers of another platform than the plan's make other bytes of a rare kernel: what they made is another image.
    """
    built = store.read_known(out / "image.json", BuiltImage)
    if built is None or built.fingerprint != plan.fingerprint:
        return None
    toolchain = plan.pin.toolchain
    if toolchain and built.engine.get(BUILD_PLATFORM, toolchain.platform) != toolchain.platform:
        return None
    try:
        layout = open_layout(out / "image")
    except BrokenLayout:
        return None
    blobs = out / "image" / "blobs" / "sha256"
    sizes = [(blobs / layer.digest.hex, layer.size) for layer in built.layers]
    whole = all(path.exists() and path.stat().st_size == size for path, size in sizes)
    return built if whole and layout.digest == built.digest else None


def describe(plan: ImagePlan, layout: Layout, phases: Phases, *, engine: dict[str, str]) -> BuiltImage:
    """Put together what image.json says. Pure."""
    ran_on = {BUILD_PLATFORM: plan.pin.toolchain.platform} if plan.pin.toolchain else {}
    return BuiltImage(
        recipe=plan.recipe.name,
        variant=plan.variant,
        fingerprint=plan.fingerprint,
        digest=layout.digest,
        config_digest=layout.config_digest,
        platform=layout.platform,
        size=sum(layer.size for layer in layout.layers),
        layers=layout.layers,
        seconds=phases.seconds,
        compile_cache={"hits": phases.hits, "misses": phases.misses},
        engine={**engine, **ran_on},
    )
