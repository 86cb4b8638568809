"""What is attached to an image, read back: what is another image's, or is broken, is said and not taken."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from build.attest.provenance import BuildFacts, provenance
from build.attest.sbom import sbom
from build.attest.wheels import read_wheels
from build.doors.jsonvalues import MalformedError
from build.publish.attach import Artifact, attach, bill_of_materials, statement
from build.publish.depot import CUSTODY
from build.publish.push import push
from build.recipe.refs import Digest, ImageRef
from build.report.attached import Bill, read_attached, read_bill, read_claim
from build.report.inspect import Inspector
from build.settings import Namespace
from build.verbs.inspect import _show
from tests.fakes import FakeRegistry, RecordingReporter
from tests.unit.attest.making import built, make_wheel, materials, plan
from tests.unit.publish.images import make_pushable
from tests.unit.publish.published import Silent


@pytest.fixture
def registry() -> FakeRegistry:
    return FakeRegistry()


@pytest.fixture
def subject(registry: FakeRegistry, tmp_path: Path) -> ImageRef:
    image = make_pushable(tmp_path / "image", b"base", b"server")
    namespace = Namespace(host="127.0.0.1:1", path="ns")
    receipt = push(image.verified, image.plan, image.layout, namespace, registry, Silent())
    return replace(ImageRef.parse(next(iter(receipt.refs))), tag="", digest=receipt.digest)


def documents(folder: Path, image: Digest | None) -> tuple[Path, Path]:
    """Write the documents of an image that is said to have this digest."""
    assert image
    given = materials(folder)
    made = replace(given.built, digest=image)
    make_wheel(folder / "wheels")
    facts = BuildFacts(
        subject="x", plan=plan(), built=replace(built(folder), digest=image), locks=(), wheels=read_wheels(folder / "wheels")
    )  # fmt: skip
    bill, claim = folder / "sbom.cdx.json", folder / "provenance.json"
    bill.write_text(sbom(replace(given, built=made)))
    claim.write_text(provenance(facts))
    return bill, claim


def test_all_that_is_attached(registry: FakeRegistry, subject: ImageRef, tmp_path: Path) -> None:
    bill, claim = documents(tmp_path, subject.digest)
    bundle = Artifact(artifact_type=CUSTODY, files=())
    given = attach(subject, (bill_of_materials(bill), statement(claim), bundle), registry, Silent())
    found = read_attached(subject, registry)
    assert found.bill == Bill(debian=2, python=2, total=6)
    (one,) = found.claims
    assert (one.started, one.finished) == ("2026-03-02T08:00:00Z", "2026-03-02T09:00:00Z")
    assert (one.recipes_commit, one.recipes_changed) == ("c" * 40, True)
    assert one.toolchain == f"sha256:{'6' * 64} (registry: x)"
    assert dict(one.versions)["buildkit"] == "v0.12"
    assert (found.bundles, found.refused) == ((given[CUSTODY],), ())


def test_two_builds_of_the_same_bytes_are_both_told(
    registry: FakeRegistry, subject: ImageRef, tmp_path: Path
) -> None:
    _, claim = documents(tmp_path, subject.digest)
    attach(subject, (statement(claim),), registry, Silent())
    claim.write_text(claim.read_text().replace("2026-03-02T08", "2026-03-05T08"))
    attach(subject, (statement(claim),), registry, Silent())
    assert [one.started[:10] for one in read_attached(subject, registry).claims] == [
        "2026-03-02",
        "2026-03-05",
    ]


def test_bills_that_differ_are_counted_and_said(
    registry: FakeRegistry, subject: ImageRef, tmp_path: Path
) -> None:
    bill, _ = documents(tmp_path, subject.digest)
    attach(subject, (bill_of_materials(bill),), registry, Silent())
    assert read_attached(subject, registry).bills == 1
    document = json.loads(bill.read_text())
    bill.write_text(json.dumps(document | {"components": document["components"][1:]}))
    attach(subject, (bill_of_materials(bill),), registry, Silent())
    found = Inspector(out=tmp_path / "out", recipes={}, registry=lambda: registry).inspect(str(subject))
    assert found.attached.bills == 2
    reporter = RecordingReporter()
    _show(found, reporter)
    assert "2 bills of materials are attached, and they differ" in reporter.all("note")
    assert found.attached.refused == ()


def test_what_is_said_of_another_image_is_not_taken(
    registry: FakeRegistry, subject: ImageRef, tmp_path: Path
) -> None:
    bill, claim = documents(tmp_path, Digest(f"sha256:{'9' * 64}"))
    given = attach(subject, (bill_of_materials(bill), statement(claim)), registry, Silent())
    found = read_attached(subject, registry)
    assert (found.bill, found.claims) == (None, ())
    assert sorted(found.refused) == sorted((
        f"{given['application/vnd.cyclonedx+json']}: the bill of materials is not of {subject.digest}",
        f"{given['application/vnd.in-toto+json']}: the provenance is not about {subject.digest}",
    ))  # fmt: skip


def test_an_artifact_that_is_gone_hides_nothing_else(
    registry: FakeRegistry, subject: ImageRef, tmp_path: Path
) -> None:
    bill, claim = documents(tmp_path, subject.digest)
    given = attach(subject, (bill_of_materials(bill), statement(claim)), registry, Silent())
    gone = given["application/vnd.in-toto+json"]
    del registry.manifests[f"{subject.registry}/{subject.repository}", gone]
    found = read_attached(subject, registry)
    assert found.bill is not None
    assert found.refused == (f"{gone}: it is listed and is not there",)


def broken(change: Callable[[Any], object], text: bytes) -> bytes:
    document = json.loads(text)
    change(document)
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda one: one.update(components={}), "components is not a list"),
        (lambda one: one["metadata"].update(component=[]), "metadata.component is not an object"),
        (lambda one: one["metadata"]["component"].update(hashes=["x"]), "hashes is not an object"),
    ],
)
def test_a_broken_bill_is_said_with_its_key(
    subject: ImageRef, tmp_path: Path, change: Callable[[Any], object], words: str
) -> None:
    bill, _ = documents(tmp_path, subject.digest)
    with pytest.raises(MalformedError, match=words):
        read_bill(broken(change, bill.read_bytes()), subject.digest)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda one: one.update(subject="x"), "subject is not a list"),
        (lambda one: one.update(predicate=7), "predicate is not an object"),
        (lambda one: one["predicate"].update(runDetails=[1]), "runDetails is not an object"),
        (
            lambda one: one["predicate"]["buildDefinition"].update(resolvedDependencies=["x"]),
            "resolvedDependencies is not an object",
        ),
    ],
)
def test_a_broken_statement_is_said_with_its_key(
    subject: ImageRef, tmp_path: Path, change: Callable[[Any], object], words: str
) -> None:
    _, claim = documents(tmp_path, subject.digest)
    with pytest.raises(MalformedError, match=words):
        read_claim(broken(change, claim.read_bytes()), subject.digest)


def test_a_bundle_gives_the_command_that_builds_it_again(
    registry: FakeRegistry, subject: ImageRef, tmp_path: Path
) -> None:
    one = Inspector(out=tmp_path / "out", recipes={}, registry=lambda: registry)
    command = f"./noxw -s verify -- --image {subject}"
    assert command not in one.inspect(str(subject)).rebuild
    attach(subject, (Artifact(artifact_type=CUSTODY, files=()),), registry, Silent())
    assert one.inspect(str(subject)).rebuild[0] == command


def test_beside_an_image_on_disk(tmp_path: Path) -> None:
    folder = tmp_path / "out" / "mini"
    image = built(folder)
    (folder / "layout").rename(folder / "image")
    one = Inspector(out=tmp_path / "out", recipes={}, registry=FakeRegistry)
    assert one.inspect("mini").attached.bill is None
    for path in documents(tmp_path / "made", image.digest):
        (folder / path.name).write_bytes(path.read_bytes())
    assert one.inspect("mini").attached.bill == Bill(debian=2, python=2, total=6)
    for path in documents(tmp_path / "other", Digest(f"sha256:{'9' * 64}")):
        (folder / path.name).write_bytes(path.read_bytes())
    assert one.inspect("mini").attached.bill is None, "it is of another image"
