"""What is asked of BuildKit for the layer cache, what is said of its answers, and a build whose cache is not whole."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from build.doors.buildx import BuildFailed
from build.doors.progress import BuildEvent, EventKind
from build.errors import WorkFailed
from build.image.build import build_image, write_rendered
from build.image.layercache import LayerCache
from build.image.model import BuiltImage
from build.namespaces import Namespace
from build.plan.model import ImagePlan
from tests.fakes import FakeBuilder, RecordingReporter
from tests.layouts import write_layout
from tests.unit.publish.images import make_plan

PLACE = Namespace(host="registry.example.org", path="me")
REF = "registry.example.org/me/layer-cache:mini"
FROM = f"mini.cache-from=type=registry,ref={REF}"


def event(kind: EventKind, name: str, text: str = "") -> BuildEvent:
    return BuildEvent(kind=kind, vertex=1, stage="", name=name, text=text)


def importing(kind: EventKind, text: str = "") -> BuildEvent:
    return event(kind, f"importing cache manifest from {REF}", text)


def exporting(kind: EventKind, text: str = "") -> BuildEvent:
    return event(kind, "exporting cache to registry", text)


LOST = event(
    "error",
    "exporting to oci image format",
    "failed to copy: httpReadSeeker: failed open: could not fetch content descriptor sha256:b1 from remote",
)


def cache(*, write: bool = False) -> tuple[LayerCache, RecordingReporter]:
    reporter = RecordingReporter()
    return LayerCache(place=PLACE, write=write, reporter=reporter), reporter


def plan() -> ImagePlan:
    bake = json.dumps({"target": {"mini": {"output": ["type=oci,dest=elsewhere"]}}})
    return replace(make_plan(), files=(("docker-bake.json", bake),))


def test_it_is_read_and_written_only_when_asked() -> None:
    assert cache()[0].options(plan()) == ("--set", FROM)
    assert cache(write=True)[0].options(plan()) == (
        "--set",
        FROM,
        "--set",
        f"mini.cache-to=type=registry,ref={REF},mode=max,image-manifest=true,oci-mediatypes=true,ignore-error=true,compression=gzip",
    )


def test_each_variant_has_a_tag_that_a_registry_takes() -> None:
    assert cache()[0].reference(replace(plan(), variant="no-vmm")) == f"{REF}_no-vmm"


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        (importing("error", "failed to configure registry cache importer: registry.example.org/me/layer-cache:mini: not found"),
         ("note", f"nothing in the layer cache yet: {REF}")),
        (importing("error", "dial tcp: connect: connection refused"),
         ("warning", "the layer cache cannot be read, so all is built here: dial tcp: connect: connection refused")),
        (exporting("error", "401 Unauthorized"),
         ("warning", "the layer cache was not written, other machines find nothing new: 401 Unauthorized")),
    ],
)  # fmt: skip
def test_what_a_person_should_know_is_said(seen: BuildEvent, said: tuple[str, str]) -> None:
    one, reporter = cache(write=True)
    for other in (importing("started"), importing("output", "inferred cache manifest type: x done")):
        one.see(other)
    one.see(seen)
    assert reporter.said == [said]
    assert not one.read


@dataclass
class Answering(FakeBuilder):
    """Answers each call with events of its own, and fails where they hold an error that ends a build."""

    answers: list[tuple[BuildEvent, ...]] = field(default_factory=list)
    asked: list[tuple[str, ...]] = field(default_factory=list)

    def bake(
        self,
        file: Path,
        targets: tuple[str, ...],
        *,
        on_event: Callable[[BuildEvent], None],
        options: tuple[str, ...] = (),
        log: Path,
        **others: object,
    ) -> None:
        self.asked.append(options)
        events = self.answers.pop(0)
        for one in events:
            on_event(one)
        super().bake(file, targets, log=log, on_event=on_event, options=options, **others)  # type: ignore[arg-type]
        if any(one.kind == "error" for one in events):
            raise BuildFailed(stage="", step=events[-1].name, tail=(events[-1].text,), log=log)


def built(
    out: Path, one: LayerCache | None, reporter: RecordingReporter, *answers: tuple[BuildEvent, ...]
) -> tuple[BuiltImage, Answering]:
    write_rendered(plan(), out)
    builder = Answering(writes=lambda _target, path: write_layout(path, [{"a": b"1"}]), answers=list(answers))
    return build_image(plan(), out, root=out.parent, builder=builder, reporter=reporter, cache=one), builder


def test_image_json_says_which_cache_was_read(tmp_path: Path) -> None:
    one, reporter = cache()
    assert built(tmp_path / "a", one, reporter, (importing("done"),))[0].layer_cache == REF
    one, reporter = cache()
    assert built(tmp_path / "b", one, reporter, ())[0].layer_cache == "", "nothing was found in it"
    image, builder = built(tmp_path / "c", None, reporter, ())
    assert image.layer_cache == ""
    assert not any("cache" in word for word in builder.asked[0])


def test_a_cache_that_is_not_whole_is_left_alone_and_all_is_built(tmp_path: Path) -> None:
    one, reporter = cache(write=True)
    image, builder = built(tmp_path / "out", one, reporter, (importing("done"), LOST), ())
    assert [FROM in options for options in builder.asked] == [True, False]
    assert all(any("cache-to" in word for word in options) for options in builder.asked), "and is made whole"
    assert image.layer_cache == ""
    assert reporter.said[-1] == (
        "warning",
        f"the layer cache is not whole, so all is built here: {LOST.text}",
    )
    assert not list((tmp_path / "out").glob(".image.*"))


@pytest.mark.parametrize(
    "answer",
    [(LOST,), (importing("done"), event("error", "RUN ninja", "process did not complete successfully"))],
    ids=["no cache was read", "a step failed"],
)
def test_other_failures_end_the_build(tmp_path: Path, answer: tuple[BuildEvent, ...]) -> None:
    one, reporter = cache()
    with pytest.raises(WorkFailed, match="the build failed"):
        built(tmp_path / "out", one, reporter, answer)
    assert not (tmp_path / "out" / "image.json").exists()


def test_the_hit_rate_is_said(tmp_path: Path) -> None:
    reporter = RecordingReporter()
    built(tmp_path / "out", None, reporter, (event("output", "x", "ccache: hits=28 misses=1"),))
    assert ("note", "mini: compile cache, 28 hits, 1 misses") in reporter.said
