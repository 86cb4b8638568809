"""push, against a registry that is lost at every call in turn."""

import json
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from build.doors import store
from build.errors import SmokeFailed, Unreachable, WorkFailed
from build.image.layout import BrokenLayout
from build.publish.model import Manifest, PushReceipt
from build.publish.push import push
from build.recipe.refs import Digest, ImageRef
from build.settings import Namespace
from build.smoke.model import VerifiedImage
from tests.fakes import FakeRegistry
from tests.unit.publish.images import TAG, Pushable, make_pushable

NAMESPACE = Namespace(host="registry.example.org", path="team")
REPOSITORY = "registry.example.org/team/minifork"
REF = ImageRef(registry="registry.example.org", repository="team/minifork")


@dataclass
class Spoken:
    """A reporter and each of its steps, written down."""

    said: list[str] = field(default_factory=list)

    def step(self, title: str, *, parallel: bool = False) -> AbstractContextManager["Spoken"]:  # noqa: ARG002
        self.said.append(title)
        return nullcontext(self)

    def update(self, detail: str) -> None:
        self.said.append(detail)

    def verdict(self, word: str) -> None:
        self.said.append(f"= {word}")

    def output(self, line: str) -> None: ...

    def note(self, message: str) -> None: ...

    def warning(self, message: str) -> None: ...

    def error(self, message: str, hint: str = "") -> None: ...

    def summary(self, title: str, header: tuple[str, ...], rows: tuple[tuple[str, ...], ...]) -> None: ...


@pytest.fixture
def pushable(tmp_path: Path) -> Pushable:
    return make_pushable(tmp_path / "image", b"base layer" * 300_000, b"server layer")


def send(image: Pushable, registry: FakeRegistry, reporter: Spoken | None = None) -> PushReceipt:
    return push(image.verified, image.plan, image.layout, NAMESPACE, registry, reporter or Spoken())


def test_blobs_then_the_immutable_tag_read_back_then_the_moving_tags(pushable: Pushable) -> None:
    registry, built = FakeRegistry(), pushable.verified.built
    receipt = send(pushable, registry)
    first, second = (layer.digest for layer in built.layers)
    assert registry.calls == [
        f"manifest {TAG}",
        f"has_blob {first}", f"push_blob {first}",
        f"has_blob {second}", f"push_blob {second}",
        f"has_blob {built.config_digest}", f"push_blob {built.config_digest}",
        f"put_manifest {TAG}", f"manifest {TAG}",
        "manifest latest", "put_manifest latest", "manifest latest",
        "manifest stable", "put_manifest stable", "manifest stable",
    ]  # fmt: skip
    names = (TAG, "latest", "stable")
    assert receipt == PushReceipt(
        digest=built.digest, refs={f"{REPOSITORY}:{name}": built.digest for name in names}
    )
    assert list(receipt.refs) == [f"{REPOSITORY}:{name}" for name in names]
    stored = registry.manifest(ImageRef.parse(f"{REPOSITORY}@{built.digest}"))
    assert stored
    assert stored.data == (pushable.layout / "blobs" / "sha256" / built.digest.hex).read_bytes()


def test_pushing_again_uploads_nothing(pushable: Pushable) -> None:
    registry, spoken = FakeRegistry(), Spoken()
    receipt = send(pushable, registry)
    registry.calls.clear()
    assert send(pushable, registry, spoken) == receipt
    assert registry.calls == [f"manifest {TAG}", "manifest latest", "manifest stable"]
    assert spoken.said == [
        f"push {REPOSITORY}:{TAG}", "= already there",
        f"tag {REPOSITORY}:latest", "= already there",
        f"tag {REPOSITORY}:stable", "= already there",
    ]  # fmt: skip


def test_blobs_that_are_there_are_not_sent(pushable: Pushable) -> None:
    registry, base = FakeRegistry(), pushable.verified.built.layers[0].digest
    registry.blobs[REPOSITORY, base] = (pushable.layout / "blobs" / "sha256" / base.hex).read_bytes()
    spoken = Spoken()
    send(pushable, registry, spoken)
    assert f"push_blob {base}" not in registry.calls
    assert "layer 2, 3.0 MB of 3.0 MB" in spoken.said
    assert "= 0.0 MB sent of 3.0 MB" in spoken.said


def test_an_immutable_tag_is_never_overwritten(pushable: Pushable, tmp_path: Path) -> None:
    registry = FakeRegistry()
    send(pushable, registry)
    other = make_pushable(tmp_path / "other", b"other bytes")
    registry.calls.clear()
    with pytest.raises(WorkFailed) as caught:
        send(other, registry)
    before, after = pushable.verified.built.digest, other.verified.built.digest
    assert caught.value.message == (
        f"{REPOSITORY}:{TAG} exists and is {before}, not {after}: an immutable tag is never overwritten"
    )
    assert registry.calls == [f"manifest {TAG}"]
    assert set(registry.tagged[REPOSITORY].values()) == {before}


@pytest.mark.parametrize("heard", [False, True])
@pytest.mark.parametrize("fail_at", range(1, 16))
def test_lost_at_any_call_nothing_is_half_done_and_a_second_push_completes_it(
    pushable: Pushable, tmp_path: Path, *, fail_at: int, heard: bool
) -> None:
    old = make_pushable(tmp_path / "old", b"old bytes")
    registry = FakeRegistry()
    send(replace(old, plan=replace(old.plan, tag="0.9-old")), registry)
    before = dict(registry.tagged[REPOSITORY])
    registry.calls.clear()
    registry.fail_at, registry.heard = fail_at, heard
    with pytest.raises(Unreachable):
        send(pushable, registry)
    built = pushable.verified.built
    now = registry.tagged[REPOSITORY]
    immutable_proven = fail_at > 9
    assert all(
        now[name] == before[name] for name in ("0.9-old", *(() if immutable_proven else ("latest", "stable")))
    )
    for digest in now.values():
        document = json.loads(registry.manifests[REPOSITORY, digest].data)
        assert all(
            (REPOSITORY, entry["digest"]) in registry.blobs
            for entry in (document["config"], *document["layers"])
        )
    registry.fail_at = 0
    receipt = send(pushable, registry)
    assert set(receipt.refs.values()) == {built.digest}
    assert registry.tagged[REPOSITORY] == {"0.9-old": before["0.9-old"], TAG: built.digest,
                                           "latest": built.digest, "stable": built.digest}  # fmt: skip


def test_a_layer_changed_after_smoke_is_refused(pushable: Pushable) -> None:
    layer = pushable.verified.built.layers[1]
    (pushable.layout / "blobs" / "sha256" / layer.digest.hex).write_bytes(b"x" * layer.size)
    registry = FakeRegistry()
    with pytest.raises(WorkFailed, match="another digest"):
        send(pushable, registry)
    assert registry.tagged == {}


def test_a_missing_layer_is_refused_before_anything_is_asked(pushable: Pushable) -> None:
    (pushable.layout / "blobs" / "sha256" / pushable.verified.built.layers[1].digest.hex).unlink()
    registry = FakeRegistry()
    with pytest.raises(BrokenLayout):
        send(pushable, registry)
    assert registry.calls == []


def test_another_image_in_the_layout_is_refused(pushable: Pushable, tmp_path: Path) -> None:
    other = make_pushable(tmp_path / "other", b"other bytes")
    registry = FakeRegistry()
    with pytest.raises(WorkFailed) as caught:
        send(replace(pushable, layout=other.layout), registry)
    assert caught.value.message == (
        f"{other.layout} holds {other.verified.built.digest}, smoke-tested was {pushable.verified.built.digest}"
    )
    assert registry.calls == []


def test_a_plan_that_is_newer_than_the_image_is_refused(pushable: Pushable) -> None:
    registry = FakeRegistry()
    with pytest.raises(WorkFailed, match="planned anew after it was built") as caught:
        send(replace(pushable, plan=replace(pushable.plan, fingerprint="e" * 64)), registry)
    assert caught.value.hint == "build it: `nox -s build -- mini`"
    assert registry.calls == []


def test_a_tag_that_reads_back_otherwise_is_an_error_and_moves_no_tag(pushable: Pushable) -> None:
    class Liar(FakeRegistry):
        def put_manifest(self, ref: ImageRef, data: bytes, media_type: str) -> Digest:
            super().put_manifest(ref, data, media_type)
            other = Manifest(digest=Digest(f"sha256:{'1' * 64}"), media_type=media_type, data=b"")
            self.manifests[REPOSITORY, other.digest] = other
            self.tagged[REPOSITORY][ref.tag] = other.digest
            return other.digest

    registry = Liar()
    with pytest.raises(WorkFailed, match="reads back as sha256:1111"):
        send(pushable, registry)
    assert set(registry.tagged[REPOSITORY]) == {TAG}


def test_without_a_passed_report_there_is_nothing_to_push(pushable: Pushable) -> None:
    report = replace(pushable.verified.report, digest=Digest(f"sha256:{'2' * 64}"))
    with pytest.raises(SmokeFailed):
        VerifiedImage(built=pushable.verified.built, report=report)


def test_the_receipt_is_written_and_read_back(pushable: Pushable, tmp_path: Path) -> None:
    receipt = send(pushable, FakeRegistry())
    store.write_artifact(tmp_path / "push.json", receipt)
    document = json.loads((tmp_path / "push.json").read_text())
    assert document["refs"] == {
        str(replace(REF, tag=name)): receipt.digest for name in (TAG, "latest", "stable")
    }
    assert set(document) == {"digest", "refs", "attached"}
    assert store.read_artifact(tmp_path / "push.json", PushReceipt, made_by="nox -s push") == receipt
