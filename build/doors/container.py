"""One container of the engine's: how it is confined, watched, waited for and removed. The engine's door opens it."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, cast

import requests
from docker.errors import APIError, DockerException, NotFound
from docker.models.containers import Container
from docker.types import DeviceRequest, LogConfig, Ulimit
from docker.types import Mount as BindMount

from build.doors.effects import ContainerSpec, RunResult, Usage
from build.doors.gpuaccess import request_for
from build.doors.watch import Sample, Watch, sample_of
from build.errors import WorkFailed

__all__ = ["Running", "options", "refuse_volumes", "remove", "watched"]

_CALL_S = 120.0
_KILLED = 137
_DRAIN_S = 15.0
_REMOVE_S = 30.0
_AGAIN_S = 0.2
_BUSY = (409, 500)


class Running:
    """A started container."""

    def __init__(self, container: Container, watch: Watch, asking: Callable[[str], Any]) -> None:
        self._container = container
        self._watch = watch
        self._asking = asking
        self._began = time.monotonic()

    @property
    def id(self) -> str:
        return str(self._container.id)

    def logs(self) -> str:
        return self._watch.text(stdout=True, stderr=True)

    def signal(self, name: str) -> None:
        self._watch.look()  # the last moment at which there is something to count
        with self._asking(f"sending {name}"):
            self._container.kill(signal=name)

    def wait(self, timeout_s: float) -> RunResult:
        with self._asking("waiting for a container"):
            timed_out = not self._ended_within(timeout_s)
            if timed_out:
                _kill(self._container)
            # The watch kills on its own; its reason is the reason.
            timed_out = timed_out or self._watch.expired
            seconds = time.monotonic() - self._began
            self._container.wait(timeout=_CALL_S)
            if not self._watch.drained(_DRAIN_S):
                message = f"what a container printed did not come within {_DRAIN_S:g} s"
                raise DockerException(message)
            if self._watch.broken:
                message = f"what a container printed broke off: {self._watch.broken}"
                raise DockerException(message)
            state = self._state()
            return RunResult(
                exit_code=_KILLED if timed_out else int(state["ExitCode"]),
                stdout=self._watch.text(stdout=True, stderr=False),
                stderr=self._watch.text(stdout=False, stderr=True),
                timed_out=timed_out and not self._watch.flooded,
                oom_killed=bool(state["OOMKilled"]),
                seconds=seconds,
                flooded=self._watch.flooded,
            )

    def usage(self) -> Usage:
        self._watch.look()
        with self._asking("asking what a container used"):
            state = self._state()
        return Usage(
            memory=self._watch.memory,
            measured=self._watch.measured,
            processes=self._watch.processes,
            printed=self._watch.printed,
            flooded=self._watch.flooded,
            oom_killed=bool(state["OOMKilled"]),
        )

    def _state(self) -> dict[str, Any]:
        self._container.reload()
        state: dict[str, Any] = self._container.attrs["State"]
        return state

    def _ended_within(self, timeout_s: float) -> bool:
        try:
            self._container.wait(timeout=timeout_s)
        except requests.exceptions.ReadTimeout:
            return False
        except requests.exceptions.ConnectionError as error:
            # urllib3 reports a read timeout of a stream as a broken connection.
            if "Read timed out" in str(error):
                return False
            raise
        return True


@contextmanager
def watched(container: Container, spec: ContainerSpec) -> Iterator[Watch]:
    """Attach to a container that is about to start. Leave when it is gone: its stream has ended then."""
    stream: Any = container.client.api.attach(str(container.id), stream=True, demux=True)  # type: ignore[union-attr]
    watch = Watch(
        frames=stream,
        limit=spec.log_bytes,
        life_s=spec.timeout_s,
        kill=lambda: _kill(container),
        sample=lambda: _sample(container),
    )
    watch.begin()
    try:
        yield watch
    finally:
        with suppress(OSError, DockerException):  # a socket that was closed from the other end
            if not watch.end(_DRAIN_S):
                stream.close()
        # Closing the stream alone would leave its file open.
        stream._response.close()  # noqa: SLF001


def _kill(container: Container) -> None:
    """Kill a container that may have ended by itself, or be gone. Who waits for it hears of an engine that is lost."""
    with suppress(DockerException, requests.exceptions.RequestException):
        container.kill()


def _sample(container: Container) -> Sample | None:
    """Ask what a container uses now; None once it has ended, or where the engine does not tell."""
    try:
        said = cast("dict[str, Any]", container.stats(stream=False, one_shot=True))
    except (DockerException, requests.exceptions.RequestException):
        return None
    return sample_of(said)


def refuse_volumes(container: Container, spec: ContainerSpec) -> None:
    """Refuse an image that has the engine make it a folder on disk, writable and without a limit."""
    volumes = [str(m.get("Destination")) for m in container.attrs["Mounts"] if m.get("Type") == "volume"]
    if volumes:
        message = (
            f"{spec.image} declares volumes ({', '.join(sorted(volumes))}): a container could fill the disk"
        )
        raise WorkFailed(message, hint="take VOLUME out of the Dockerfile")


def remove(container: Container) -> None:
    """Remove a container, alive or not; wait for a removal that is already on its way."""
    until = time.monotonic() + _REMOVE_S
    while True:
        try:
            container.remove(force=True, v=True)
        except NotFound:
            return
        except APIError as error:
            # 409: a killed pipeline's own request is still at work; 500: a process took long to die.
            if error.status_code not in _BUSY or time.monotonic() > until:
                raise
            time.sleep(_AGAIN_S)
        else:
            return


def options(spec: ContainerSpec) -> dict[str, Any]:
    """Translate a spec into the SDK's words."""
    devices = request_for(spec.gpus)
    return {
        "entrypoint": None if spec.entrypoint is None else list(spec.entrypoint),
        "environment": dict(spec.env),
        "user": spec.user or None,
        "network_mode": spec.network,
        "read_only": True,
        "mounts": [
            BindMount(m.target, str(m.source.absolute()), type="bind", read_only=True) for m in spec.mounts
        ],
        "tmpfs": dict(spec.tmpfs),
        "shm_size": spec.shm,
        "mem_limit": spec.memory,
        "memswap_limit": spec.memory,
        "pids_limit": spec.pids,
        "ulimits": [
            Ulimit(name="core", soft=0, hard=0),
            Ulimit(name="nofile", soft=spec.files, hard=spec.files),
        ],
        "ipc_mode": "private",
        "cgroupns": "private",
        "cap_drop": ["ALL"],
        # The engine's own seccomp profile stays: nothing here replaces it.
        "security_opt": ["no-new-privileges"],
        # The watch reads what is printed; nothing of it goes to the engine's disk.
        "log_config": LogConfig(type="none"),
        # The image's own health check would run beside the check that asks.
        "healthcheck": {"test": ["NONE"]},
        "labels": dict(spec.labels),
        "device_requests": None if devices is None else [DeviceRequest(**devices)],
        "detach": True,
    }
