"""What is refused before anything of a stranger's bundle is built; that it builds is tests/integration/test_custody_image.py."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from build.doors import store
from build.errors import BadRequest, IngotError, NothingSelected, WorkFailed
from build.plan.model import ImagePlan
from build.plan.plan import decided
from build.publish.attach import attach
from build.publish.depot import deposit
from build.publish.model import Manifest
from build.recipe.refs import Digest, ImageRef
from build.settings import Namespace, from_env
from build.verify.published import PublishedVerifier
from tests.fakes import FakeRegistry
from tests.unit.publish.bundles import Planned, planned
from tests.unit.publish.published import Silent, Upstream, labels_of, publish

NAMESPACE = Namespace(host="127.0.0.1:1", path="ns")
STATE = Upstream(number=7)


@pytest.fixture
def registry() -> FakeRegistry:
    return FakeRegistry()


def pushed(registry: FakeRegistry, folder: Path, **labels: str) -> ImageRef:
    said = labels_of(STATE, "") | {name.replace("_", "."): value for name, value in labels.items()}
    receipt = publish(registry, NAMESPACE, folder / "made", STATE, labels=said)
    return replace(ImageRef.parse(next(iter(receipt.refs))), tag="", digest=receipt.digest)


def refused(registry: FakeRegistry, folder: Path, reference: str) -> IngotError:
    settings = from_env({"INGOT_CACHE": str(folder / "elsewhere"), "PATH": "/usr/bin:/bin"}, folder)
    verifier = PublishedVerifier(settings=settings, reporter=Silent(), registry=registry, chosen=frozenset())
    with pytest.raises(IngotError) as error:
        verifier.verify(reference)
    assert not list((folder / "elsewhere" / "verify").glob("*")), "nothing was laid out"
    return error.value


def test_a_tag_is_refused_with_what_it_means_now(registry: FakeRegistry, tmp_path: Path) -> None:
    subject = pushed(registry, tmp_path)
    tag = replace(subject, tag="latest", digest=None)
    error = refused(registry, tmp_path, str(tag))
    assert type(error) is BadRequest
    assert error.message == f"{tag} is a tag, and tags move: now it means {subject.digest}"
    assert error.hint == f"--image {subject}"


def test_what_is_not_there_is_not_refused_as_wrong(registry: FakeRegistry, tmp_path: Path) -> None:
    subject = pushed(registry, tmp_path)
    nowhere = replace(subject, digest=Digest(f"sha256:{'0' * 64}"))
    for ref in (nowhere, replace(subject, tag="never", digest=None)):
        error = refused(registry, tmp_path, str(ref))
        assert type(error) is NothingSelected
        assert error.message == f"{ref} is not in the registry"


def test_what_is_no_image_of_ours_is_said(registry: FakeRegistry, tmp_path: Path) -> None:
    subject = pushed(registry, tmp_path, ingot_fingerprint="none")
    error = refused(registry, tmp_path, str(subject))
    assert error.message == f"{subject} has no label ingot.fingerprint that is one: it is no image of Ingot"


def test_a_list_of_images_is_no_image(registry: FakeRegistry, tmp_path: Path) -> None:
    subject = pushed(registry, tmp_path)
    data = b'{"schemaVersion": 2, "manifests": []}'
    index = Digest(f"sha256:{'1' * 64}")
    registry.manifests[f"{subject.registry}/{subject.repository}", index] = Manifest(
        digest=index, media_type="application/vnd.oci.image.index.v1+json", data=data
    )
    error = refused(registry, tmp_path, str(replace(subject, digest=index)))
    assert error.message.endswith("cannot be read: it lists several images and is none itself")


def test_an_image_without_a_bundle(registry: FakeRegistry, tmp_path: Path) -> None:
    subject = pushed(registry, tmp_path)
    error = refused(registry, tmp_path, str(subject))
    assert type(error) is NothingSelected
    assert error.message.startswith(f"{subject} has no bundle attached")


def with_plan(registry: FakeRegistry, folder: Path, one: Planned, plan: ImagePlan, label: str) -> ImageRef:
    """Attach a bundle whose plan is `plan` to an image whose label says `label`."""
    bundle = one.gather(folder / "bundle")
    store.write_artifact(bundle / "plan.json", plan)
    subject = pushed(registry, folder, ingot_fingerprint=label)
    said = replace(plan, fingerprint=label)
    attach(subject, (deposit(bundle, said, subject, NAMESPACE, registry, Silent()),), registry, Silent())
    return subject


@pytest.mark.processes
def test_a_plan_that_builds_something_else_is_refused_with_both_fingerprints(
    registry: FakeRegistry, tmp_path: Path
) -> None:
    one = planned(tmp_path)
    files = dict(one.plan.files) | {"Dockerfile": "FROM scratch\n"}
    plan = replace(one.plan, files=tuple(sorted(files.items())))
    subject = with_plan(registry, tmp_path, one, plan, one.plan.fingerprint)
    error = refused(registry, tmp_path, str(subject))
    assert type(error) is WorkFailed
    assert (
        f"its inputs have the fingerprint {decided(plan)}, the image's label says {plan.fingerprint}"
        in error.message
    )


@pytest.mark.processes
def test_a_plan_without_a_dockerfile_is_refused(registry: FakeRegistry, tmp_path: Path) -> None:
    one = planned(tmp_path)
    plan = replace(one.plan, files=tuple(file for file in one.plan.files if file[0] != "Dockerfile"))
    subject = with_plan(registry, tmp_path, one, plan, decided(plan))
    assert refused(registry, tmp_path, str(subject)).message.endswith("plan.json has no Dockerfile")


@pytest.mark.processes
def test_a_plan_that_is_none_is_refused(registry: FakeRegistry, tmp_path: Path) -> None:
    one = planned(tmp_path)
    bundle = one.gather(tmp_path / "bundle")
    (bundle / "plan.json").write_text(json.dumps({"recipe": "x"}))
    subject = pushed(registry, tmp_path, ingot_fingerprint=one.plan.fingerprint)
    attach(subject, (deposit(bundle, one.plan, subject, NAMESPACE, registry, Silent()),), registry, Silent())
    message = refused(registry, tmp_path, str(subject)).message
    assert "its plan.json names no toolchain, or is of another version of the pipeline" in message
