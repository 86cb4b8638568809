"""history, over images that push put into a registry, and over what others put beside them."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from build.errors import Unreachable
from build.publish.history import History, history
from build.recipe.model import Image
from build.recipe.refs import Digest, ImageRef
from build.settings import Namespace
from tests.fakes import FakeRegistry, RecordingReporter
from tests.unit.publish.published import RECIPE, Silent, Upstream, labels_of, publish

NAMESPACE = Namespace(host="registry.example.org", path="team")
REPOSITORY = "registry.example.org/team/minifork"
REF = ImageRef.parse(REPOSITORY)
ONE, TWO, THREE = (Upstream(number=number) for number in (1, 2, 10))


def read(registry: FakeRegistry) -> History:
    return history(RECIPE, NAMESPACE, registry, Silent())


def reasons(found: History) -> dict[str, str]:
    return {one.tag: one.reason for one in found.passed_over}


def test_every_image_is_there_newest_first_with_what_its_labels_say(tmp_path: Path) -> None:
    registry = FakeRegistry()
    receipts = [publish(registry, NAMESPACE, tmp_path, state) for state in (TWO, THREE, ONE)]
    found = read(registry)
    assert [image.tag for image in found.images] == [
        "b10-cu130-sm120a-aeeeeeeeeeee", "b2-cu130-sm120a-2eeeeeeeeeee", "b1-cu130-sm120a-1eeeeeeeeeee",
    ]  # fmt: skip
    newest, oldest = found.images[0], found.images[-1]
    assert newest.digest == receipts[1].digest
    assert (newest.version, newest.commit, newest.created) == (
        "b10",
        f"{10:040x}",
        "2026-05-10T12:00:00+02:00",
    )
    assert (newest.fingerprint, newest.cuda, newest.architectures) == ("a" + "e" * 63, "13.0", ("120a-real",))
    assert newest.moving_tags == ("b10",)
    assert oldest.moving_tags == ("b1", "latest"), "pushed last"
    assert (found.recipe, found.repository, found.passed_over) == ("mini", REPOSITORY, ())


def test_the_size_is_that_of_the_layers(tmp_path: Path) -> None:
    registry = FakeRegistry()
    digest = publish(registry, NAMESPACE, tmp_path, ONE).digest
    layers = json.loads(registry.manifests[REPOSITORY, digest].data)["layers"]
    assert read(registry).images[0].size == sum(layer["size"] for layer in layers) > 0


def test_variants_are_of_the_same_repository(tmp_path: Path) -> None:
    registry = FakeRegistry()
    publish(registry, NAMESPACE, tmp_path, ONE)
    publish(registry, NAMESPACE, tmp_path, ONE, variant="no-vmm")
    found = {image.variant: image for image in read(registry).images}
    assert found["no-vmm"].tag == "b1-cu130-sm120a-no-vmm-1eeeeeeeeeee"
    assert found["no-vmm"].moving_tags == ("b1-no-vmm", "latest-no-vmm")
    assert found[""].moving_tags == ("b1", "latest")


def test_dates_are_compared_as_points_in_time(tmp_path: Path) -> None:
    registry = FakeRegistry()
    for state, created in (
        (ONE, "2026-05-20T01:00:00+09:00"),
        (TWO, "2026-05-19T17:00:00Z"),
        (THREE, "someday"),
    ):
        labels = {**labels_of(state), "org.opencontainers.image.created": created}
        publish(registry, NAMESPACE, tmp_path, state, labels=labels)
    assert [image.version for image in read(registry).images] == ["b2", "b1", "b10"], "without a date: last"


def test_a_repository_that_is_not_there_is_empty_and_a_lost_registry_is_an_error(tmp_path: Path) -> None:
    assert read(FakeRegistry()).images == ()
    for lost_at in range(1, 8):
        registry = FakeRegistry()
        publish(registry, NAMESPACE, tmp_path / str(lost_at), ONE)
        registry.calls.clear()
        registry.fail_at = lost_at
        if lost_at <= 5:  # the list, three tags, one configuration
            with pytest.raises(Unreachable):
                read(registry)
        else:
            assert len(read(registry).images) == 1


def test_a_tag_that_vanishes_while_reading_is_passed_over(tmp_path: Path) -> None:
    class Vanishing(FakeRegistry):
        def tags(self, repository: ImageRef) -> tuple[str, ...]:
            return (*super().tags(repository), "gone")

    registry = Vanishing()
    publish(registry, NAMESPACE, tmp_path, ONE)
    found = read(registry)
    assert len(found.images) == 1
    assert "gone" not in found.moving


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"ingot.recipe": ""}, "it has no label ingot.recipe"),
        ({"ingot.recipe": "other"}, "an image of the recipe other"),
        ({"ingot.fingerprint": "1eee"}, "its label ingot.fingerprint is no fingerprint"),
        ({"ingot.fingerprint": "f" * 64}, "its labels are those of b1-cu130-sm120a-ffffffffffff"),
        ({"ingot.variant": "x"}, "its labels are those of b1-cu130-sm120a-x-1eeeeeeeeeee"),
        ({"ingot.cuda": "13.1"}, "its labels are those of b1-cu131-sm120a-1eeeeeeeeeee"),
        ({"ingot.architectures": "89-real"}, "its labels are those of b1-cu130-sm89-1eeeeeeeeeee"),
        (
            {"org.opencontainers.image.revision": "main"},
            "its label org.opencontainers.image.revision is no commit",
        ),
    ],
)
def test_a_tag_that_only_looks_like_ours_is_named_with_the_reason(
    tmp_path: Path, change: dict[str, str], reason: str
) -> None:
    registry = FakeRegistry()
    labels = {name: value for name, value in (labels_of(ONE) | change).items() if value}
    publish(registry, NAMESPACE, tmp_path, ONE, labels=labels)
    found = read(registry)
    assert found.images == ()
    assert reasons(found) == {"b1-cu130-sm120a-1eeeeeeeeeee": reason}


def put(registry: FakeRegistry, tag: str, document: object, media_type: str = "application/json") -> None:
    data = json.dumps(document).encode()
    digest = Digest(f"sha256:{'7' * 64}")
    from build.publish.model import Manifest

    registry.manifests[REPOSITORY, digest] = Manifest(digest=digest, media_type=media_type, data=data)
    registry.tagged.setdefault(REPOSITORY, {})[tag] = digest


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({"manifests": []}, "it lists several images and is none itself"),
        ([], "the manifest is not a JSON object"),
        ({"layers": []}, "config is not an object"),
        (
            {"config": {"digest": "sha256:1"}, "layers": []},
            "config.digest: 'sha256:1' is not a sha256 digest",
        ),
        (
            {"config": {"digest": f"sha256:{'1' * 64}"}, "layers": []},
            "config.size is not a size",
        ),
        (
            {"config": {"digest": f"sha256:{'1' * 64}", "size": 1}, "layers": []},
            f"its configuration sha256:{'1' * 64} is not in the registry",
        ),
    ],
)
def test_a_manifest_of_a_stranger_is_named_with_the_reason(document: object, reason: str) -> None:
    registry = FakeRegistry()
    put(registry, "b9-cu130-sm120a-999999999999", document)
    assert reasons(read(registry)) == {"b9-cu130-sm120a-999999999999": reason}


def test_a_layer_more_than_the_configuration_knows_is_named(tmp_path: Path) -> None:
    registry = FakeRegistry()
    digest = publish(registry, NAMESPACE, tmp_path, ONE).digest
    document = json.loads(registry.manifests[REPOSITORY, digest].data)
    document["layers"].append(document["layers"][0])
    registry.tagged.clear()
    put(registry, "b1-cu130-sm120a-1eeeeeeeeeee", document)
    assert reasons(read(registry)) == {
        "b1-cu130-sm120a-1eeeeeeeeeee": "its manifest has 3 layers, its configuration 2"
    }


def test_referrers_of_images_are_not_asked_for(tmp_path: Path) -> None:
    registry = FakeRegistry()
    publish(registry, NAMESPACE, tmp_path, ONE)
    put(registry, f"sha256-{'a' * 64}", {"manifests": []})
    registry.calls.clear()
    assert f"sha256-{'a' * 64}" not in read(registry).moving
    assert not [call for call in registry.calls if "sha256-" in call]


def test_two_recipes_in_one_repository_are_told_apart(tmp_path: Path) -> None:
    registry = FakeRegistry()
    other = replace(RECIPE, name="other", image=Image(repository="minifork", tags=("edge",)))
    publish(registry, NAMESPACE, tmp_path, ONE)
    publish(registry, NAMESPACE, tmp_path, TWO, recipe=other)
    found = read(registry)
    assert [image.version for image in found.images] == ["b1"]
    assert reasons(found) == {"b2-cu130-sm120a-2eeeeeeeeeee": "an image of the recipe other"}


def test_it_says_how_far_it_is(tmp_path: Path) -> None:
    registry, said = FakeRegistry(), RecordingReporter()
    publish(registry, NAMESPACE, tmp_path, ONE)
    history(RECIPE, NAMESPACE, registry, said)
    assert said.all("step") == [f"history of {REPOSITORY}"]
    assert said.all("update") == ["[1/3]", "[2/3]", "[3/3]"]
    assert said.all("verdict") == ["1 image"]
