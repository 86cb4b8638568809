import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from build.doors.builders import BuilderInfo, parse_builder, parse_version
from build.doors.buildx import BuildFailed, Buildx, narrated
from build.doors.effects import EngineHandle
from build.doors.progress import BuildEvent, ProgressReader
from build.errors import Unavailable, Unreachable

DOCKER = """\
Name:          default
Driver:        docker
Last Activity: 2026-11-20 23:23:17 +0000 UTC

Nodes:
Name:             default
Endpoint:         default
Status:           running
BuildKit version: v0.0.0+unknown
Platforms:        linux/amd64, linux/amd64/v2
Labels:
 org.mobyproject.buildkit.worker.executor:             containerd
 org.mobyproject.buildkit.worker.snapshotter:          overlayfs
GC Policy rule#0:
 All:           false
"""
NO_STORE = DOCKER.replace(" org.mobyproject.buildkit.worker.snapshotter:          overlayfs\n", "")
CONTAINER = """\
Name:   big
Driver: docker-container

Nodes:
Name:      big0
Endpoint:  unix:///var/run/docker.sock
Status:    inactive
Platforms: linux/amd64*, linux/arm64
"""
FARM = """\
Name:   farm
Driver: remote

Nodes:
Name:      arm
Platforms: linux/arm64, linux/amd64, linux/386
Name:      intel
Platforms: linux/amd64/v2, linux/386
"""


SEVERAL = """\
Name:   farm
Driver: remote

Nodes:
Name:             arm
Endpoint:         tcp://10.0.0.2:1234
Status:           running
BuildKit version: v0.12.0
Platforms:        linux/arm64

Name:             big
Endpoint:         ssh://builder@10.0.0.3
Status:           running
BuildKit version: v0.13.2
Platforms:        linux/amd64*, linux/386
"""


@pytest.mark.parametrize(
    ("text", "expected", "exports"),
    [
        (DOCKER, BuilderInfo(name="default", driver="docker", status="running", buildkit="v0.0.0+unknown",
                             platforms=("linux/amd64", "linux/amd64/v2"), containerd_store=True, endpoint="default", natives=("linux/amd64",)), True),
        (NO_STORE, BuilderInfo(name="default", driver="docker", status="running", buildkit="v0.0.0+unknown",
                               platforms=("linux/amd64", "linux/amd64/v2"), containerd_store=False, endpoint="default", natives=("linux/amd64",)), False),
        (CONTAINER, BuilderInfo(name="big", driver="docker-container", status="inactive", buildkit="",
                                platforms=("linux/amd64", "linux/arm64"), containerd_store=False,
                                endpoint="unix:///var/run/docker.sock", natives=("linux/amd64",)), True),
        (SEVERAL, BuilderInfo(name="farm", driver="remote", status="running", buildkit="v0.13.2",
                              platforms=("linux/amd64", "linux/386"), containerd_store=False,
                              endpoint="ssh://builder@10.0.0.3", natives=("linux/arm64", "linux/amd64")), True),
        ("", BuilderInfo(name="", driver="", status="", buildkit="", platforms=(), containerd_store=False), False),
    ],
)  # fmt: skip
def test_builders(text: str, expected: BuilderInfo, exports: bool) -> None:  # noqa: FBT001
    assert parse_builder(text) == expected
    assert parse_builder(text).can_export_oci is exports


def test_what_the_default_policy_drops_first() -> None:
    policy = " Filters:       type==source.local,type==exec.cachemount,type==source.git.checkout\n"
    assert parse_builder(f"{DOCKER}{policy} Keep Duration: 48h0m0s\n").drops_mounts
    assert not parse_builder(DOCKER).drops_mounts


@pytest.mark.parametrize(
    ("text", "native"),
    [
        (DOCKER, "linux/amd64"),
        (FARM, "linux/amd64"),
        (FARM.replace("linux/amd64/v2, ", ""), "linux/arm64"),
        ("", ""),
    ],
)
def test_what_compile_stages_run_on_is_the_target_where_a_node_of_it_is(text: str, native: str) -> None:
    assert parse_builder(text).native == native


@pytest.mark.parametrize(
    ("text", "version"),
    [("github.com/docker/buildx 0.13.1+ds1 0.13.1+ds1-3\n", "0.13.1+ds1"),
     ("github.com/docker/buildx v0.29.1 a32761aeb3debd39be1eca514af3693af0db334b", "0.29.1"), ("", "")],
)  # fmt: skip
def test_versions(text: str, version: str) -> None:
    assert parse_version(text) == version


class Recorder:
    """Records steps as `+title`, `title: detail`, `-title verdict`."""

    def __init__(self) -> None:
        self.said: list[str] = []

    @contextmanager
    def step(self, title: str, *, parallel: bool = False) -> Iterator["_Step"]:
        assert parallel
        self.said.append(f"+{title}")
        step = _Step(self, title)
        yield step
        self.said.append(f"-{title} {step.word}".rstrip())

    def output(self, line: str) -> None: ...
    def note(self, message: str) -> None: ...
    def warning(self, message: str) -> None: ...
    def error(self, message: str, hint: str = "") -> None: ...
    def summary(self, title: str, header: tuple[str, ...], rows: tuple[tuple[str, ...], ...]) -> None: ...


class _Step:
    def __init__(self, recorder: Recorder, title: str) -> None:
        self.recorder, self.title, self.word = recorder, title, ""

    def update(self, detail: str) -> None:
        self.recorder.said.append(f"{self.title}: {detail}")

    def verdict(self, word: str) -> None:
        self.word = word


def tell(*lines: str) -> list[str]:
    recorder, reader = Recorder(), ProgressReader()
    with narrated(recorder) as take:
        for line in lines:
            if event := reader.read(line):
                take(event)
    return recorder.said


def test_a_stage_is_one_step_with_the_compile_counter() -> None:
    assert tell(
        "#2 [internal] load build definition from Dockerfile", "#2 transferring dockerfile: 598B done", "#2 DONE 0.0s",
        "#5 [compile 1/4] FROM docker.io/library/base:1", "#5 DONE 0.0s", "#5 CACHED",
        "#7 [compile 2/4] RUN a", "#7 0.1 start", "#7 DONE 0.2s",
        "#6 [probe 2/2] RUN p", "#6 DONE 1.2s",
        "#8 [compile 3/4] RUN b", "#8 0.1 [1/2] x.o", "#8 0.6 [2/2] y.o", "#8 DONE 2.2s",
        "#9 [compile 4/4] COPY c d", "#9 CACHED",
        "#13 exporting to oci image format", "#13 exporting layers 0.0s done", "#13 DONE 0.5s",
    ) == ["+compile", "+probe", "-probe", "compile: [1/2]", "compile: [2/2]", "-compile", "+export", "-export"]  # fmt: skip


def test_a_stage_that_begins_with_a_named_context_ends_when_the_next_one_begins() -> None:
    """BuildKit counts the context among the stage's steps and never comes to the last of them."""
    assert tell(
        "#5 [interpreter 1/2] RUN a", "#5 DONE 2.6s",
        "#6 [cuda 1/1] RUN b", "#6 DONE 38.6s",
        "#7 [runtime 1/2] COPY c d", "#7 DONE 0.1s", "#20 exporting to oci image format", "#20 DONE 0.5s",
    ) == [
        "+interpreter", "-interpreter", "+cuda", "-cuda", "+runtime", "-runtime", "+export", "-export",
    ]  # fmt: skip


def test_a_silent_step_is_told_of_when_it_starts() -> None:
    recorder, reader = Recorder(), ProgressReader()
    with narrated(recorder) as take:
        event = reader.read("#6 [cuda 1/1] RUN b")
        assert event
        take(event)
        assert recorder.said == ["+cuda"]


def test_a_cached_stage_says_cached() -> None:
    lines = ("#7 [compile 2/3] RUN a", "#7 CACHED", "#8 [compile 3/3] RUN b", "#8 CACHED")
    assert tell(*lines) == ["+compile", "-compile cached"]


def test_a_failed_stage_says_failed_and_what_was_cut_short_is_closed() -> None:
    assert tell(
        "#6 [probe 2/2] RUN p", "#6 0.1 working", "#7 [compile 2/3] RUN a", "#7 0.1 x", "#7 ERROR: exit code: 3",
        "#6 CANCELED",
    ) == ["+probe", "+compile", "-compile failed", "-probe"]  # fmt: skip


def test_a_layer_cache_that_is_not_written_is_no_failed_export() -> None:
    assert tell(
        "#13 exporting to oci image format", "#13 exporting layers 0.0s done", "#13 DONE 0.5s",
        "#14 exporting cache to registry", "#14 preparing build cache for export", "#14 ERROR: connection refused",
    ) == ["+export", "-export", "+layer cache", "-layer cache failed"]  # fmt: skip


def test_only_real_transfers_are_told() -> None:
    name = "FROM registry.example/toolchain@sha256:01"
    assert tell(
        f"#5 [compile 1/4] {name}", "#5 resolve x done", "#5 sha256:ab 512B / 512B 0.1s done",
        "#5 sha256:cd 10.49MB / 500MB 0.2s", "#5 sha256:cd 500MB / 500MB 9.0s done", "#5 DONE 9.9s",
    ) == [f"+{name}", f"-{name}"]  # fmt: skip


def fake_docker(folder: Path, script: str) -> EngineHandle:
    program = folder / "bin" / "docker"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    path = f"{program.parent}:{os.environ['PATH']}"
    return EngineHandle(kind="private", name="t", docker_host="unix:///x", environment=(("PATH", path),))


def bake(handle: EngineHandle, folder: Path) -> list[BuildEvent]:
    events: list[BuildEvent] = []
    Buildx(handle).bake(
        folder / "docker-bake.json", ("one",), cwd=folder, log=folder / "build.log", on_event=events.append,
        env={"SOURCE_DATE_EPOCH": "1"}, options=("--no-cache",),
    )  # fmt: skip
    return events


@pytest.mark.processes
def test_bake_calls_buildx_and_keeps_the_log(tmp_path: Path) -> None:
    script = 'echo "#7 [a 2/2] RUN x" >&2; echo "#7 DONE 0.1s"; echo "$@ $SOURCE_DATE_EPOCH $BUILDX_NO_DEFAULT_ATTESTATIONS"'
    kinds = [event.kind for event in bake(fake_docker(tmp_path, script), tmp_path)]
    assert kinds == ["started", "done"]
    assert (tmp_path / "build.log").read_text() == (
        "#7 [a 2/2] RUN x\n#7 DONE 0.1s\n"
        f"buildx bake --file {tmp_path}/docker-bake.json --progress plain --no-cache one 1 1\n"
    )


@pytest.mark.processes
def test_the_log_has_each_line_as_soon_as_it_is_told(tmp_path: Path) -> None:
    log = tmp_path / "build.log"
    seen: list[str] = []
    Buildx(fake_docker(tmp_path, 'echo "#7 [a 2/2] RUN x"; echo "#7 DONE 0.1s"')).bake(
        tmp_path / "docker-bake.json", ("one",), cwd=tmp_path, log=log, on_event=lambda _: seen.append(log.read_text())
    )  # fmt: skip
    assert seen == ["#7 [a 2/2] RUN x\n", "#7 [a 2/2] RUN x\n#7 DONE 0.1s\n"]


@pytest.mark.processes
def test_a_failed_build_names_stage_lines_and_log(tmp_path: Path) -> None:
    script = """
echo '#6 [probe 2/2] RUN p'; echo '#6 0.1 other'
echo '#7 [compile 2/3] RUN ninja'
for i in $(seq 50); do echo "#7 0.1 line $i"; done
echo '#7 ERROR: exit code: 3'
echo '#6 ERROR: context canceled'
exit 1"""
    with pytest.raises(BuildFailed) as caught:
        bake(fake_docker(tmp_path, script), tmp_path)
    tail = "\n".join(f"line {number}" for number in range(11, 51))
    assert caught.value.message == f"the build failed in stage compile: step 2/3, RUN ninja\n{tail}"
    assert caught.value.hint == f"the whole log is {tmp_path}/build.log"
    assert (caught.value.exit_code, caught.value.stage, len(caught.value.tail)) == (1, "compile", 40)
    assert caught.value.reason == "the build failed in stage compile: line 50", "nothing says error"


@pytest.mark.parametrize(
    "line",
    [
        "/src/a.cpp:207:15: error: expected ')' at end of input",
        "a.cu(3): error: identifier is undefined",
        "CMake Error at CMakeLists.txt:3 (message):",
        "ld: fatal error: cannot find -lcuda",
        "main.cpp:(.text+0x1): undefined reference to `f'",
        "error: the option MINI_X was not used",
    ],
)
def test_the_reason_is_the_first_line_that_says_what_is_wrong(line: str) -> None:
    tail = ("[1/2] c++ -Werror=format -o errors.o", line, "b.cpp:1:1: error: later", "ninja: build stopped")
    error = BuildFailed(stage="compile", step="RUN ninja", tail=tail, log=Path("build.log"))
    assert error.reason == f"the build failed in stage compile: {line}"
    nowhere = BuildFailed(stage="", step="no builder", tail=(), log=Path("build.log"))
    assert nowhere.reason == "the build failed: no builder"


@pytest.mark.processes
@pytest.mark.parametrize(
    ("said", "hint"),
    [
        ("write: no space left on device", "free disk space, e.g. `docker builder prune`; "),
        ("use `docker --context=two buildx` to switch", "a docker context is no builder: "),
        ("failed to copy: unsupported offset", "the engine holds on to an upload that was cut short: "),
    ],
)
def test_what_mends_an_engine(tmp_path: Path, said: str, hint: str) -> None:
    script = f"echo '#7 [a 2/2] RUN x'; echo '#7 0.1 {said}'; echo '#7 ERROR: x'; exit 1"
    with pytest.raises(BuildFailed) as caught:
        bake(fake_docker(tmp_path, script), tmp_path)
    assert caught.value.hint.startswith(hint)


@pytest.mark.processes
@pytest.mark.parametrize(
    ("inspected", "known", "endpoint"),
    [
        (CONTAINER.replace("unix:///var/run/docker.sock", "office"), True, "ssh://me@office"),
        (CONTAINER.replace("unix:///var/run/docker.sock", "office"), False, "office"),
        (CONTAINER, True, "unix:///var/run/docker.sock"),
        (DOCKER, True, "default"),
    ],
)
def test_the_context_of_a_builder_says_where_it_is(
    tmp_path: Path,
    inspected: str,
    known: bool,  # noqa: FBT001
    endpoint: str,
) -> None:
    (tmp_path / "inspected").write_text(inspected)
    said = 'test "$*" = "context inspect --format {{.Endpoints.docker.Host}} office" && echo ssh://me@office'
    contexts = said if known else "echo 'context \"office\": not found' >&2; exit 1"
    script = f'case $1 in buildx) cat "{tmp_path}/inspected" ;; *) {contexts} ;; esac'
    assert Buildx(fake_docker(tmp_path, script)).inspect().endpoint == endpoint


@pytest.mark.processes
def test_a_builder_is_started_on_request(tmp_path: Path) -> None:
    (tmp_path / "inspected").write_text(CONTAINER)
    handle = fake_docker(tmp_path, f'echo "$@" >> "{tmp_path}/asked"; cat "{tmp_path}/inspected"')
    named = Buildx(replace(handle, builder="big"))
    named.inspect()
    named.inspect(boot=True)
    asked = [line for line in (tmp_path / "asked").read_text().splitlines() if line.startswith("buildx")]
    assert asked == ["buildx inspect big", "buildx inspect --bootstrap big"]


@pytest.mark.processes
def test_an_error_before_any_step(tmp_path: Path) -> None:
    with pytest.raises(BuildFailed) as caught:
        bake(fake_docker(tmp_path, "echo 'ERROR: failed to find target one'; exit 1"), tmp_path)
    assert caught.value.message == (
        "the build failed: failed to find target one\nERROR: failed to find target one"
    )


@pytest.mark.processes
def test_no_engine_is_unreachable(tmp_path: Path) -> None:
    said = "ERROR: Cannot connect to the Docker daemon at unix:///x. Is the docker daemon running?"
    with pytest.raises(Unreachable) as caught:
        bake(fake_docker(tmp_path, f"echo '{said}'; exit 1"), tmp_path)
    assert caught.value.message == f"the builder does not answer: {said}"


@pytest.mark.processes
def test_docker_without_buildx(tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as caught:
        Buildx(
            fake_docker(tmp_path, "echo \"docker: 'buildx' is not a docker command.\" >&2; exit 1")
        ).version()
    assert caught.value.message == "the docker command has no buildx"
    assert "docker-buildx" in caught.value.hint


def test_the_finding_of_a_script_wins_over_the_tools_own_error() -> None:
    finding = (
        "error: configure asks the network for https://x.example.org/a (CMakeLists.txt:3, file(DOWNLOAD))"
    )
    tail = ("CMake Error at CMakeLists.txt:3 (message):", "  cannot download", finding)
    error = BuildFailed(stage="configure", step="RUN perl", tail=tail, log=Path("build.log"))
    assert error.reason == f"the build failed in stage configure: {finding}"


@pytest.mark.processes
def test_what_a_layer_cache_says_is_not_why_a_build_failed(tmp_path: Path) -> None:
    refused = "dial tcp 127.0.0.1:9: connect: connection refused"
    script = f"""
echo '#5 importing cache manifest from 127.0.0.1:9/a/layer-cache:one'
echo '#5 ERROR: failed to configure registry cache importer: {refused}'
echo '#6 [compile 1/1] RUN ninja'
echo '#6 1.0 x.cu:1: error: no'
echo '#6 ERROR: process "ninja" did not complete successfully: exit code: 1'
exit 1
"""
    with pytest.raises(BuildFailed) as caught:
        bake(fake_docker(tmp_path, script), tmp_path)
    assert caught.value.stage == "compile"
    early = f"""
echo '#5 importing cache manifest from 127.0.0.1:9/a/layer-cache:one'
echo '#5 ERROR: failed to configure registry cache importer: {refused}'
echo 'ERROR: failed to find target one'
exit 1
"""
    with pytest.raises(BuildFailed, match="failed to find target one"):
        bake(fake_docker(tmp_path / "early", early), tmp_path)
