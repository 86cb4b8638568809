from dataclasses import replace
from pathlib import Path

import pytest

from build.doors.effects import GpuAccess, Mount
from build.errors import WorkFailed
from build.recipe.model import Driver
from build.smoke.running.image import LABEL
from tests.unit.smoke.running.images import RTX, asked, good_server, running_image


def test_the_stub_is_mounted_only_where_the_driver_is_linked() -> None:
    linked = running_image(good_server()).spec("--x")
    assert linked.mounts == (
        Mount(source=Path("/stubs/driver"), target="/ingot/driver"),
        Mount(source=Path("/models/tiny.mini"), target="/ingot/model/tiny.mini"),
    )
    assert linked.env == (("LD_LIBRARY_PATH", "/ingot/driver"),)
    none = running_image(good_server(), driver=Driver.NONE).spec("--x")
    assert [mount.target for mount in none.mounts] == ["/ingot/model/tiny.mini"]
    assert none.env == ()


def test_a_real_gpu_takes_the_stubs_place() -> None:
    spec = replace(running_image(good_server()), gpu=RTX).spec()
    assert spec.gpus is GpuAccess.CDI
    assert [mount.target for mount in spec.mounts] == ["/ingot/model/tiny.mini"]
    assert spec.env == (("CUDA_VISIBLE_DEVICES", "GPU-12"),)


def test_every_container_is_labelled_and_has_no_network() -> None:
    spec = running_image(good_server()).spec()
    assert spec.labels == ((LABEL, "mini-aaaa"),)
    assert spec.network == "none"
    assert spec.entrypoint is None
    assert spec.user == "10001:10001"


def test_a_probe_sees_the_servers_network_and_nothing_else() -> None:
    image = replace(running_image(good_server()), gpu=RTX)
    with image.engine.started(image.spec()) as container:
        image.beside(container.id, "curl http://127.0.0.1:8080/health")
    probe = asked(image).specs[-1]
    assert probe.network == f"container:{container.id}"
    assert probe.entrypoint == ("/bin/sh", "-c")
    assert probe.env == ()
    assert probe.gpus is GpuAccess.NONE
    assert probe.labels == ((LABEL, "mini-aaaa"),)


def test_placeholders_are_filled_in() -> None:
    image = running_image(good_server())
    assert image.arguments(("{model}", "x{port}y", "--z")) == ("/ingot/model/tiny.mini", "x8080y", "--z")
    assert replace(image, model=None).arguments(("{model}",)) == ("/nonexistent",)


def test_files_beside_the_model_are_seen_beside_it() -> None:
    spec = replace(
        running_image(good_server(), driver=Driver.NONE), beside_model=(Path("/d/draft.mini"),)
    ).spec()
    assert [mount.target for mount in spec.mounts] == ["/ingot/model/tiny.mini", "/ingot/model/draft.mini"]


def test_every_limit_is_set() -> None:
    spec = running_image(good_server()).spec()
    assert (spec.memory, spec.pids, spec.log_bytes, spec.shm) == (4 << 30, 1024, 8 << 20, 64 << 20)
    assert spec.tmpfs == (("/tmp", "rw,noexec,nosuid,nodev,size=67108864"),)
    assert spec.timeout_s == 60


def test_a_probe_gets_little_memory() -> None:
    image = running_image(good_server())
    with image.engine.started(image.spec()) as container:
        image.beside(container.id, "curl http://127.0.0.1:8080/health")
    assert asked(image).specs[-1].memory == 256 << 20


def test_no_container_outlives_the_whole_test() -> None:
    image = replace(running_image(good_server()), until=100.0, clock=lambda: 70.0)
    assert image.spec().timeout_s == 30
    late = replace(image, clock=lambda: 100.0)
    with pytest.raises(WorkFailed) as caught:
        late.spec()
    assert caught.value.message == "not run: the image has used up the 900 s of a smoke test"
