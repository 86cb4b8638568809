"""Attaching, held against the fake and against the distribution's server on loopback, which has no referrers API."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from build.doors.distribution import digest_of
from build.doors.referrers import Referrer, ReferrersRegistry, fallback_tag
from build.doors.registry import Manifest
from build.errors import WorkFailed
from build.publish.attach import CYCLONEDX, IN_TOTO, Artifact, attach, bill_of_materials, statement
from build.publish.model import Attaching
from build.publish.push import push
from build.recipe.refs import ImageRef
from build.settings import Namespace
from tests.fakes import FakeRegistry, RecordingReporter
from tests.unit.publish.images import make_pushable
from tests.unit.publish.published import Silent

OCI = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.engine)])
def registry(request: pytest.FixtureRequest, tmp_path: Path) -> Attaching:
    return FakeRegistry() if request.param == "fake" else ReferrersRegistry(docker_config=tmp_path)


@pytest.fixture
def namespace(request: pytest.FixtureRequest, registry: Attaching) -> Namespace:
    host = "127.0.0.1:1" if isinstance(registry, FakeRegistry) else request.getfixturevalue("address")
    return Namespace(host=host, path=f"team/{uuid4().hex}")


def artifacts(folder: Path, text: str = "{}") -> tuple[Artifact, ...]:
    for name in ("sbom.cdx.json", "provenance.json"):
        (folder / name).write_text(text)
    return bill_of_materials(folder / "sbom.cdx.json"), statement(folder / "provenance.json")


def pushed(namespace: Namespace, registry: Attaching, folder: Path) -> ImageRef:
    image = make_pushable(folder / "image", b"base", b"server")
    receipt = push(image.verified, image.plan, image.layout, namespace, registry, Silent())
    return replace(ImageRef.parse(next(iter(receipt.refs))), tag="", digest=receipt.digest)


@pytest.fixture
def subject(namespace: Namespace, registry: Attaching, tmp_path: Path) -> ImageRef:
    return pushed(namespace, registry, tmp_path)


def manifest(registry: Attaching, ref: ImageRef) -> Manifest:
    found = registry.manifest(ref)
    assert found
    return found


def test_what_is_attached_is_listed_and_read_back(
    registry: Attaching, subject: ImageRef, tmp_path: Path
) -> None:
    before = manifest(registry, subject)
    given = attach(subject, artifacts(tmp_path, '{"a": 1}'), registry, Silent())
    assert manifest(registry, subject) == before, "the image is what it was"
    listed = registry.referrers(subject)
    assert {one.artifact_type: one.digest for one in listed} == given
    assert set(given) == {CYCLONEDX, IN_TOTO}
    for one in listed:
        found = manifest(registry, replace(subject, digest=one.digest))
        document = json.loads(found.data)
        assert len(found.data) == one.size
        assert document["subject"] == {"mediaType": OCI, "digest": before.digest, "size": len(before.data)}
        assert document["artifactType"] == one.artifact_type
        assert document["config"]["mediaType"] == "application/vnd.oci.empty.v1+json"
        (layer,) = document["layers"]
        assert registry.read_blob(subject, layer["digest"]) == b'{"a": 1}'
    (provenance,) = [one for one in listed if one.artifact_type == IN_TOTO]
    assert provenance.annotations == (("in-toto.io/predicate-type", "https://slsa.dev/provenance/v1"),)


def test_attaching_twice_attaches_nothing_twice(
    registry: Attaching, subject: ImageRef, tmp_path: Path
) -> None:
    given = attach(subject, artifacts(tmp_path), registry, Silent())
    listed, tags = registry.referrers(subject), registry.tags(subject)
    reporter = RecordingReporter()
    assert attach(subject, artifacts(tmp_path), registry, reporter) == given
    assert (registry.referrers(subject), registry.tags(subject)) == (listed, tags)
    assert reporter.said[-1] == ("verdict", "already there")


def test_another_statement_is_added_and_the_first_one_kept(
    registry: Attaching, subject: ImageRef, tmp_path: Path
) -> None:
    attach(subject, artifacts(tmp_path, "1"), registry, Silent())
    attach(subject, artifacts(tmp_path, "2"), registry, Silent())
    assert len(registry.referrers(subject)) == 4


def test_an_image_that_is_not_there_gets_nothing(
    registry: Attaching, subject: ImageRef, tmp_path: Path
) -> None:
    nowhere = replace(subject, repository=f"{subject.repository}/nowhere")
    with pytest.raises(WorkFailed, match="is not in the registry, so nothing can be attached to it"):
        attach(nowhere, artifacts(tmp_path), registry, Silent())
    assert registry.tags(nowhere) == ()


def test_attached_before_a_moving_tag_leads_to_the_image(
    registry: Attaching, namespace: Namespace, tmp_path: Path
) -> None:
    image = make_pushable(tmp_path / "image", b"base", b"server")
    seen: list[tuple[str, ...]] = []

    def attach_all(subject: ImageRef) -> dict[str, Any]:
        seen.append(registry.tags(subject))
        return dict(attach(subject, artifacts(tmp_path), registry, Silent()))

    receipt = push(image.verified, image.plan, image.layout, namespace, registry, Silent(), attach=attach_all)
    assert seen == [(image.plan.tag,)]
    assert set(receipt.attached) == {CYCLONEDX, IN_TOTO}


class _Watched(ReferrersRegistry):
    """The real thing, and somebody else who writes the list at the worst moment: before the nth look at it."""

    def __init__(self, folder: Path, number: int, rival: Callable[[], None]) -> None:
        super().__init__(docker_config=folder, sleep=lambda _seconds: None)
        self._left = number
        self._rival = rival

    def manifest(self, ref: ImageRef) -> Manifest | None:
        if ref.tag.startswith("sha256-"):
            self._left -= 1
            if self._left == 0:
                self._rival()
        return super().manifest(ref)


def foreign(subject: ImageRef, plain: ReferrersRegistry, letter: str) -> Referrer:
    """Push a manifest of somebody else's tool."""
    image = manifest(plain, subject)
    data = json.dumps({**json.loads(image.data), "annotations": {"by": letter}}).encode()
    plain.put_manifest(replace(subject, digest=digest_of(data)), data, OCI)
    return Referrer(digest=digest_of(data), media_type=OCI, size=len(data), artifact_type="application/x")


def overwrite(subject: ImageRef, plain: ReferrersRegistry, *entries: Referrer) -> None:
    """Write the list as a client does that looks at nothing."""
    listed = [
        {"mediaType": one.media_type, "digest": one.digest, "size": one.size, "theirs": 1} for one in entries
    ]
    data = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": listed}).encode()
    plain.put_manifest(fallback_tag(subject), data, INDEX)


@pytest.fixture
def plain(tmp_path: Path) -> ReferrersRegistry:
    return ReferrersRegistry(docker_config=tmp_path)


@pytest.fixture
def image(address: str, plain: ReferrersRegistry, tmp_path: Path) -> ImageRef:
    return pushed(Namespace(host=address, path=f"team/{uuid4().hex}"), plain, tmp_path)


@pytest.mark.engine
def test_entries_of_others_are_kept_as_they_are(
    image: ImageRef, plain: ReferrersRegistry, tmp_path: Path
) -> None:
    theirs = foreign(image, plain, "them")
    overwrite(image, plain, theirs)
    attach(image, artifacts(tmp_path), plain, Silent())
    index = json.loads(manifest(plain, fallback_tag(image)).data)
    assert index["manifests"][0] == {
        "mediaType": OCI, "digest": theirs.digest, "size": theirs.size, "theirs": 1
    }  # fmt: skip
    assert len(index["manifests"]) == 3


@pytest.mark.engine
def test_an_entry_whose_manifest_is_gone_does_not_stop_the_others(
    image: ImageRef, plain: ReferrersRegistry, tmp_path: Path
) -> None:
    theirs = foreign(image, plain, "them")
    overwrite(image, plain, theirs)
    url = f"http://{image.registry}/v2/{image.repository}/manifests/{theirs.digest}"
    with plain._web.open("DELETE", url) as answer:
        assert answer.status == 202
    attach(image, artifacts(tmp_path), plain, Silent())
    assert {one.artifact_type for one in plain.referrers(image)} == {CYCLONEDX, IN_TOTO}


@pytest.mark.engine
@pytest.mark.parametrize("number", [3, 4], ids=["between look and write", "after the write"])
def test_somebody_who_writes_at_the_same_time_loses_nothing(
    image: ImageRef, plain: ReferrersRegistry, tmp_path: Path, number: int
) -> None:
    """Looks: what is there, what to change, is it still so, is it there now."""
    theirs = foreign(image, plain, "them")
    watched = _Watched(tmp_path, number, lambda: overwrite(image, plain, theirs))
    attach(image, artifacts(tmp_path), watched, Silent())
    assert {one.digest for one in plain.referrers(image)} >= {theirs.digest}
    assert {one.artifact_type for one in plain.referrers(image)} >= {CYCLONEDX, IN_TOTO}
