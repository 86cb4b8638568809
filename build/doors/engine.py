"""The door to a container engine, through the docker SDK: load images, run containers within limits, clean up.

Must not build (docker's own API has no BuildKit) and must not decide what a check means.
"""

from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Literal, Self

import docker
import requests
from docker.errors import APIError, DockerException, ImageNotFound

from build.doors.container import Running, options, refuse_volumes, remove, watched
from build.doors.effects import ContainerSpec, EngineHandle, EngineInfo, LoadedImage, RunResult
from build.doors.gpuaccess import access_of
from build.doors.layouttar import layout_digests, layout_stream
from build.errors import IngotError, Unreachable, WorkFailed

__all__ = ["DockerEngine"]

_CALL_S = 120.0
_LOAD_S = 3600.0
_SNAPSHOTTER = "io.containerd.snapshotter"


class DockerEngine:
    """An engine's images and containers."""

    def __init__(self, handle: EngineHandle) -> None:
        self._handle = handle
        self._connected: docker.DockerClient | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the connection back."""
        if self._connected:
            self._connected.close()
            self._connected = None

    @property
    def _client(self) -> docker.DockerClient:
        if not self._connected:
            self._connected = self._connect(_CALL_S)
        return self._connected

    def _connect(self, timeout_s: float) -> docker.DockerClient:
        host = self._handle.docker_host
        if host.startswith("unix://") and not Path(host.removeprefix("unix://")).exists():
            msg = "there is no such socket"
            raise self._silent(msg)
        environment = {**dict(self._handle.environment), "DOCKER_HOST": self._handle.docker_host}
        return docker.DockerClient.from_env(
            timeout=int(timeout_s),
            environment={key: value for key, value in environment.items() if value},
            use_ssh_client=self._handle.docker_host.startswith("ssh://"),
        )

    def info(self) -> EngineInfo:
        """Ask the engine what it is."""
        with self._asking("the engine's description"):
            said: dict[str, Any] = self._client.info()
        status = {str(key): str(value) for key, value in said.get("DriverStatus") or ()}
        return EngineInfo(
            version=said.get("ServerVersion", ""),
            architecture=said.get("Architecture", ""),
            containerd_store=status.get("driver-type", "").startswith(_SNAPSHOTTER),
            cpus=said.get("NCPU", 0),
            memory=said.get("MemTotal", 0),
            gpu_access=access_of(said, local=self._handle.docker_host.startswith("unix://")),
        )

    def load(self, layout: Path, ref: str) -> LoadedImage:
        """Load an OCI layout under the name `ref` and prove that the engine holds the same image.

        Raises:
            WorkFailed: the layout holds no single image, or the engine's image is another one.
        """
        manifest_digest, config_digest = layout_digests(layout)
        with self._asking(f"loading {ref}"):
            client = self._connect(_LOAD_S)
            try:
                for _ in client.api.load_image(layout_stream(layout, ref)):  # type: ignore[no-untyped-call]
                    pass
            finally:
                client.close()
            image_id = self._client.images.get(ref).id or ""
        known: tuple[tuple[str, Literal["manifest", "config"]], ...] = (
            (manifest_digest, "manifest"),
            (config_digest, "config"),
        )
        for digest, identity in known:
            if image_id == digest:
                return LoadedImage(ref=ref, image_id=image_id, identity=identity)
        message = f"the engine loaded {image_id} for {ref}; the layout {layout} holds {manifest_digest}"
        raise WorkFailed(message, hint="the layout is damaged: build again")

    def remove_image(self, ref: str) -> None:
        """Remove an image's name, and the image with its last name; one that is not there is no error."""
        with self._asking(f"removing {ref}"), suppress(ImageNotFound):
            self._client.images.remove(ref, force=True)

    def sweep(self, label: str) -> int:
        """Remove containers with a label (`key` or `key=value`); returns how many there were."""
        with self._asking(f"removing containers labelled {label}"):
            containers = self._client.containers.list(all=True, filters={"label": label}, ignore_removed=True)
            for container in containers:
                remove(container)
        return len(containers)

    def run_once(self, spec: ContainerSpec) -> RunResult:
        """Run a container to its end, or until its time is up, and remove it."""
        with self.started(spec) as running:
            return running.wait(spec.timeout_s)

    @contextmanager
    def started(self, spec: ContainerSpec) -> Iterator[Running]:
        """Start a container for the block; it is removed however the block ends."""
        with ExitStack() as at_last:
            with self._asking(f"creating a container of {spec.image}"):
                container = self._client.containers.create(spec.image, list(spec.args), **options(spec))
            try:
                with self._asking(f"starting a container of {spec.image}"):
                    refuse_volumes(container, spec)
                    watch = at_last.enter_context(watched(container, spec))
                    container.start()
                yield Running(container, watch, self._asking)
            finally:
                with self._asking("removing a container"):
                    remove(container)

    @contextmanager
    def _asking(self, what: str) -> Generator[None]:
        """Turn the SDK's errors into ours."""
        try:
            yield
        except IngotError:
            raise
        except APIError as error:
            message = f"{what}: {error.explanation or error}"
            raise WorkFailed(message) from error
        except (DockerException, requests.exceptions.RequestException) as error:
            msg = f"{what}: {error}"
            raise self._silent(msg) from error

    def _silent(self, said: str) -> Unreachable:
        message = f"the engine at {self._handle.docker_host} does not answer: {said}"
        return Unreachable(message, hint="`nox -s doctor` says which engine is used and what it lacks")
