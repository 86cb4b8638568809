"""Whether compilers are emulated is told from what engine, builder and machine say; each broken twin differs in one word."""

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from build.doors.builders import BuilderInfo
from build.doors.effects import EngineHandle, EngineInfo
from build.doors.platforms import Platform
from build.errors import BadRequest
from build.host.doctor import emulation_finding
from build.host.engine import HostEngine
from build.host.platforms import Machine, build_platform, emulation, refuse_emulation
from build.settings import from_env
from build.wiring import Wiring
from tests.fakes import RecordingReporter

AMD64: Platform = "linux/amd64"
ARM64: Platform = "linux/arm64"
INTEL = "processor\t: 0\nvendor_id\t: AuthenticAMD\nmodel name\t: AMD EPYC\n"
ARM = "processor\t: 0\nBogoMIPS\t: 48.00\nCPU implementer\t: 0x61\n"
ROSETTA = "processor\t: 0\nvendor_id\t: VirtualApple\nmodel name\t: VirtualApple @ 2.50GHz\n"
SERVER = Machine(machine="x86_64", cpuinfo=INTEL)
LAPTOP = Machine(machine="aarch64", cpuinfo=ARM)
MAC = Machine(machine="arm64")
ENGINE = EngineInfo(version="28", architecture="x86_64", containerd_store=True, cpus=2, memory=1)
ON_ARM = replace(ENGINE, architecture="aarch64")
BUILDER = BuilderInfo(
    name="default", driver="docker", status="running", buildkit="", containerd_store=True,
    platforms=(AMD64, ARM64), natives=(AMD64,),
)  # fmt: skip
HERE = "unix:///var/run/docker.sock"
HANDLE = EngineHandle(kind="host", name="host", docker_host=HERE, environment=())


@pytest.mark.parametrize(
    ("wanted", "here", "engine"),
    [(AMD64, SERVER, ENGINE), (ARM64, LAPTOP, ON_ARM), (ARM64, MAC, ON_ARM), (AMD64, MAC, ENGINE)],
)
def test_where_the_engine_is_of_the_wanted_platform_nothing_is_emulated(
    wanted: Platform, here: Machine, engine: EngineInfo
) -> None:
    assert emulation(wanted, here, engine=engine, docker_host=HERE) is None


@pytest.mark.parametrize(
    ("wanted", "here", "engine", "by"),
    [
        (ARM64, replace(SERVER, interpreters=("qemu-aarch64", "status")), ENGINE, "qemu"),
        (AMD64, replace(LAPTOP, interpreters=("qemu-x86_64",)), ON_ARM, "qemu"),
        (AMD64, replace(LAPTOP, interpreters=("rosetta",)), ON_ARM, "Rosetta"),
        (AMD64, MAC, ON_ARM, "qemu or Rosetta"),
        (ARM64, MAC, ENGINE, "qemu"),
    ],
)
def test_stages_of_another_platform_than_the_engines_are_emulated(
    wanted: Platform, here: Machine, engine: EngineInfo, by: str
) -> None:
    found = emulation(wanted, here, engine=engine, docker_host=HERE)
    assert found is not None
    assert (found.wanted, found.by) == (wanted, by)
    assert found.mend == f"INGOT_BUILD_PLATFORM={found.native} compiles natively"


@pytest.mark.parametrize(
    ("here", "by"),
    [
        (replace(SERVER, cpuinfo=ROSETTA), "Rosetta"),
        (replace(SERVER, cpuinfo=ARM), "qemu"),
        (replace(LAPTOP, cpuinfo=INTEL), "qemu"),
    ],
)
def test_a_machine_that_is_emulated_as_a_whole_is_told_by_its_processor(here: Machine, by: str) -> None:
    wanted = build_platform_of(here)
    assert emulation(wanted, replace(here, cpuinfo=""), docker_host=HERE) is None
    found = emulation(wanted, here, docker_host=HERE)
    assert found is not None
    assert (found.by, found.native) == (by, "")
    assert (
        found.mend
        == "build on an x86_64 or arm64 machine that is not emulated, or with an INGOT_BUILDER on one"
    )
    assert (
        emulation(
            wanted,
            here,
            engine=replace(ENGINE, architecture=here.machine),
            docker_host="ssh://me@big.example.org",
        )
        is None
    )


def build_platform_of(here: Machine) -> Platform:
    return AMD64 if here.machine == "x86_64" else ARM64


@pytest.mark.parametrize("driver", ["docker", "docker-container"])
def test_the_kernel_decides_and_not_what_a_builder_on_it_was_built_for(driver: str) -> None:
    builder = replace(BUILDER, driver=driver)
    assert emulation(ARM64, LAPTOP, engine=ON_ARM, builder=builder, docker_host=HERE) is None
    assert emulation(AMD64, LAPTOP, engine=ON_ARM, builder=builder, docker_host=HERE) is not None


BY_SSH = replace(BUILDER, driver="docker-container", endpoint="ssh://me@big.example.org")


@pytest.mark.parametrize(
    "builder",
    [
        replace(BUILDER, driver="remote"),
        replace(BUILDER, driver="docker-container", natives=(ARM64, AMD64)),
        BY_SSH,
    ],
)
def test_a_builder_elsewhere_says_itself_what_it_runs(builder: BuilderInfo) -> None:
    assert emulation(AMD64, LAPTOP, engine=ON_ARM, builder=builder, docker_host=HERE) is None
    found = emulation(ARM64, LAPTOP, engine=ON_ARM, builder=builder, docker_host=HERE)
    assert found is not None
    assert found.native == AMD64


def test_a_container_of_the_same_remote_machine_as_the_engine_is_on_its_kernel() -> None:
    there = BY_SSH.endpoint
    assert emulation(ARM64, SERVER, engine=ON_ARM, builder=BY_SSH, docker_host=there) is None
    found = emulation(ARM64, SERVER, engine=ON_ARM, builder=BY_SSH, docker_host="ssh://me@other.example.org")
    assert found is not None
    assert found.native == AMD64


def test_a_builder_elsewhere_helps_a_machine_that_is_emulated_as_a_whole() -> None:
    here = replace(SERVER, cpuinfo=ROSETTA)
    assert emulation(AMD64, here, engine=ENGINE, builder=BUILDER, docker_host=HERE) is not None
    assert emulation(AMD64, here, engine=ENGINE, builder=BY_SSH, docker_host=HERE) is None


def test_an_emulated_compile_is_refused_with_its_cost_and_both_ways_out() -> None:
    found = emulation(AMD64, replace(LAPTOP, interpreters=("qemu-x86_64",)), engine=ON_ARM, docker_host=HERE)
    with pytest.raises(BadRequest) as caught:
        refuse_emulation(found, allowed=False)
    assert caught.value.exit_code == 2
    assert caught.value.message == (
        "compile stages for linux/amd64 are emulated on linux/arm64 by qemu: "
        "compilers are 6 to 14 times slower under qemu"
    )
    assert caught.value.hint == (
        "INGOT_BUILD_PLATFORM=linux/arm64 compiles natively; INGOT_EMULATE=1 compiles all the same"
    )
    assert refuse_emulation(found, allowed=True) == caught.value.message
    assert refuse_emulation(None, allowed=False) == ""


def test_the_platform_is_the_machines_own_or_the_one_that_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = from_env({"INGOT_BUILD_PLATFORM": ARM64}, Path("/repo"))
    assert build_platform(asked) == ARM64
    for machine, wanted in (("x86_64", AMD64), ("arm64", ARM64), ("aarch64", ARM64)):
        monkeypatch.setattr("platform.machine", lambda machine=machine: machine)
        assert build_platform(from_env({}, Path("/repo"))) == wanted
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    settings = from_env({}, Path("/repo"))
    assert build_platform(settings) == AMD64, "what needs no compiler works on any machine"
    found = emulation(build_platform(settings), Machine(machine="riscv64"), docker_host=HERE)
    with pytest.raises(BadRequest, match="compile stages for linux/amd64 are emulated on riscv64"):
        refuse_emulation(found, allowed=False)


def test_doctor_names_an_emulated_compile_and_calls_it_a_fault_unless_it_was_asked_for() -> None:
    host = HostEngine(handle=HANDLE, present=True, info=ENGINE, builder=BUILDER)
    env = {"INGOT_BUILD_PLATFORM": ARM64}
    here = replace(SERVER, interpreters=("qemu-aarch64", "register"))
    bad = emulation_finding(from_env(env, Path("/repo")), here, host)
    assert not bad.ok
    assert bad.found.startswith("compile stages for linux/arm64 are emulated on linux/amd64 by qemu: ")
    assert bad.mend.endswith("INGOT_EMULATE=1 compiles all the same")
    assert emulation_finding(from_env({**env, "INGOT_EMULATE": "1"}, Path("/repo")), here, host).ok
    good = emulation_finding(from_env({"INGOT_BUILD_PLATFORM": AMD64}, Path("/repo")), here, host)
    assert (good.ok, good.found) == (
        True, "compilers run on linux/amd64; foreign programs run by qemu-aarch64",
    )  # fmt: skip


def test_a_private_engine_runs_on_this_machine() -> None:
    lacking = HostEngine(handle=HANDLE, present=True, info=ON_ARM, builder=BUILDER, lacks="no store")
    settings = from_env({"INGOT_BUILD_PLATFORM": AMD64}, Path("/repo"))
    assert emulation_finding(settings, SERVER, lacking).ok
    assert not emulation_finding(settings, LAPTOP, lacking).ok


def test_doctor_looks_at_the_engine_that_is_used_and_at_a_builder_that_was_named() -> None:
    remote = replace(HANDLE, docker_host=BY_SSH.endpoint)
    host = HostEngine(handle=remote, present=True, info=ON_ARM, builder=replace(BUILDER, natives=(ARM64,)))
    env = {"INGOT_BUILD_PLATFORM": AMD64, "INGOT_ENGINE": "private"}
    assert not emulation_finding(from_env({**env, "INGOT_ENGINE": "host"}, Path("/repo")), SERVER, host).ok
    assert emulation_finding(from_env(env, Path("/repo")), SERVER, host).ok
    farm = replace(host, builder=replace(BUILDER, driver="remote", natives=(ARM64,)))
    assert not emulation_finding(from_env({**env, "INGOT_BUILDER": "farm"}, Path("/repo")), SERVER, farm).ok


def test_doctor_goes_on_where_no_toolchain_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    host = HostEngine(handle=HANDLE, present=True, info=ENGINE)
    found = emulation_finding(
        from_env({"INGOT_ENGINE": "private"}, Path("/repo")), Machine(machine="riscv64"), host
    )
    assert not found.ok
    assert found.found.startswith("compile stages for linux/amd64 are emulated on riscv64 by qemu")


@dataclass
class Says:
    """An engine, or a builder, that says one thing of itself."""

    value: object

    def info(self) -> object:
        return self.value

    def inspect(self, *, boot: bool = False) -> object:  # noqa: ARG002
        return self.value


@dataclass
class Down:
    """A builder that says what it runs only once it was started."""

    value: BuilderInfo
    boots: int = 0

    def inspect(self, *, boot: bool = False) -> BuilderInfo:
        self.boots += boot
        return self.value if boot else replace(self.value, platforms=(), natives=())


def test_a_machine_that_runs_no_toolchain_is_refused_before_compilers_and_not_sooner(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("platform.machine", lambda: "i686")
    wiring = Wiring(settings=from_env({}, tmp_path), reporter=RecordingReporter())
    assert wiring.images.platform == AMD64
    found = emulation(build_platform(wiring.settings), Machine(machine="i686"), docker_host=HERE)
    with pytest.raises(BadRequest, match="compile stages for linux/amd64 are emulated on i686"):
        refuse_emulation(found, allowed=False)


@pytest.mark.parametrize("emulate", ["", "1"])
def test_a_run_asks_the_engine_before_compilers_run(tmp_path: Path, emulate: str) -> None:
    reporter = RecordingReporter()
    settings = from_env({"INGOT_BUILD_PLATFORM": ARM64, "INGOT_EMULATE": emulate}, tmp_path)
    wiring = Wiring(settings=settings, reporter=reporter)
    vars(wiring).update(engine=HANDLE, containers=Says(ENGINE), buildx=Says(BUILDER))
    if not emulate:
        with pytest.raises(BadRequest, match="compile stages for linux/arm64 are emulated"):
            wiring.images.before_compilers()
        return
    assert wiring.compile_platform == ARM64
    wiring.images.before_compilers()
    warned = [words for kind, words in reporter.said if kind == "warning"]
    assert warned == [
        "compile stages for linux/arm64 are emulated on linux/amd64 by qemu: compilers are 6 to 14 times slower under qemu"
    ]


def test_a_builder_that_is_down_is_started_to_know_what_it_runs(tmp_path: Path) -> None:
    reporter = RecordingReporter()
    wiring = Wiring(settings=from_env({"INGOT_BUILD_PLATFORM": AMD64}, tmp_path), reporter=reporter)
    down = Down(
        replace(BUILDER, name="far", driver="docker-container", endpoint="ssh://far", natives=(ARM64,))
    )
    vars(wiring).update(engine=HANDLE, containers=Says(ENGINE), buildx=down)
    with pytest.raises(BadRequest, match="compile stages for linux/amd64 are emulated on linux/arm64"):
        wiring.images.before_compilers()
    assert (down.boots, reporter.all("step")) == (1, ["start the builder far"])
