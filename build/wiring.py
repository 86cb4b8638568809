"""The doors of one run, opened when they are first needed, and what of the stations is made from doors alone."""

from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from build.doors import store
from build.doors.effects import EngineHandle, Reporter
from build.doors.git import GitMirrors
from build.doors.platforms import Platform
from build.errors import BadRequest, WorkFailed
from build.host.platforms import build_platform, emulation, refuse_emulation, this_machine
from build.pin.custody import Custody, Shelf
from build.pin.images import ImageStore
from build.pin.locks import read_cuda_lock, read_debian_lock
from build.pin.model import PinnedImage
from build.pin.packages import Packages
from build.pin.resolve import Resolver
from build.pin.sample import SAMPLES_URL
from build.pin.source import Sources
from build.recipe.model import Recipe
from build.recipe.naming import CUSTODY_REPOSITORY
from build.recipe.refs import ImageRef
from build.settings import Namespace, Settings

if TYPE_CHECKING:
    from build.doors.buildx import Buildx
    from build.doors.engine import DockerEngine
    from build.doors.pullrequests import PullRequests
    from build.doors.referrers import ReferrersRegistry
    from build.image.compilecache import CompileCache
    from build.image.layercache import LayerCache

__all__ = ["Busy", "Wiring"]


class Busy(WorkFailed):
    """Another run works on the image."""


@dataclass(kw_only=True)
class Wiring:
    """One machine's doors. A run that finds nothing to do opens none of them."""

    settings: Settings
    reporter: Reporter

    def alone(self, out: Path, *, wait: bool = True) -> AbstractContextManager[None]:
        """Hold an image's folder: runs that work on one image wait for each other.

        Raises:
            Busy: without `wait`, another run holds it.
        """

        def held() -> None:
            if not wait:
                message = f"{out.name}: another run works on it"
                raise Busy(message)
            self.reporter.note(f"{out.name}: waiting for another run that works on it")

        return store.locked(out / ".lock", waits=held)

    @cached_property
    def engine(self) -> EngineHandle:
        from build.host.engine import ensure_engine

        return ensure_engine(self.settings, self.reporter)

    @cached_property
    def compile_platform(self) -> Platform:
        """What compile stages run on, once the engine has shown that they are not emulated there, or may be.

        Raises:
            Emulated: they would be, and nobody asked for that.
        """
        wanted = build_platform(self.settings)
        self.refuse_emulated(wanted)
        return wanted

    def refuse_emulated(self, wanted: Platform, *, mend: str = "") -> None:
        """Raise Emulated where compile stages for a platform would be emulated, and nobody asked for that."""
        builder = self.buildx.inspect()
        if not builder.natives:
            with self.reporter.step(f"start the builder {builder.name}"):
                builder = self.buildx.inspect(boot=True)
        found = emulation(
            wanted,
            this_machine(),
            engine=self.containers.info(),
            builder=builder,
            docker_host=self.engine.docker_host,
        )
        if warning := refuse_emulation(found, allowed=self.settings.emulate, mend=mend):
            self.reporter.warning(warning)

    def toolchain_on(self, platform: Platform, recipe: Recipe) -> PinnedImage | None:
        """Return a recipe's toolchain for compilers that run on this platform, whatever the settings say.

        Raises:
            Emulated: they would be, and nobody asked for that.
        """
        self.refuse_emulated(platform, mend="leave --build-platform out")
        there = replace(self.images, platform=platform, before_compilers=lambda: None)
        return replace(self.resolver, images=there).toolchain(recipe)

    @cached_property
    def buildx(self) -> "Buildx":
        from build.doors.buildx import Buildx

        return Buildx(self.engine)

    @cached_property
    def containers(self) -> "DockerEngine":
        from build.doors.engine import DockerEngine

        return DockerEngine(self.engine)

    @cached_property
    def registry(self) -> "ReferrersRegistry":
        from build.doors.referrers import ReferrersRegistry

        return ReferrersRegistry(docker_config=self.settings.docker_config)

    @cached_property
    def pull_requests(self) -> "PullRequests":
        from build.doors.pullrequests import GitHubPullRequests

        return GitHubPullRequests(self.settings.pull_requests)

    @cached_property
    def images(self) -> ImageStore:
        return ImageStore(
            cache=self.settings.cache,
            templates=self.templates,
            builder=lambda: self.buildx,
            reporter=self.reporter,
            registry_has=self._registry_has,
            custody=self.custody,
            snapshot=self.settings.apt_snapshot,
            platform=build_platform(self.settings),
            before_compilers=lambda: self.compile_platform,
        )

    @property
    def layer_cache(self) -> "LayerCache | None":
        """Where layers are shared, if the user said so; a new one for each build."""
        from build.image.layercache import LayerCache

        place = self.settings.layer_cache
        if place is None:
            return None
        return LayerCache(place=place, write=self.settings.layer_cache_write, reporter=self.reporter)

    def compile_cache(self, cuda: str) -> "CompileCache":
        """Return the compile cache of a CUDA version's toolchain; neither that nor an engine is asked for yet."""
        from build.image.compilecache import CompileCache

        lock, debian = read_cuda_lock(self.toolchains, cuda), read_debian_lock(self.toolchains)

        def toolchain() -> tuple[PinnedImage, Path]:
            image = self.images.toolchain(lock, debian, mode=self.settings.base)
            return image, self.images.layout(self.images.toolchain_name(cuda, image), image)

        return CompileCache(
            cuda=cuda,
            lock=self.images.toolchain_lock(lock, debian),
            toolchain=toolchain,
            builder=lambda: self.buildx,
            reporter=self.reporter,
            folder=self.settings.cache / "ccache",
            templates=self.templates,
        )

    @cached_property
    def custody(self) -> Custody | None:
        """The user's copies, where they said that there are some."""
        place = self.settings.custody
        if place is None:
            return None
        return Custody(
            shelf=self.shelf(place),
            first=self.settings.custody_first,
            cache=self.settings.cache / "custody",
            reporter=self.reporter,
        )

    def shelf(self, place: Namespace | Path) -> Shelf:
        from build.doors.download import ReadingRegistry
        from build.doors.shelf import LayoutShelf, RegistryShelf

        if isinstance(place, Path):
            return LayoutShelf(root=place)
        registry = ReadingRegistry(docker_config=self.settings.docker_config)
        repository = ImageRef(registry=place.host, repository=f"{place.path}/{CUSTODY_REPOSITORY}")
        return RegistryShelf(registry=registry, repository=repository)

    @cached_property
    def resolver(self) -> Resolver:
        root, cache = self.settings.root, self.settings.cache
        mirrors = tuple((mirror.prefix, mirror.replacement) for mirror in self.settings.git_mirrors)
        sources = Sources(
            mirrors=GitMirrors(
                root=cache / "git", replacements=(*mirrors, (SAMPLES_URL, f"{cache}/samples/"))
            ),
            cache=cache,
            patches=root / "patches",
            samples=root / "samples",
            reporter=self.reporter,
            custody=self.custody,
        )
        packages = Packages(
            recipes=root / "recipes",
            samples=root / "samples",
            cache=cache,
            reporter=self.reporter,
            custody=self.custody,
        )
        return Resolver(
            sources=sources,
            packages=packages,
            images=self.images,
            toolchains=self.toolchains,
            patches=root / "patches",
            base_mode=self.settings.base,
        )

    def namespace(self, lacking: str) -> Namespace:
        """Return where images are published; `lacking` says what cannot be done without it."""
        if self.settings.registry is None:
            message = f"INGOT_REGISTRY is not set: {lacking}"
            raise BadRequest(message, hint="INGOT_REGISTRY=registry.example.org/namespace")
        return self.settings.registry

    def driver_stub(self, wanted: str, toolchain: PinnedImage | None) -> Path:
        """Return the stub libcuda.so.1 for a smoke test: the toolchain's own, or one of a CUDA version that is locked.

        It is generated from cuda.h and belongs to the test, not to the image: an image of wheels has no toolchain.
        """
        if toolchain:
            return self.images.driver_stub(wanted, toolchain)
        locked = sorted(path.stem.removeprefix("cuda-") for path in self.toolchains.glob("cuda-*.txt"))
        cuda = read_cuda_lock(self.toolchains, wanted if wanted in locked else locked[0])
        made = self.images.toolchain(cuda, read_debian_lock(self.toolchains), mode=self.settings.base)
        return self.images.driver_stub(cuda.version, made)

    @property
    def templates(self) -> Path:
        return self.settings.root / "dockerfiles"

    @property
    def toolchains(self) -> Path:
        return self.settings.root / "recipes" / "toolchains"

    def _registry_has(self, reference: str) -> bool:
        return self.registry.exists(reference)

    def digest(self, reference: str) -> str | None:
        from build.doors.registry import parse_reference

        manifest = self.registry.manifest(parse_reference(reference))
        return str(manifest.digest) if manifest else None
