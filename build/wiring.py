"""The doors of one run, opened when they are first needed, and what of the stations is made from doors alone."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from build.doors.effects import EngineHandle, Reporter
from build.doors.git import GitMirrors
from build.pin.images import ImageStore
from build.pin.packages import Packages
from build.pin.resolve import Resolver
from build.pin.sample import SAMPLES_URL
from build.pin.source import Sources
from build.settings import Settings

if TYPE_CHECKING:
    from build.doors.buildx import Buildx
    from build.doors.engine import DockerEngine
    from build.doors.pullrequests import PullRequests
    from build.doors.registry import HttpRegistry

__all__ = ["Wiring"]


@dataclass(kw_only=True)
class Wiring:
    """One machine's doors. A run that finds nothing to do opens none of them."""

    settings: Settings
    reporter: Reporter

    @cached_property
    def engine(self) -> EngineHandle:
        from build.host.engine import ensure_engine

        return ensure_engine(self.settings, self.reporter)

    @cached_property
    def buildx(self) -> "Buildx":
        from build.doors.buildx import Buildx

        return Buildx(self.engine)

    @cached_property
    def containers(self) -> "DockerEngine":
        from build.doors.engine import DockerEngine

        return DockerEngine(self.engine)

    @cached_property
    def registry(self) -> "HttpRegistry":
        from build.doors.registry import HttpRegistry

        return HttpRegistry(docker_config=self.settings.docker_config)

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
        )

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
        )
        packages = Packages(
            recipes=root / "recipes", samples=root / "samples", cache=cache, reporter=self.reporter
        )
        return Resolver(
            sources=sources,
            packages=packages,
            images=self.images,
            toolchains=self.toolchains,
            patches=root / "patches",
            base_mode=self.settings.base,
        )

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
