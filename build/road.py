"""The road from a recipe to a pushed image, one station after the other, each leaving its artifact below out/.

Wires the stations to the doors and decides what need not be done again. No rule of a station lives here.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from build.doors import store
from build.doors.buildx import Buildx
from build.doors.effects import EngineHandle, Reporter
from build.doors.engine import DockerEngine
from build.doors.git import GitMirrors
from build.doors.registry import HttpRegistry
from build.errors import BadRequest, IngotError
from build.host.engine import ensure_engine
from build.image.build import build_image, write_rendered
from build.image.layout import open_layout
from build.image.model import BuiltImage
from build.pin.images import ImageStore
from build.pin.model import Pin
from build.pin.resolve import Resolver
from build.pin.sample import SAMPLES_URL
from build.pin.source import Sources
from build.plan.model import ImagePlan, directory_name
from build.plan.plan import Places, make_plan
from build.publish.model import PushReceipt
from build.publish.push import push
from build.recipe.effective import effective
from build.recipe.model import Recipe
from build.settings import Settings
from build.smoke.model import SmokeReport, VerifiedImage
from build.smoke.run import SmokeRun, expectations_of

__all__ = ["Road"]


@dataclass(slots=False)
class Road:
    """One run of the pipeline on one machine."""

    settings: Settings
    reporter: Reporter
    force: bool = False

    # --- doors, opened when they are needed --------------------------------------------------------------------------

    @cached_property
    def engine(self) -> EngineHandle:
        """An engine that runs and exports OCI."""
        return ensure_engine(self.settings, self.reporter)

    @cached_property
    def buildx(self) -> Buildx:
        """BuildKit on that engine."""
        return Buildx(self.engine)

    @cached_property
    def registry(self) -> HttpRegistry:
        """Registries, with the user's own credentials."""
        return HttpRegistry(docker_config=self.settings.docker_config)

    @cached_property
    def images(self) -> ImageStore:
        """Toolchains and bases below the cache."""
        return ImageStore(
            cache=self.settings.cache, templates=self.templates, builder=lambda: self.buildx, reporter=self.reporter,
            registry_has=lambda reference: self.registry.exists(reference),
        )

    @property
    def templates(self) -> Path:
        return self.settings.root / "dockerfiles"

    @cached_property
    def resolver(self) -> Resolver:
        """Pins recipes."""
        root = self.settings.root
        mirrors = GitMirrors(
            root=self.settings.cache / "git",
            replacements=(
                *((mirror.prefix, mirror.replacement) for mirror in self.settings.git_mirrors),
                (SAMPLES_URL, f"{self.settings.cache}/samples/"),
            ),
        )
        sources = Sources(mirrors=mirrors, cache=self.settings.cache, patches=root / "patches", samples=root / "samples",
                          reporter=self.reporter)
        return Resolver(sources=sources, images=self.images, toolchains=root / "recipes" / "toolchains",
                        patches=root / "patches", base_mode=self.settings.base)

    def out(self, recipe: Recipe, variant: str) -> Path:
        """Return the folder of an image's artifacts."""
        return self.settings.out / directory_name(recipe.name, variant)

    # --- stations ----------------------------------------------------------------------------------------------------

    def resolve(self, recipe: Recipe, variant: str) -> Pin:
        """Prove the pin and write pin.json."""
        path = self.out(recipe, variant) / "pin.json"
        known = store.read_known(path, Pin)
        pin = self.resolver.resolve(effective(recipe, variant), known=known)
        if pin != known:
            store.write_artifact(path, pin)
        return pin

    def plan(self, recipe: Recipe, variant: str) -> ImagePlan:
        """Resolve, plan, write plan.json and what was rendered."""
        pin = self.resolve(recipe, variant)
        out = self.out(recipe, variant)
        places = Places(
            root=self.settings.root, out=out, source=self.resolver.sources.folder(pin.source),
            toolchain=self.images.layout(f"toolchain-{recipe.toolchain.cuda}", pin.toolchain),
            base=self.images.layout("base", pin.base),
        )
        plan = make_plan(effective(recipe, variant), variant, pin, templates=self.templates, places=places)
        if store.read_known(out / "plan.json", ImagePlan) != plan or not (out / "docker-bake.json").exists():
            write_rendered(plan, out)
            store.write_artifact(out / "plan.json", plan)
        return plan

    def image(self, recipe: Recipe, variant: str) -> BuiltImage:
        """Make sure that the image is built and has passed smoke. Does nothing where that is so already."""
        plan = self.plan(recipe, variant)
        out = self.out(recipe, variant)
        built = None if self.force else self.built(plan, out)
        if built and self.passed(plan, built, out):
            self.reporter.note(f"{plan.name}: nothing to do, {plan.tag} is built and has passed smoke")
            return built
        if built is None:
            built = build_image(plan, out, root=self.settings.root, builder=self.buildx, reporter=self.reporter)
        self.smoke(plan, built, out)
        return built

    def built(self, plan: ImagePlan, out: Path) -> BuiltImage | None:
        """Return the image that is there, if it is this plan's and whole."""
        built = store.read_known(out / "image.json", BuiltImage)
        if built is None or built.fingerprint != plan.fingerprint:
            return None
        try:
            layout = open_layout(out / "image")
        except IngotError:
            return None
        sizes = all(_blob(out, layer.digest).stat().st_size == layer.size for layer in built.layers
                    if _blob(out, layer.digest).exists())
        whole = all(_blob(out, layer.digest).exists() for layer in built.layers)
        return built if layout.digest == built.digest and whole and sizes else None

    def passed(self, plan: ImagePlan, built: BuiltImage, out: Path) -> bool:
        """Say whether this image has passed smoke against these expectations."""
        report = store.read_known(out / "smoke.json", SmokeReport)
        return report is not None and report.covers(built.digest, expectations_of(plan))

    def smoke(self, plan: ImagePlan, built: BuiltImage, out: Path) -> VerifiedImage:
        """Smoke-test a built image and write smoke.json. Raises SmokeFailed with every failed check."""
        stub = self.images.driver_stub(plan.recipe.toolchain.cuda, plan.pin.toolchain)
        (out / "smoke.json").unlink(missing_ok=True)
        with DockerEngine(self.engine) as engine:
            run = SmokeRun(plan=plan, built=built, layout=out / "image", driver_stub=stub, engine=engine,
                           reporter=self.reporter, work=self.settings.cache / "smoke")
            report = run.report()
        store.write_artifact(out / "smoke.json", report)
        return VerifiedImage(built=built, report=report)

    def push(self, name: str) -> PushReceipt:
        """Push the smoke-tested image whose artifacts are in out/<name> and write push.json."""
        if self.settings.registry is None:
            message = "INGOT_REGISTRY is not set: nowhere to push to"
            raise BadRequest(message, hint="INGOT_REGISTRY=registry.example.org/namespace")
        out = self.settings.out / name
        made_by = f"nox -s build -- {name}"
        plan = store.read_artifact(out / "plan.json", ImagePlan, made_by=made_by)
        built = store.read_artifact(out / "image.json", BuiltImage, made_by=made_by)
        report = store.read_artifact(out / "smoke.json", SmokeReport, made_by=f"nox -s smoke -- {name}")
        verified = VerifiedImage(built=built, report=report)
        receipt = push(verified, plan, out / "image", self.settings.registry, self.registry, self.reporter)
        store.write_artifact(out / "push.json", receipt)
        return receipt


def _blob(out: Path, digest: str) -> Path:
    return out / "image" / "blobs" / "sha256" / digest.removeprefix("sha256:")
