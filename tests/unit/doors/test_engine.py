import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

from build.doors.container import options as options_of
from build.doors.effects import ContainerSpec, EngineHandle, GpuAccess, Mount
from build.doors.engine import DockerEngine
from build.doors.layouttar import layout_digests, layout_stream
from build.errors import Unreachable, WorkFailed


def blob(layout: Path, content: bytes) -> dict[str, object]:
    digest = hashlib.sha256(content).hexdigest()
    path = layout / "blobs" / "sha256" / digest
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return {"digest": f"sha256:{digest}", "size": len(content)}


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    config, layer = blob(tmp_path, b'{"os":"linux"}'), blob(tmp_path, b"x" * 1500)
    manifest = blob(tmp_path, json.dumps({"config": config, "layers": [layer, layer]}).encode())
    entry = {**manifest, "annotations": {"org.opencontainers.image.ref.name": "latest", "kept": "1"}}
    (tmp_path / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    (tmp_path / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    return tmp_path


def test_a_layout_streams_as_a_tar_that_both_kinds_of_engine_read(layout: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(b"".join(layout_stream(layout, "ingot.local/x:1")))) as tar:
        files = {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]
    index = json.loads(files["index.json"])["manifests"][0]
    assert index["annotations"] == {"kept": "1", "io.containerd.image.name": "ingot.local/x:1"}
    (described,) = json.loads(files["manifest.json"])
    assert described["RepoTags"] == ["ingot.local/x:1"]
    assert files[described["Config"]] == b'{"os":"linux"}'
    assert [files[name] for name in described["Layers"]] == [b"x" * 1500] * 2
    blobs = [name for name in files if name.startswith("blobs/")]
    assert len(blobs) == 3
    assert all(hashlib.sha256(files[name]).hexdigest() == name.rpartition("/")[2] for name in blobs)


def test_digests_of_a_layout(layout: Path) -> None:
    entry = json.loads((layout / "index.json").read_text())["manifests"][0]
    manifest, config = layout_digests(layout)
    assert manifest == entry["digest"]
    assert config == "sha256:" + hashlib.sha256(b'{"os":"linux"}').hexdigest()


def test_a_layout_of_two_images_is_refused(layout: Path) -> None:
    index = json.loads((layout / "index.json").read_text())
    index["manifests"] *= 2
    (layout / "index.json").write_text(json.dumps(index))
    with pytest.raises(WorkFailed) as caught:
        layout_digests(layout)
    assert caught.value.message == f"{layout} holds 2 images, one was expected"


def test_no_layout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WorkFailed, match="is not an OCI layout of one image"):
        layout_digests(tmp_path)


def test_the_defaults_of_a_container_are_strict() -> None:
    options = options_of(ContainerSpec(image="x", mounts=(Mount(source=Path("/a"), target="/b"),)))
    assert options["network_mode"] == "none"
    assert options["read_only"] is True
    assert options["cap_drop"] == ["ALL"]
    assert options["security_opt"] == ["no-new-privileges"]
    assert options["mem_limit"] == options["memswap_limit"] == 1 << 30
    assert options["pids_limit"] == 256
    assert options["log_config"]["Type"] == "none"
    assert options["shm_size"] == 16 << 20
    assert options["ulimits"] == [
        {"Name": "core", "Soft": 0, "Hard": 0},
        {"Name": "nofile", "Soft": 4096, "Hard": 4096},
    ]
    assert options["ipc_mode"] == options["cgroupns"] == "private"
    assert options["mounts"] == [{"Target": "/b", "Source": "/a", "Type": "bind", "ReadOnly": True}]
    assert options["healthcheck"] == {"test": ["NONE"]}
    assert options["device_requests"] is None
    assert options["entrypoint"] is None


@pytest.mark.parametrize(
    ("access", "driver", "ids", "count"),
    [(GpuAccess.CDI, "cdi", ["nvidia.com/gpu=all"], 0), (GpuAccess.RUNTIME, "nvidia", [], -1)],
)
def test_a_gpu_is_asked_for_in_the_engines_way(
    access: GpuAccess, driver: str, ids: list[str], count: int
) -> None:
    (request,) = options_of(ContainerSpec(image="x", gpus=access))["device_requests"]
    assert (request["Driver"], request["DeviceIDs"], request["Count"]) == (driver, ids, count)


def test_an_engine_that_is_not_there(tmp_path: Path) -> None:
    handle = EngineHandle(
        kind="host", name="host", docker_host=f"unix://{tmp_path}/none.sock", environment=()
    )
    with DockerEngine(handle) as engine, pytest.raises(Unreachable) as caught:
        engine.info()
    assert caught.value.message == (
        f"the engine at unix://{tmp_path}/none.sock does not answer: there is no such socket"
    )
    assert caught.value.exit_code == 4
