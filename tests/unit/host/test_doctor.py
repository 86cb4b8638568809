from dataclasses import replace
from pathlib import Path

from build.doors.builders import BuilderInfo
from build.doors.effects import EngineHandle, EngineInfo
from build.host.doctor import Finding, engine_findings, parse_meminfo
from build.host.engine import HostEngine
from build.settings import from_env

SETTINGS = from_env({}, Path("/repo"))
BUILDER = BuilderInfo(
    name="default", driver="docker", status="running", platforms=(), buildkit="v0.17", containerd_store=True
)
GOOD = HostEngine(
    handle=EngineHandle(kind="host", name="host", docker_host="unix:///x", environment=()),
    present=True,
    info=EngineInfo(version="28.2.2", architecture="x86_64", containerd_store=True, cpus=2, memory=1),
    builder=BUILDER,
    buildx="0.24.0",
)
LACKING = replace(
    GOOD,
    builder=replace(BUILDER, containerd_store=False),
    lacks="it has no containerd image store",
    mend="do this",
)


def test_an_engine_that_fits() -> None:
    assert engine_findings(SETTINGS, GOOD, "stopped") == (
        Finding(name="engine", ok=True, found="Docker 28.2.2, the host's"),
        Finding(name="OCI export", ok=True, found="containerd image store"),
        Finding(name="buildx", ok=True, found="0.24.0"),
    )


def test_a_builder_that_drops_the_compile_cache_is_named() -> None:
    host = replace(GOOD, builder=replace(BUILDER, drops_mounts=True))
    assert engine_findings(SETTINGS, host, "stopped")[3:] == (
        Finding(
            name="compile cache",
            ok=True,
            found="the builder's garbage collection may drop it two days after its last use",
            mend="docs/builders.md has the lines of daemon.json that keep it",
        ),
    )


def test_a_builder_of_another_driver() -> None:
    host = replace(GOOD, builder=replace(BUILDER, driver="docker-container", containerd_store=False))
    assert engine_findings(SETTINGS, host, "stopped")[1].found == "docker-container builder"


def test_a_private_engine_stands_in_and_the_mend_is_still_named() -> None:
    assert engine_findings(SETTINGS, LACKING, "running") == (
        Finding(name="engine", ok=True, found="the private engine main (running) is used"),
        Finding(
            name="host's engine",
            ok=True,
            found="Docker 28.2.2; it has no containerd image store",
            mend="do this",
        ),
    )


def test_where_the_hosts_engine_is_asked_for_its_lack_is_a_fault() -> None:
    assert engine_findings(replace(SETTINGS, engine="host"), LACKING, "running") == (
        Finding(
            name="engine", ok=False, found="Docker 28.2.2; it has no containerd image store", mend="do this"
        ),
    )


def test_meminfo() -> None:
    assert parse_meminfo("MemFree: 1 kB\nMemTotal:       24684096 kB\n") == 24684096 * 1024
    assert parse_meminfo("") is None
