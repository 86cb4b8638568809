"""A build that ends well, ends badly, or is killed between two steps; then the next one."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from build.doors import store
from build.doors.platforms import Platform
from build.doors.progress import BuildEvent, EventKind
from build.errors import WorkFailed
from build.image.build import Phases, build_image, find_built, write_rendered
from build.image.layout import BrokenLayout
from build.image.model import BUILD_PLATFORM, BuiltImage
from build.plan.model import ImagePlan
from tests.fakes import FakeBuilder, RecordingReporter
from tests.layouts import write_layout
from tests.unit.publish.images import make_plan

OLD, NEW = {"app/x": b"old"}, {"app/x": b"new"}


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out" / "mini"


def plan_of(fingerprint: str = "a" * 64, *files: tuple[str, str]) -> ImagePlan:
    bake = json.dumps({"target": {"mini": {"output": ["type=oci,dest=elsewhere"]}}})
    return replace(make_plan(), fingerprint=fingerprint, files=(("docker-bake.json", bake), *files))


def image(tree: dict[str, bytes]) -> Callable[[str, Path], object]:
    return lambda _target, path: write_layout(path, [tree])


def build(
    out: Path, writes: Callable[[str, Path], object], *events: BuildEvent, plan: ImagePlan | None = None
) -> BuiltImage:
    plan = plan or plan_of()
    write_rendered(plan, out)
    builder = FakeBuilder(writes, events)
    return build_image(plan, out, root=out.parents[1], builder=builder, reporter=RecordingReporter())


def names(out: Path) -> set[str]:
    return {path.name for path in out.iterdir()}


def test_a_build_leaves_the_image_and_what_it_is(out: Path) -> None:
    built = build(out, image(NEW))
    assert built.fingerprint == "a" * 64
    assert built.size == sum(layer.size for layer in built.layers) > 0
    assert built.engine == {"buildx": "0.0-fake", "build platform": "linux/amd64"}
    assert built.seconds.keys() == {"total"}
    assert store.read_artifact(out / "image.json", BuiltImage, made_by="x") == built
    assert names(out) == {"image", "image.json", "build.log", "docker-bake.json"}
    assert find_built(plan_of(), out) == built


@pytest.mark.parametrize("platform", ["linux/amd64", "linux/arm64"])
def test_compile_stages_run_where_the_toolchain_does_whatever_buildkit_runs_on(
    out: Path, platform: Platform
) -> None:
    plan = plan_of()
    assert plan.pin.toolchain
    pin = replace(plan.pin, toolchain=replace(plan.pin.toolchain, platform=platform))
    builder = FakeBuilder(image(NEW))
    for one in (pin, replace(pin, toolchain=None)):
        write_rendered(plan, out)
        build_image(
            replace(plan, pin=one), out, root=out.parents[1], builder=builder, reporter=RecordingReporter()
        )
    asked = [option for option in builder.options if "BUILDPLATFORM" in option]
    assert asked == [f"mini.args.BUILDPLATFORM={platform}"], (
        "once: without compilers BuildKit is told nothing"
    )


def test_the_artifacts_of_the_image_before_are_gone_and_its_times_are_not(out: Path) -> None:
    build(out, image(OLD))
    for name in ("smoke.json", "help.json", "push.json", "times.jsonl"):
        (out / name).write_text("of the image before")
    build(out, image(NEW), plan=plan_of("b" * 64))
    assert names(out) == {"image", "image.json", "build.log", "docker-bake.json", "times.jsonl"}


def test_the_export_is_a_phase_and_other_work_of_buildkit_is_none(out: Path) -> None:
    events = (
        BuildEvent(kind="done", vertex=1, stage="", name="exporting to oci image format", seconds=6.1),
        BuildEvent(kind="done", vertex=2, stage="", name="load build context", seconds=2.0),
    )
    built = build(out, image(NEW), *events)
    assert built.seconds.keys() == {"export", "total"}
    assert built.seconds["export"] == 6.1


def test_the_image_replaces_the_one_before(out: Path) -> None:
    old = build(out, image(OLD))
    new = build(out, image(NEW), plan=plan_of("b" * 64))
    assert old.digest != new.digest
    assert find_built(plan_of("b" * 64), out) == new
    assert find_built(plan_of(), out) is None
    assert len(list((out / "image" / "blobs" / "sha256").iterdir())) == 3, (
        "nothing of the old one is left in it"
    )


def test_what_was_found_out_about_the_image_before_goes_and_what_was_published_stays(out: Path) -> None:
    build(out, image(OLD))
    for name in ("smoke.json", "help.json", "push.json", "published/help.json"):
        store.write_text(out / name, "{}")
    build(out, image(NEW), plan=plan_of("b" * 64))
    assert names(out) == {"image", "image.json", "build.log", "docker-bake.json", "published"}
    assert names(out / "published") == {"help.json"}


def fails(_target: str, _path: Path) -> None:
    message = "the build failed in stage compile"
    raise WorkFailed(message)


def fails_half_way(_target: str, path: Path) -> None:
    (path / "blobs").mkdir(parents=True)
    fails(_target, path)


def interrupted(_target: str, path: Path) -> None:
    write_layout(path, [NEW])
    raise KeyboardInterrupt


def half_a_layout(_target: str, path: Path) -> None:
    write_layout(path, [NEW])
    (path / "index.json").unlink()


def nothing(_target: str, _path: Path) -> None: ...


BAD: list[tuple[Callable[[str, Path], object], type[BaseException]]] = [
    (fails, WorkFailed),
    (fails_half_way, WorkFailed),
    (interrupted, KeyboardInterrupt),
    (half_a_layout, BrokenLayout),
    (nothing, BrokenLayout),
]


@pytest.mark.parametrize(("writes", "error"), BAD, ids=[writes.__name__ for writes, _ in BAD])
def test_a_build_that_does_not_end_well_presents_nothing(
    out: Path, writes: Callable[[str, Path], object], error: type[BaseException]
) -> None:
    build(out, image(OLD))
    with pytest.raises(error):
        build(out, writes, plan=plan_of("b" * 64))
    assert not (out / "image.json").exists()
    assert find_built(plan_of("b" * 64), out) is None
    assert find_built(plan_of(), out) is None, "the old image is not presented either"
    built = build(out, image(NEW), plan=plan_of("b" * 64))
    assert find_built(plan_of("b" * 64), out) == built
    assert names(out) == {"image", "image.json", "build.log", "docker-bake.json"}


def test_a_kill_after_the_layout_was_put_in_place(out: Path) -> None:
    build(out, image(NEW))
    (out / "image.json").unlink()
    assert find_built(plan_of(), out) is None


def test_a_kill_while_the_old_layout_was_moved_away(out: Path) -> None:
    build(out, image(OLD))
    (out / "image.json").unlink()
    (out / "image").rename(out / ".image.old")
    (out / ".image.4711.part").mkdir()
    built = build(out, image(NEW))
    assert find_built(plan_of(), out) == built
    assert names(out) == {"image", "image.json", "build.log", "docker-bake.json"}


def test_what_compilers_of_another_platform_made_is_another_image(out: Path) -> None:
    built = build(out, image(NEW))
    for platform, found in (("linux/arm64", False), ("linux/amd64", True)):
        store.write_artifact(out / "image.json", replace(built, engine={BUILD_PLATFORM: platform}))
        assert (find_built(plan_of(), out) is not None) == found


def test_what_is_not_whole_is_not_found(out: Path) -> None:
    built = build(out, image(NEW))
    layer = out / "image" / "blobs" / "sha256" / built.layers[0].digest.hex
    data = layer.read_bytes()
    layer.write_bytes(data[:-1])
    assert find_built(plan_of(), out) is None, "another size"
    layer.unlink()
    assert find_built(plan_of(), out) is None, "no layer"
    layer.write_bytes(data)
    assert find_built(plan_of(), out) == built
    manifest = out / "image" / "blobs" / "sha256" / built.digest.hex
    manifest.write_bytes(manifest.read_bytes() + b" ")
    assert find_built(plan_of(), out) is None, "another manifest"


@pytest.mark.parametrize("text", ["", "{}", "null", "[]", '"x"', '{"recipe": 1}', "\x00"])
def test_an_artifact_of_another_time_is_no_answer(out: Path, text: str) -> None:
    build(out, image(NEW))
    (out / "image.json").write_text(text)
    assert find_built(plan_of(), out) is None


def test_a_new_plan_leaves_nothing_of_the_old_context(out: Path) -> None:
    write_rendered(plan_of("a" * 64, ("context/old.sh", "old"), ("context/both.sh", "1")), out)
    write_rendered(plan_of("b" * 64, ("context/both.sh", "2")), out)
    assert [(p.name, p.read_text(), p.stat().st_mode & 0o777) for p in (out / "context").iterdir()] == [
        ("both.sh", "2", 0o644)
    ]


def event(kind: EventKind, stage: str, seconds: float = 0.0, text: str = "") -> BuildEvent:
    return BuildEvent(
        kind=kind, vertex=1, stage=stage, step=1, steps=2, name="RUN x", seconds=seconds, text=text
    )


def test_the_seconds_of_a_stage_are_summed_up(out: Path) -> None:
    built = build(
        out,
        image(NEW),
        event("done", "compile", 1.25),
        event("done", "compile", 2.0),
        event("output", "compile", 99.0, "[1/2] building"),
        event("cached", "probe"),
        event("done", "", 5.0),
    )
    assert built.seconds.keys() == {"compile", "total"}
    assert built.seconds["compile"] == 3.25


def test_the_compile_caches_words_are_read() -> None:
    phases = Phases()
    for text in ("ccache: hits=10 misses=2", "ccache: hits=1 misses=0", "something of ccache: hits=x"):
        phases.see(event("output", "compile", text=text))
    assert (phases.hits, phases.misses) == (11, 2)
