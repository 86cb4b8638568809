"""What a person does with the private engine and the loopback registry: look, start, stop."""

from dataclasses import dataclass

from build.doors.effects import Reporter
from build.host import private, registry
from build.settings import Settings

__all__ = ["EngineStatus", "manage"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineStatus:
    """What runs now."""

    name: str
    engine: str
    """running, stopped or left over."""
    docker_host: str
    log: str
    registry: str
    """Address of the loopback registry; empty when it does not run."""


def manage(action: str, settings: Settings, reporter: Reporter, *, purge: bool = False) -> EngineStatus:
    """Do `status`, `start` or `stop`, then say what runs. Stopping the engine also stops its registry."""
    if action == "start":
        private.start(settings, reporter)
    elif action == "stop":
        registry.stop(settings, purge=purge)
        private.stop(settings, reporter, purge=purge)
    state, server = private.status(settings), registry.status(settings)
    status = EngineStatus(
        name=state.name,
        engine=state.state,
        docker_host=state.docker_host,
        log=state.log,
        registry=server.address if server else "",
    )
    reporter.note(
        f"private engine {status.name}: {status.engine}"
        + (f", DOCKER_HOST={status.docker_host}" if status.engine == "running" else "")
    )
    reporter.note(f"registry on loopback: {status.registry or 'stopped'}")
    return status
