"""A GPU that the image is compiled for, and an engine that hands it out; else the reason, before anything runs."""

from collections.abc import Callable

import pytest

from build.doors.effects import GpuAccess
from build.doors.nvidia import Gpu
from build.errors import Unavailable
from build.smoke.gpu import HostGpu, NoGpu, find_gpu, required, runs_on
from tests.fakes import FakeEngine
from tests.unit.smoke.running.images import good_server

BLACKWELL = Gpu(uuid="GPU-12", name="NVIDIA GeForce RTX 5090", capability="12.0", driver="580.65.06")
HOPPER = Gpu(uuid="GPU-90", name="NVIDIA H200", capability="9.0", driver="580.65.06")


def engine(access: GpuAccess) -> FakeEngine:
    return FakeEngine(good_server(), gpu_access=access)


def listing(*gpus: Gpu) -> Callable[[], tuple[Gpu, ...]]:
    return lambda: gpus


@pytest.mark.parametrize(
    ("architecture", "capability", "runs"),
    [
        ("120a-real", "12.0", True),
        ("120a-real", "12.1", False),
        ("120a-real", "9.0", False),
        ("120a", "12.1", False),
        ("120f-real", "12.1", True),
        ("100f-real", "10.3", True),
        ("100f", "12.0", False),
        ("121-real", "12.0", False),
        ("86-real", "8.6", True),
        ("86-real", "8.9", True),
        ("89-real", "8.6", False),
        ("89-real", "9.0", False),
        ("86-virtual", "12.0", True),
        ("86", "12.0", True),
        ("120-virtual", "8.9", False),
        ("native", "12.0", False),
    ],
)
def test_which_code_runs_where(architecture: str, capability: str, *, runs: bool) -> None:
    assert runs_on(architecture, capability) is runs


@pytest.mark.parametrize(
    ("access", "way"),
    [(GpuAccess.CDI, "through CDI"), (GpuAccess.RUNTIME, "through the nvidia runtime")],
)
def test_the_gpu_that_fits_is_found_among_others(access: GpuAccess, way: str) -> None:
    found = find_gpu(("120a-real",), engine(access), listed=listing(HOPPER, BLACKWELL))
    assert found == HostGpu(gpu=BLACKWELL, access=access)
    assert str(required(found)) == f"NVIDIA GeForce RTX 5090 (sm_120, driver 580.65.06), {way}"


def test_a_gpu_that_the_image_is_not_compiled_for() -> None:
    found = find_gpu(("120a-real", "89-real"), engine(GpuAccess.CDI), listed=listing(HOPPER))
    with pytest.raises(Unavailable) as caught:
        required(found)
    assert caught.value.message == (
        "the image is compiled for 120a-real, 89-real, this host has NVIDIA H200 (sm_90, driver 580.65.06)"
    )
    assert caught.value.hint == "a variant for this GPU compiles for 90-real"
    assert caught.value.exit_code == 4


def test_an_engine_that_offers_no_way() -> None:
    found = find_gpu(("120a-real",), engine(GpuAccess.NONE), listed=listing(BLACKWELL))
    assert isinstance(found, NoGpu)
    assert found.reason == (
        "the engine can give a container no GPU: it lists no CDI device nvidia.com/gpu and no runtime `nvidia`"
    )
    assert "nvidia-ctk cdi generate" in found.hint


def test_a_host_without_any_asks_no_engine() -> None:
    def none() -> tuple[Gpu, ...]:
        message = "no NVIDIA GPU on this host (nvidia-smi lists none)"
        raise Unavailable(message, hint="install the driver")

    lost = FakeEngine(good_server(), lost=True)
    assert find_gpu(("120a-real",), lost, listed=none) == NoGpu(
        reason="no NVIDIA GPU on this host (nvidia-smi lists none)", hint="install the driver"
    )
