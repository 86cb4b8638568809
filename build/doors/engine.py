"""The door to a container engine, through the docker SDK: load images, run containers within limits, clean up.

Must not build (docker's own API has no BuildKit) and must not decide what a check means.
"""

import json
import tarfile
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import Any, Literal, Self

import docker
import requests
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from docker.models.containers import Container
from docker.types import DeviceRequest, LogConfig
from docker.types import Mount as BindMount

from build.doors.effects import ContainerSpec, EngineHandle, EngineInfo, GpuAccess, LoadedImage, RunResult
from build.doors.gpuaccess import access_of, request_for
from build.errors import IngotError, Unreachable, WorkFailed

__all__ = ["DockerEngine", "layout_stream"]

_CALL_S = 120.0
_LOAD_S = 3600.0
_CHUNK = 1 << 20
_KILLED = 137
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
        manifest_digest, config_digest = _digests(layout)
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
                _remove(container)
        return len(containers)

    def run_once(self, spec: ContainerSpec) -> RunResult:
        """Run a container to its end, or until its time is up, and remove it."""
        with self.started(spec) as running:
            return running.wait(spec.timeout_s)

    @contextmanager
    def started(self, spec: ContainerSpec) -> Iterator["_Running"]:
        """Start a container for the block; it is removed however the block ends."""
        access = self.info().gpu_access if spec.gpus else GpuAccess.NONE
        with self._asking(f"creating a container of {spec.image}"):
            container = self._client.containers.create(spec.image, list(spec.args), **_options(spec, access))
        try:
            with self._asking(f"starting a container of {spec.image}"):
                container.start()
            yield _Running(container, spec, self._asking)
        finally:
            with self._asking("removing a container"):
                _remove(container)

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


class _Running:
    """A started container."""

    def __init__(self, container: Container, spec: ContainerSpec, asking: Callable[[str], Any]) -> None:
        self._container = container
        self._spec = spec
        self._asking = asking
        self._began = time.monotonic()

    @property
    def id(self) -> str:
        return str(self._container.id)

    def logs(self) -> str:
        with self._asking("reading a container's log"):
            return self._read(stdout=True, stderr=True)

    def signal(self, name: str) -> None:
        with self._asking(f"sending {name}"):
            self._container.kill(signal=name)

    def wait(self, timeout_s: float) -> RunResult:
        with self._asking("waiting for a container"):
            timed_out = not self._ended_within(timeout_s)
            if timed_out:
                with suppress(APIError):  # it ended just now
                    self._container.kill()
            seconds = time.monotonic() - self._began
            self._container.wait(timeout=_CALL_S)
            self._container.reload()
            state = self._container.attrs["State"]
            return RunResult(
                exit_code=_KILLED if timed_out else int(state["ExitCode"]),
                stdout=self._read(stdout=True, stderr=False),
                stderr=self._read(stdout=False, stderr=True),
                timed_out=timed_out,
                oom_killed=bool(state["OOMKilled"]),
                seconds=seconds,
            )

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

    def _read(self, *, stdout: bool, stderr: bool) -> str:
        raw = bytes(self._container.logs(stdout=stdout, stderr=stderr))
        return raw[-self._spec.log_bytes :].decode(errors="replace")


def _remove(container: Container) -> None:
    with suppress(NotFound):
        container.remove(force=True, v=True)


def _options(spec: ContainerSpec, access: GpuAccess = GpuAccess.NONE) -> dict[str, Any]:
    """Translate a spec into the SDK's words."""
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
        "mem_limit": spec.memory,
        "memswap_limit": spec.memory,
        "pids_limit": spec.pids,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "log_config": LogConfig(type="json-file", config={"max-size": str(spec.log_bytes), "max-file": "1"}),
        "labels": dict(spec.labels),
        "device_requests": [DeviceRequest(**request_for(access))] if spec.gpus else None,
        "detach": True,
    }


def _digests(layout: Path) -> tuple[str, str]:
    """Read the manifest's and the configuration's digest out of a layout of one image."""
    try:
        entries = json.loads((layout / "index.json").read_bytes())["manifests"]
        manifest_digest = str(entries[0]["digest"])
        manifest = json.loads(_blob(layout, manifest_digest).read_bytes())
        config_digest = str(manifest["config"]["digest"])
    except (OSError, ValueError, KeyError, IndexError) as error:
        message = f"{layout} is not an OCI layout of one image: {error}"
        raise WorkFailed(message, hint="build again") from error
    if len(entries) != 1:
        message = f"{layout} holds {len(entries)} images, one was expected"
        raise WorkFailed(message, hint="build for a single platform")
    return manifest_digest, config_digest


def _blob(layout: Path, digest: str) -> Path:
    return layout / "blobs" / digest.replace(":", "/", 1)


def layout_stream(layout: Path, ref: str) -> Iterator[bytes]:
    """Stream a layout as the tar that engines load, named `ref`.

    Both descriptions are in it: the OCI index, whose annotation names the image for the containerd store, and
    `manifest.json`, which engines without that store read. Blobs go through unchanged.
    """
    index = json.loads((layout / "index.json").read_bytes())
    entry = index["manifests"][0]
    annotations = {
        key: value for key, value in (entry.get("annotations") or {}).items() if not key.endswith("ref.name")
    }
    entry["annotations"] = {**annotations, "io.containerd.image.name": ref}
    manifest = json.loads(_blob(layout, entry["digest"]).read_bytes())
    names = [_blob(Path(), part["digest"]).as_posix() for part in (manifest["config"], *manifest["layers"])]
    described = [{"Config": names[0], "RepoTags": [ref], "Layers": names[1:]}]
    yield from _member("oci-layout", (layout / "oci-layout").read_bytes())
    yield from _member("index.json", json.dumps(index).encode())
    yield from _member("manifest.json", json.dumps(described).encode())
    for name in dict.fromkeys((_blob(Path(), entry["digest"]).as_posix(), *names)):
        yield from _member(name, layout / name)
    yield b"\0" * (2 * tarfile.BLOCKSIZE)


def _member(name: str, content: bytes | Path) -> Iterator[bytes]:
    header = tarfile.TarInfo(name)
    header.size = len(content) if isinstance(content, bytes) else content.stat().st_size
    header.mode = 0o644
    yield header.tobuf(tarfile.PAX_FORMAT)
    with BytesIO(content) if isinstance(content, bytes) else content.open("rb") as source:
        while chunk := source.read(_CHUNK):
            yield chunk
    yield b"\0" * (-header.size % tarfile.BLOCKSIZE)
