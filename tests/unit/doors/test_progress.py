"""The lines are BuildKit 0.13's own, recorded."""

import pytest

from build.doors.progress import BuildEvent, ProgressReader


def read(*lines: str) -> list[BuildEvent]:
    reader = ProgressReader()
    return [event for line in lines if (event := reader.read(line))]


COMPILE = "#8 [compile 3/4] RUN ninja -C /build"


@pytest.mark.parametrize(
    ("header", "stage", "step", "steps", "name"),
    [
        (COMPILE, "compile", 3, 4, "RUN ninja -C /build"),
        ("#7 [two broken 2/3] COPY --from=probe /ok /ok", "broken", 2, 3, "COPY --from=probe /ok /ok"),
        ("#7 [linux/amd64 compile 2/3] RUN x [1/2]", "compile", 2, 3, "RUN x [1/2]"),
        ("#5 [1/3] FROM docker.io/library/base:1", "image", 1, 3, "FROM docker.io/library/base:1"),
        ("#9 [stage-1 2/3] RUN true", "stage-1", 2, 3, "RUN true"),
        (
            "#2 [internal] load build definition from Dockerfile",
            "",
            0,
            0,
            "load build definition from Dockerfile",
        ),
        ("#2 [pr internal] load .dockerignore", "", 0, 0, "load .dockerignore"),
        ("#6 [context src] load from client", "", 0, 0, "load from client"),
        ("#13 exporting to oci image format", "", 0, 0, "exporting to oci image format"),
        ("#11 [pr] exporting to image", "", 0, 0, "exporting to image"),
    ],
)
def test_headers(header: str, stage: str, step: int, steps: int, name: str) -> None:
    (event,) = read(header)
    assert event.kind == "started"
    assert (event.stage, event.step, event.steps, event.name) == (stage, step, steps, name)


@pytest.mark.parametrize(
    ("line", "kind", "seconds", "counter", "text"),
    [
        ("#8 35.2 [123/186] Building CUDA object a.o", "output", 35.2, (123, 186), "[123/186] Building CUDA object a.o"),
        ("#8 0.163 start", "output", 0.163, None, "start"),
        ("#8 1.5 ", "output", 1.5, None, ""),
        ("#8 DONE 3.1s", "done", 3.1, None, ""),
        ("#8 CACHED", "cached", 0.0, None, ""),
        ("#8 CANCELED", "canceled", 0.0, None, ""),
        ('#8 ERROR: process "/bin/sh -c x" did not complete', "error", 0.0, None,
         'process "/bin/sh -c x" did not complete'),
        ("#8 sha256:0123abcd 10.49MB / 50.00MB 0.2s", "transfer", 0.0, None, "10.49MB / 50.00MB 0.2s"),
        ("#8 transferring src: 30.1MB 0.4s done", "transfer", 0.0, None, "30.1MB 0.4s done"),
        ("#8 exporting layers 0.0s done", "output", 0.0, None, "exporting layers 0.0s done"),
    ],
)  # fmt: skip
def test_what_a_step_says(
    line: str, kind: str, seconds: float, counter: tuple[int, int] | None, text: str
) -> None:
    _, event = read(COMPILE, line)
    assert (event.kind, event.seconds, event.counter, event.text) == (kind, seconds, counter, text)
    assert event.stage == "compile"


def test_a_step_that_comes_back_is_not_started_again() -> None:
    kinds = [
        event.kind for event in read(COMPILE, "#8 ...", "", "#6 [probe 2/3] RUN x", COMPILE, "#8 DONE 2.2s")
    ]
    assert kinds == ["started", "started", "done"]


@pytest.mark.parametrize(
    "line", ["", "------", '#0 building with "default" instance', "Dockerfile:19", "ERROR: failed"]
)
def test_lines_that_are_no_events(line: str) -> None:
    assert read(line) == []
