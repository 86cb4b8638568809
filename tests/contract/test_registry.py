"""What push relies on in a registry, held against the fake and against the distribution's server on loopback."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from build.doors.download import ReadingRegistry
from build.doors.referrers import ReferrersRegistry
from build.errors import NothingSelected, WorkFailed
from build.publish.history import history
from build.publish.model import Attaching
from build.publish.pulled import pull
from build.publish.push import push
from build.publish.rollback import carry_out, plan_rollback
from build.recipe.refs import Digest, ImageRef
from build.report.inspect import Inspector
from build.settings import Namespace
from tests.fakes import FakeRegistry
from tests.unit.publish.images import make_pushable
from tests.unit.publish.published import Silent, Upstream, publish, recipe_at

OCI = "application/vnd.oci.image.manifest.v1+json"


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.engine)])
def registry(request: pytest.FixtureRequest, tmp_path: Path) -> Attaching:
    return FakeRegistry() if request.param == "fake" else ReferrersRegistry(docker_config=tmp_path)


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.engine)])
def readable(request: pytest.FixtureRequest, tmp_path: Path) -> FakeRegistry | ReadingRegistry:
    """A registry that images are read from too."""
    return FakeRegistry() if request.param == "fake" else ReadingRegistry(docker_config=tmp_path)


@pytest.fixture
def repository(request: pytest.FixtureRequest, registry: Attaching) -> ImageRef:
    """A repository that nobody used before."""
    host = "127.0.0.1:1" if isinstance(registry, FakeRegistry) else request.getfixturevalue("address")
    return ImageRef(registry=host, repository=f"team/{uuid4().hex}")


@pytest.fixture
def blob(tmp_path: Path) -> Callable[[bytes], tuple[Digest, Path]]:
    def make(data: bytes) -> tuple[Digest, Path]:
        name = hashlib.sha256(data).hexdigest()
        (tmp_path / name).write_bytes(data)
        return Digest(f"sha256:{name}"), tmp_path / name

    return make


Blob = Callable[[bytes], tuple[Digest, Path]]


def stored(registry: Attaching, repository: ImageRef, blob: Blob, content: bytes = b"layer") -> bytes:
    """Send the blobs of a small image and return its manifest."""
    entries = []
    for data in (b"{}", content):
        digest, path = blob(data)
        registry.push_blob(repository, digest, path)
        entries.append({"mediaType": "application/octet-stream", "digest": digest, "size": len(data)})
    return json.dumps(
        {"schemaVersion": 2, "mediaType": OCI, "config": entries[0], "layers": entries[1:]}
    ).encode()


def test_what_was_never_pushed_does_not_exist(registry: Attaching, repository: ImageRef) -> None:
    assert registry.manifest(replace(repository, tag="nothing")) is None
    assert registry.manifest(replace(repository, digest=Digest(f"sha256:{'0' * 64}"))) is None
    assert registry.has_blob(repository, Digest(f"sha256:{'0' * 64}")) is False
    assert registry.tags(repository) == ()


def test_a_blob_arrives_and_its_progress_is_told(
    registry: Attaching, repository: ImageRef, blob: Blob
) -> None:
    digest, path = blob(b"0123456789" * 100_000)
    counts: list[int] = []
    registry.push_blob(repository, digest, path, on_bytes=counts.append)
    assert registry.has_blob(repository, digest)
    assert counts == sorted(counts)
    assert counts[-1] == 1_000_000


def test_a_short_blob_is_read_back(registry: Attaching, repository: ImageRef, blob: Blob) -> None:
    digest, path = blob(b'{"config": 1}')
    registry.push_blob(repository, digest, path)
    assert registry.read_blob(repository, digest) == b'{"config": 1}'
    assert registry.read_blob(repository, Digest(f"sha256:{'0' * 64}")) is None


def test_a_blob_that_is_not_its_digest_is_refused(
    registry: Attaching, repository: ImageRef, blob: Blob
) -> None:
    digest, path = blob(b"good")
    path.write_bytes(b"evil")
    with pytest.raises(WorkFailed):
        registry.push_blob(repository, digest, path)
    assert not registry.has_blob(repository, digest)


def test_a_blob_is_mounted_from_another_repository(
    registry: Attaching, repository: ImageRef, blob: Blob
) -> None:
    digest, path = blob(b"shared")
    registry.push_blob(repository, digest, path)
    path.unlink()
    other = replace(repository, repository=f"{repository.repository}/other")
    registry.push_blob(other, digest, path, mount_from=repository.repository)
    assert registry.has_blob(other, digest)


def test_a_manifest_reads_back_by_tag_and_by_digest(
    registry: Attaching, repository: ImageRef, blob: Blob
) -> None:
    data = stored(registry, repository, blob)
    digest = registry.put_manifest(replace(repository, tag="one"), data, OCI)
    assert digest == f"sha256:{hashlib.sha256(data).hexdigest()}"
    for ref in (replace(repository, tag="one"), replace(repository, digest=digest)):
        found = registry.manifest(ref)
        assert found
        assert (found.digest, found.media_type, found.data) == (digest, OCI, data)


def test_a_manifest_without_its_blobs_is_refused(
    registry: Attaching, repository: ImageRef, blob: Blob
) -> None:
    data = stored(registry, repository, blob)
    elsewhere = replace(repository, repository=f"{repository.repository}/empty", tag="one")
    with pytest.raises(WorkFailed):
        registry.put_manifest(elsewhere, data, OCI)
    assert registry.manifest(elsewhere) is None


def test_a_tag_moves_and_the_old_image_stays(registry: Attaching, repository: ImageRef, blob: Blob) -> None:
    tag = replace(repository, tag="latest")
    old = registry.put_manifest(tag, stored(registry, repository, blob, b"old"), OCI)
    new = registry.put_manifest(tag, stored(registry, repository, blob, b"new"), OCI)
    found = registry.manifest(tag)
    assert found
    assert found.digest == new != old
    assert registry.manifest(replace(repository, digest=old)) is not None
    registry.put_manifest(replace(repository, tag="also"), found.data, OCI)
    assert sorted(registry.tags(repository)) == ["also", "latest"]


def test_a_whole_image_is_pushed_and_pushed_again(
    registry: Attaching, repository: ImageRef, tmp_path: Path
) -> None:
    image = make_pushable(tmp_path / "image", b"base" * 1_000_000, b"server")
    namespace = Namespace(host=repository.registry, path=repository.repository)
    receipts = [
        push(image.verified, image.plan, image.layout, namespace, registry, Silent()) for _ in range(2)
    ]
    assert receipts[0] == receipts[1]
    for text in receipts[0].refs:
        found = registry.manifest(ImageRef.parse(text))
        assert found
        assert found.digest == image.verified.built.digest


def test_an_image_that_was_pushed_is_pulled_to_the_same_bytes(
    request: pytest.FixtureRequest, readable: FakeRegistry | ReadingRegistry, tmp_path: Path
) -> None:
    host = "127.0.0.1:1" if isinstance(readable, FakeRegistry) else request.getfixturevalue("address")
    image = make_pushable(tmp_path / "image", b"base" * 1_000_000, b"server")
    namespace = Namespace(host=host, path=f"team/{uuid4().hex}")
    receipt = push(image.verified, image.plan, image.layout, namespace, readable, Silent())
    ref = ImageRef.parse(next(iter(receipt.refs)))
    pulled = pull(ref, tmp_path / "cache", readable, Silent())
    blobs = {path.name: path.read_bytes() for path in (image.layout / "blobs" / "sha256").iterdir()}
    found = {path.name: path.read_bytes() for path in (pulled.layout.path / "blobs" / "sha256").iterdir()}
    assert found == blobs
    assert pulled.ref.digest == image.verified.built.digest


def test_a_blob_that_is_not_there_is_no_file(
    request: pytest.FixtureRequest, readable: FakeRegistry | ReadingRegistry, tmp_path: Path
) -> None:
    host = "127.0.0.1:1" if isinstance(readable, FakeRegistry) else request.getfixturevalue("address")
    repository = ImageRef(registry=host, repository=f"team/{uuid4().hex}")
    with pytest.raises(WorkFailed, match="answered 404 when asked for blob"):
        readable.save_blob(repository, Digest(f"sha256:{'0' * 64}"), 1, tmp_path / "blob")
    assert not (tmp_path / "blob").exists()


def test_what_was_pushed_is_its_history_and_can_be_gone_back_to(
    registry: Attaching, repository: ImageRef, tmp_path: Path
) -> None:
    namespace = Namespace(host=repository.registry, path=repository.repository)
    states = [Upstream(number=number) for number in (1, 2, 10)]
    receipts = [publish(registry, namespace, tmp_path, state) for state in states]
    recipe = recipe_at(states[-1])
    found = history(recipe, namespace, registry, Silent())
    assert [image.version for image in found.images] == ["b10", "b2", "b1"]
    assert [image.digest for image in found.images] == [receipt.digest for receipt in reversed(receipts)]
    assert found.images[0].moving_tags == ("b10", "latest")
    plan = plan_rollback(recipe, "", namespace, registry, Silent())
    latest = ImageRef.parse(f"{found.repository}:latest")
    there = registry.manifest(latest)
    assert there
    assert there.digest == receipts[2].digest, "a plan moves nothing"
    done = carry_out(plan, registry, Silent())
    there = registry.manifest(latest)
    assert there
    assert there.digest == done.digest == receipts[1].digest
    after = history(recipe, namespace, registry, Silent())
    assert {image.version: image.moving_tags for image in after.images} == {
        "b10": ("b10",), "b2": ("b2", "latest"), "b1": ("b1",),
    }  # fmt: skip


def test_nothing_there_is_an_answer(registry: Attaching, repository: ImageRef) -> None:
    namespace = Namespace(host=repository.registry, path=repository.repository)
    recipe = recipe_at(Upstream(number=1))
    assert history(recipe, namespace, registry, Silent()).images == ()
    with pytest.raises(NothingSelected):
        plan_rollback(recipe, "", namespace, registry, Silent())


def test_an_image_says_of_itself_what_was_pushed(
    registry: Attaching, repository: ImageRef, tmp_path: Path
) -> None:
    namespace = Namespace(host=repository.registry, path=repository.repository)
    state = Upstream(number=3)
    receipt = publish(registry, namespace, tmp_path, state)
    one = Inspector(out=tmp_path / "out", recipes={}, registry=lambda: registry)
    for ref, digest in receipt.refs.items():
        found = one.inspect(ref)
        assert (found.digest, found.commit, found.fingerprint) == (digest, state.commit, state.fingerprint)
        assert one.inspect(f"{ref.rpartition(':')[0]}@{digest}").layers == found.layers
    with pytest.raises(NothingSelected, match="is not in the registry"):
        one.inspect(f"{repository}:never-pushed")
