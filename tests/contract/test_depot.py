"""Bundles in a registry, held against the fake and against the distribution's server on loopback."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from build.doors import store
from build.doors.bakefile import layout_digest
from build.doors.platforms import TARGET, Platform
from build.doors.referrers import ReferrersRegistry
from build.errors import NothingSelected, Unreachable, WorkFailed
from build.host import registry as server
from build.image.layout import open_layout
from build.pin.model import PinnedImage
from build.plan.model import ImagePlan
from build.publish.attach import Artifact, ArtifactFile, attach
from build.publish.depot import CUSTODY, deposit, fetch, held
from build.publish.push import push
from build.recipe.refs import ImageRef
from build.settings import Namespace, from_env
from tests.fakes import FakeRegistry, RecordingReporter
from tests.layouts import write_layout
from tests.unit.publish.images import make_pushable
from tests.unit.publish.published import Silent

Custodian = FakeRegistry | ReferrersRegistry
CONFIG = "application/vnd.ingot.custody.config.v1+json"


@dataclass(frozen=True, kw_only=True)
class Held:
    """An image in a registry, and its bundle on disk."""

    subject: ImageRef
    plan: ImagePlan
    bundle: Path
    namespace: Namespace
    registry: Any

    def deposited(self) -> Artifact:
        return deposit(self.bundle, self.plan, self.subject, self.namespace, self.registry, Silent())

    def attached(self) -> None:
        attach(self.subject, (self.deposited(),), self.registry, Silent())

    def fetched(self, cache: Path) -> Path:
        return fetch(self.subject, self.plan.fingerprint, cache, self.registry, Silent())


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.engine)])
def given(request: pytest.FixtureRequest, tmp_path: Path) -> Held:
    if request.param == "fake":
        return hold(tmp_path, FakeRegistry(), "127.0.0.1:1")
    return hold(tmp_path, ReferrersRegistry(docker_config=tmp_path), request.getfixturevalue("address"))


@pytest.fixture
def fake(tmp_path: Path) -> Held:
    return hold(tmp_path, FakeRegistry(), "127.0.0.1:1")


def hold(folder: Path, registry: Custodian, host: str, runs_on: Platform = TARGET) -> Held:
    image = make_pushable(folder / "image", b"base", b"server")
    namespace = Namespace(host=host, path=f"team/{uuid4().hex}")
    receipt = push(image.verified, image.plan, image.layout, namespace, registry, Silent())
    bundle = folder / "bundle"
    for name, text in (
        ("recipe.yaml", "name: mini\n"), ("pin.json", "{}"), ("source.tar", "tar"),
        ("patches/mini/0001-a.patch", "diff"), ("locks/cuda-13.0.txt", "wheels"),
    ):  # fmt: skip
        store.write_text(bundle / name, text)
    pinned = {
        name: PinnedImage(
            lock=digit * 64, origin="", packages=(), platform=platform,
            digest=layout_digest(write_layout(bundle / name, trees, how="", platform=platform)),
        )
        for name, digit, trees, platform in (
            ("toolchain", "1", [b"gcc"], runs_on), ("base", "2", [b"base", b"more"], TARGET),
        )
    }  # fmt: skip
    plan = replace(
        image.plan, pin=replace(image.plan.pin, toolchain=pinned["toolchain"], base=pinned["base"])
    )
    store.write_artifact(bundle / "plan.json", plan)
    subject = replace(ImageRef.parse(next(iter(receipt.refs))), tag="", digest=receipt.digest)
    return Held(subject=subject, plan=plan, bundle=bundle, namespace=namespace, registry=registry)


def files(folder: Path) -> dict[str, bytes]:
    found = {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }
    # An index says beside the digest what a tool wishes; the digest is compared on its own.
    return {name: data for name, data in found.items() if not name.endswith(("index.json", "oci-layout"))}


def test_what_is_attached_is_fetched_to_the_byte(given: Held, tmp_path: Path) -> None:
    given.attached()
    found = given.fetched(tmp_path / "cache")
    assert files(found) == files(given.bundle)
    for name in ("toolchain", "base"):
        assert layout_digest(found / name) == layout_digest(given.bundle / name)


def test_toolchain_and_base_are_images_of_their_own(given: Held) -> None:
    given.attached()
    for name, digit in (("toolchain", "1"), ("base", "2")):
        digest = layout_digest(given.bundle / name)
        repository = ImageRef(
            registry=given.subject.registry, repository=f"{given.namespace.path}/ingot-{name}"
        )
        tag = f"{digit * 12}-{digest.hex[:12]}"
        assert given.registry.tags(repository) == (tag,)
        found = given.registry.manifest(replace(repository, tag=tag))
        assert found
        assert found.digest == digest


def test_doing_it_again_adds_nothing(given: Held) -> None:
    given.attached()
    before = given.registry.referrers(given.subject), given.registry.tags(given.subject)
    reporter = RecordingReporter()
    again = deposit(given.bundle, given.plan, given.subject, given.namespace, given.registry, reporter)
    attach(given.subject, (again,), given.registry, reporter)
    assert (given.registry.referrers(given.subject), given.registry.tags(given.subject)) == before
    assert [words for kind, words in reporter.said if kind == "verdict"] == ["already there"] * 3


def test_what_was_fetched_is_not_asked_for_again_unless_it_was_changed(given: Held, tmp_path: Path) -> None:
    given.attached()
    found = given.fetched(tmp_path / "cache")
    kept = found / "marker"
    kept.write_text("not replaced")
    assert given.fetched(tmp_path / "cache") == found
    assert kept.exists()
    (found / "patches" / "mini" / "0001-a.patch").write_text("evil")
    assert files(given.fetched(tmp_path / "cache")) == files(given.bundle)


def test_a_toolchain_that_was_changed_below_the_cache_is_pulled_again(given: Held, tmp_path: Path) -> None:
    given.attached()
    found = given.fetched(tmp_path / "cache")
    digest = layout_digest(found / "toolchain")
    manifest = json.loads((found / "toolchain" / "blobs" / "sha256" / digest.hex).read_bytes())
    layer = manifest["layers"][0]["digest"].removeprefix("sha256:")
    pulled = tmp_path / "cache" / "pulled" / digest.hex / "blobs" / "sha256" / layer
    pulled.write_bytes(b"evil")
    store.discard(found)
    assert files(given.fetched(tmp_path / "cache")) == files(given.bundle)


def test_a_toolchain_that_runs_on_another_architecture_is_fetched(fake: Held, tmp_path: Path) -> None:
    registry = FakeRegistry()
    arm = hold(tmp_path / "arm", registry, "127.0.0.1:1", runs_on="linux/arm64")
    arm.attached()
    found = arm.fetched(tmp_path / "cache")
    assert open_layout(found / "toolchain", platform="linux/arm64").digest == layout_digest(
        arm.bundle / "toolchain"
    )
    store.discard(found)
    registry.calls.clear()
    arm.fetched(tmp_path / "cache")
    assert not [call for call in registry.calls if "ingot-toolchain" in call], (
        "what is below the cache is not asked for again"
    )


def test_a_plan_that_is_none_names_no_toolchain(fake: Held, tmp_path: Path) -> None:
    good = fake.deposited()
    other = ArtifactFile(path=fake.bundle / "pin.json", title="plan.json", media_type="application/json")
    files = tuple(other if file.title == "plan.json" else file for file in good.files)
    message = refusal_of_places(fake, replace(good, files=files), tmp_path / "cache")
    assert "its plan.json names no toolchain, or is of another version of the pipeline" in message


def test_a_fetch_that_was_cut_short_goes_on(fake: Held, tmp_path: Path) -> None:
    fake.attached()
    whole = FakeRegistry()
    for name in ("blobs", "manifests", "tagged", "listed"):
        setattr(whole, name, getattr(fake.registry, name))
    whole.fail_at = 6
    cut = replace(fake, registry=whole)
    with pytest.raises(Unreachable):
        cut.fetched(tmp_path / "cache")
    assert not [path for path in (tmp_path / "cache" / "custody").iterdir() if not path.name.startswith(".")]
    saved = [call for call in whole.calls if call.startswith("save_blob")][:-1]
    assert saved
    whole.calls.clear()
    whole.fail_at = 0
    found = cut.fetched(tmp_path / "cache")
    assert files(found) == files(fake.bundle)
    assert not set(saved) & set(whole.calls), "what was whole is not asked for again"


def test_without_a_bundle_nothing_is_made_up(given: Held, tmp_path: Path) -> None:
    with pytest.raises(NothingSelected) as error:
        given.fetched(tmp_path / "cache")
    assert error.value.message == (
        f"{given.subject} has no bundle attached: what it was built from is not in the registry"
    )
    assert "--custody" in error.value.hint


def test_a_bundle_of_another_fingerprint_is_refused(given: Held, tmp_path: Path) -> None:
    given.attached()
    (one,) = held(given.subject, given.registry)
    with pytest.raises(WorkFailed) as error:
        fetch(given.subject, "e" * 64, tmp_path / "cache", given.registry, Silent())
    assert error.value.message == (
        f"the bundle {replace(given.subject, digest=one.digest)} is of an image with the fingerprint {'f' * 64}, "
        f"{given.subject} has {'e' * 64}"
    )


def refusal(given: Held, artifact: Artifact, cache: Path) -> str:
    attach(given.subject, (artifact,), given.registry, Silent())
    with pytest.raises(WorkFailed) as error:
        given.fetched(cache)
    assert not [path for path in cache.rglob("*") if path.is_file() and path.suffix != ".lock"]
    return error.value.message


@pytest.mark.parametrize(
    "title",
    ["../escape", "/etc/passwd", "toolchain/index.json", "patches/../../x", "notes.txt", "recipe.yaml", "patches/./x", ""],
)  # fmt: skip
def test_a_file_that_no_bundle_has_is_refused(fake: Held, tmp_path: Path, title: str) -> None:
    good = fake.deposited()
    evil = ArtifactFile(path=fake.bundle / "pin.json", title=title, media_type="text/plain")
    message = refusal(fake, replace(good, files=(*good.files, evil)), tmp_path / "cache")
    assert f"it lists '{title}' of 2 bytes, which no bundle has" in message


def test_a_bundle_that_lacks_a_file_is_refused(fake: Held, tmp_path: Path) -> None:
    good = fake.deposited()
    fewer = tuple(file for file in good.files if file.title not in {"plan.json", "source.tar"})
    assert "it lacks plan.json, source.tar" in refusal(fake, replace(good, files=fewer), tmp_path / "cache")


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (b"{}", "its configuration is not there, or of another version of the pipeline"),
        (b"\xff", "its configuration is not there, or of another version of the pipeline"),
        (
            b'{"fingerprint": "%s", "toolchain": "../x@sha256:0", "base": "b"}' % (b"f" * 64),
            "'../x@sha256:0' names no image",
        ),
        (
            b'{"fingerprint": "%s", "toolchain": "team/x:latest", "base": "b"}' % (b"f" * 64),
            "'team/x:latest' names no digest",
        ),
    ],
)
def test_places_that_are_none_are_refused(fake: Held, tmp_path: Path, config: bytes, words: str) -> None:
    message = refusal_of_places(fake, replace(fake.deposited(), config=config), tmp_path / "cache")
    assert words in message


def refusal_of_places(given: Held, artifact: Artifact, cache: Path) -> str:
    attach(given.subject, (artifact,), given.registry, Silent())
    with pytest.raises(WorkFailed) as error:
        given.fetched(cache)
    assert not list(cache.glob("custody/[!.]*"))
    return error.value.message


def test_a_bundle_that_is_listed_for_another_image_is_refused(fake: Held, tmp_path: Path) -> None:
    fake.attached()
    other = make_pushable(tmp_path / "other", b"base", b"other")
    receipt = push(other.verified, replace(other.plan, tag="other"), other.layout, fake.namespace, fake.registry, Silent())  # fmt: skip
    subject = replace(fake.subject, digest=receipt.digest)
    fake.registry.refer(subject, held(fake.subject, fake.registry))
    with pytest.raises(WorkFailed, match=f"it belongs to {fake.subject.digest}, not to {subject.digest}"):
        fetch(subject, fake.plan.fingerprint, tmp_path / "cache", fake.registry, Silent())


@pytest.mark.engine
def test_bytes_that_are_not_what_was_promised_are_no_file(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The registry's own storage, changed behind its back."""
    cache = tmp_path_factory.mktemp("changed")
    settings = from_env({"INGOT_CACHE": str(cache)}, Path.cwd())
    try:
        given = hold(
            tmp_path, ReferrersRegistry(docker_config=tmp_path), server.start(settings, Silent()).address
        )
        given.attached()
        name = store.sha256_file(given.bundle / "source.tar")
        (stored,) = cache.rglob(f"blobs/sha256/{name[:2]}/{name}/data")
        stored.write_bytes(b"rat")
        with pytest.raises(WorkFailed, match=f"blob sha256:{name} arrived as sha256:"):
            given.fetched(tmp_path / "cache")
        assert not list((tmp_path / "cache").rglob("source.tar"))
    finally:
        server.stop(settings, purge=True)


def test_the_artifact_is_what_it_says(given: Held) -> None:
    given.attached()
    (one,) = held(given.subject, given.registry)
    found = given.registry.manifest(replace(given.subject, digest=one.digest))
    document = json.loads(found.data)
    assert (document["artifactType"], document["config"]["mediaType"]) == (CUSTODY, CONFIG)
    assert [layer["annotations"]["org.opencontainers.image.title"] for layer in document["layers"]] == [
        "locks/cuda-13.0.txt", "patches/mini/0001-a.patch", "pin.json", "plan.json", "recipe.yaml", "source.tar",
    ]  # fmt: skip
