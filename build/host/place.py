"""Where a private engine lives and how it is reached. Pure but for looking which folders exist."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from build.doors.effects import EngineHandle
from build.settings import Settings

__all__ = ["Place", "handle_of", "place_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where one private engine lives."""

    name: str
    packages: Path
    folder: Path
    run: Path
    """Short, because a socket's path is: `/run/ingot-<hash>`."""
    bridge: str

    @property
    def socket(self) -> Path:
        return self.run / "docker.sock"

    @property
    def pidfile(self) -> Path:
        return self.run / "docker.pid"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def log(self) -> Path:
        return self.folder / "dockerd.log"

    @property
    def docker_config(self) -> Path:
        return self.folder / "docker"

    @property
    def programs(self) -> tuple[Path, ...]:
        return (self.packages / "usr" / "sbin", self.packages / "usr" / "bin")


def place_of(settings: Settings) -> Place:
    """Work out where the engine that the settings name lives."""
    digest = hashlib.sha256(f"{settings.cache.resolve()}\0{settings.engine_name}".encode()).hexdigest()[:8]
    parents = [
        Path("/run"),
        *(Path(settings.runtime_dir),) * bool(settings.runtime_dir),
        Path(settings.temp_dir),
    ]
    parent = next((folder for folder in parents if (folder / f"ingot-{digest}").is_dir()), None)
    parent = parent or next((folder for folder in parents if os.access(folder, os.W_OK)), parents[0])
    base = settings.cache.resolve() / "engine"
    return Place(
        name=settings.engine_name,
        packages=base / "packages",
        folder=base / settings.engine_name,
        run=parent / f"ingot-{digest}",
        bridge=f"ingot-{digest}",
    )


def handle_of(place: Place, settings: Settings) -> EngineHandle:
    """Say how a child process reaches the engine. Plugins are its own, credentials the user's.

    Builder state is its own too, unless the user names a builder: then it is looked for where the user made it, and the
    engine only runs what was built.
    """
    path = ":".join((*(str(folder) for folder in place.programs), settings.path))
    docker_host = f"unix://{place.socket}"
    return EngineHandle(
        kind="private",
        name=place.name,
        docker_host=docker_host,
        environment=(
            ("DOCKER_HOST", docker_host),
            ("DOCKER_CONFIG", str(place.docker_config)),
            ("DOCKER_TLS_VERIFY", ""),
            ("DOCKER_CERT_PATH", ""),
            (
                "BUILDX_CONFIG",
                str((settings.docker_config if settings.builder else place.docker_config) / "buildx"),
            ),
            ("BUILDX_BUILDER", settings.builder or "default"),
            ("BUILDX_NO_DEFAULT_ATTESTATIONS", "1"),
            ("PATH", path),
        ),
        builder=settings.builder,
    )
