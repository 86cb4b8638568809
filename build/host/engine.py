"""Which engine is used: the host's where it can export OCI, else a private one. Decides, says why, and starts it."""

import shutil
from dataclasses import dataclass

from build.doors import process
from build.doors.builders import BuilderInfo
from build.doors.buildx import Buildx
from build.doors.effects import EngineHandle, EngineInfo, Reporter
from build.errors import IngotError, Unavailable
from build.host import private
from build.settings import Settings

__all__ = ["HostEngine", "ensure_engine", "look_at_host"]

_INSTALL = "install Docker Engine with buildx (https://docs.docker.com/engine/install/), or INGOT_ENGINE=private as root"
_MEND_STORE = (
    'put {"features": {"containerd-snapshotter": true}} into /etc/docker/daemon.json and `systemctl restart docker`, '
    "or `docker buildx create --driver docker-container --use`"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class HostEngine:
    """What was found on the host, and what it lacks."""

    handle: EngineHandle
    present: bool
    """An engine answers, whether it fits or not."""
    info: EngineInfo | None = None
    builder: BuilderInfo | None = None
    buildx: str = ""
    lacks: str = ""
    """Empty: it can be used."""
    mend: str = ""


def ensure_engine(settings: Settings, reporter: Reporter) -> EngineHandle:
    """Return an engine that runs and exports OCI, starting a private one if need be.

    Raises:
        Unavailable: there is none and none can be started; the hint mends it.
    """
    if settings.engine == "private":
        return private.start(settings, reporter)
    host = look_at_host(settings)
    if not host.lacks:
        return host.handle
    if settings.engine == "host":
        message = f"the host's engine cannot be used: {host.lacks}"
        raise Unavailable(message, hint=host.mend)
    if settings.builder or (settings.docker_host and not host.present):
        named = settings.builder or settings.docker_host
        message = f"{named} was asked for and cannot be used: {host.lacks}"
        raise Unavailable(message, hint=host.mend)
    reporter.note(f"a private engine is used, because of the host's: {host.lacks}")
    return private.start(settings, reporter)


def look_at_host(settings: Settings) -> HostEngine:
    """Find out what the host's engine is and what it lacks; changes nothing."""
    from build.doors.engine import DockerEngine  # a quarter of a second, which only this needs

    if not shutil.which("docker", path=settings.path):
        return HostEngine(
            handle=_handle(settings, ""), present=False, lacks="there is no docker command", mend=_INSTALL
        )
    handle = _handle(settings, settings.docker_host or _context_host(settings))
    try:
        with DockerEngine(handle) as engine:
            info = engine.info()
    except IngotError as error:
        mend = "start it (`systemctl start docker`), let this user reach it (group docker), or INGOT_ENGINE=private as root"
        return HostEngine(handle=handle, present=False, lacks=error.message, mend=mend)
    try:
        buildx = Buildx(handle)
        version, builder = buildx.version(), buildx.inspect()
    except IngotError as error:
        return HostEngine(handle=handle, present=True, info=info, lacks=error.message, mend=error.hint)
    lacks = "" if builder.can_export_oci else "it has no containerd image store, so it cannot export OCI"
    return HostEngine(
        handle=handle, present=True, info=info, builder=builder, buildx=version, lacks=lacks,
        mend=_MEND_STORE if lacks else "",
    )  # fmt: skip


def _handle(settings: Settings, docker_host: str) -> EngineHandle:
    environment = [("BUILDX_NO_DEFAULT_ATTESTATIONS", "1"), *settings.docker_tls]
    if settings.docker_host:
        environment.append(("DOCKER_HOST", settings.docker_host))
    return EngineHandle(
        kind="host",
        name="host",
        docker_host=docker_host,
        environment=tuple(environment),
        builder=settings.builder,
    )


def _context_host(settings: Settings) -> str:
    """Ask the docker command which engine its current context means: the SDK knows no contexts."""
    argv = ("docker", "context", "inspect", "--format", "{{.Endpoints.docker.Host}}")
    done = process.run(argv, env={"PATH": settings.path}, check=False, timeout_s=30)
    return done.stdout.strip() or "unix:///var/run/docker.sock"
