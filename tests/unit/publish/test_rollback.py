"""rollback: where it goes, what it refuses, and that it may be cut off anywhere."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from build.errors import BadRequest, IngotError, NothingSelected, Unreachable, WorkFailed
from build.publish.model import Manifest
from build.publish.rollback import RollbackReceipt, carry_out, plan_rollback
from build.recipe.model import Image, PackagesSource, Recipe
from build.recipe.refs import Digest, ImageRef
from build.settings import Namespace
from tests.fakes import FakeRegistry
from tests.unit.publish.published import RECIPE, Silent, Upstream, labels_of, publish, recipe_at

NAMESPACE = Namespace(host="registry.example.org", path="team")
REPOSITORY = "registry.example.org/team/minifork"
ONE, TWO, THREE = (Upstream(number=number) for number in (1, 2, 3))
TWO_AGAIN = Upstream(number=2, salt="a")
NOW = recipe_at(THREE)


@pytest.fixture
def registry(tmp_path: Path) -> FakeRegistry:
    """Three images, pushed in the order of upstream; `latest` is the third."""
    made = FakeRegistry()
    for state in (ONE, TWO, THREE):
        publish(made, NAMESPACE, tmp_path, state)
    made.calls.clear()
    return made


def back(
    registry: FakeRegistry,
    *,
    recipe: Recipe = NOW,
    variant: str = "",
    to: str = "",
    last: RollbackReceipt | None = None,
) -> RollbackReceipt:
    plan = plan_rollback(recipe, variant, NAMESPACE, registry, Silent(), to=to, last=last)
    return carry_out(plan, registry, Silent())


def tags(registry: FakeRegistry) -> dict[str, Digest]:
    return dict(registry.tagged[REPOSITORY])


def digest(registry: FakeRegistry, state: Upstream) -> Digest:
    return registry.tagged[REPOSITORY][tag(state)]


def tag(state: Upstream) -> str:
    return f"{state.version}-cu130-sm120a-{state.fingerprint[:12]}"


def writes(registry: FakeRegistry) -> list[str]:
    return [call for call in registry.calls if call.startswith(("put", "push"))]


def refused(registry: FakeRegistry, kind: type[IngotError], **words: str) -> IngotError:
    """Roll back, be refused with no tag moved, and return the error."""
    before = tags(registry)
    with pytest.raises(kind) as caught:
        back(registry, **words)  # type: ignore[arg-type]
    assert tags(registry) == before
    assert writes(registry) == []
    return caught.value


def test_the_moving_tag_goes_back_one_image_and_no_other_tag_moves(registry: FakeRegistry) -> None:
    before, two, three = tags(registry), digest(registry, TWO), digest(registry, THREE)
    receipt = back(registry)
    assert tags(registry) == before | {"latest": two}
    assert writes(registry) == ["put_manifest latest"], "nothing but a manifest is sent"
    assert (receipt.tag, receipt.digest, receipt.replaced) == (tag(TWO), two, three)
    (moved,) = receipt.tags
    assert (moved.ref, moved.before, moved.after) == (f"{REPOSITORY}:latest", three, two)
    assert (receipt.version, receipt.commit) == ("b2", TWO.commit)


def test_again_it_goes_one_further_and_then_there_is_nothing_older(registry: FakeRegistry) -> None:
    back(registry)
    assert back(registry).tag == tag(ONE)
    registry.calls.clear()
    error = refused(registry, NothingSelected)
    assert error.message == f"mini: nothing in the registry is older than {tag(ONE)}"
    assert error.hint == f"name it: --to {tag(THREE)} or --to {tag(TWO)}"


@pytest.mark.parametrize("by", ["digest", "tag"])
def test_a_named_image_forth_as_well_as_back(registry: FakeRegistry, by: str) -> None:
    back(registry, to=tag(ONE))
    to = digest(registry, THREE) if by == "digest" else tag(THREE)
    assert back(registry, to=to).tags[0].after == digest(registry, THREE) == tags(registry)["latest"]


def test_the_image_that_the_tags_mean_already_is_nothing_to_do(registry: FakeRegistry) -> None:
    receipt = back(registry, to=tag(THREE))
    assert receipt.tags == ()
    assert writes(registry) == []


def test_a_plan_says_the_same_and_moves_nothing(registry: FakeRegistry) -> None:
    before = tags(registry)
    plan = plan_rollback(NOW, "", NAMESPACE, registry, Silent())
    assert tags(registry) == before
    assert writes(registry) == []
    assert not plan.planned.done
    assert replace(plan.planned, done=True) == back(registry)


def test_a_version_s_own_tag_follows_within_that_version(registry: FakeRegistry, tmp_path: Path) -> None:
    publish(registry, NAMESPACE, tmp_path, TWO_AGAIN)
    receipt = back(registry, to=tag(TWO))
    assert [one.ref for one in receipt.tags] == [f"{REPOSITORY}:b2", f"{REPOSITORY}:latest"]
    assert {tags(registry)["b2"], tags(registry)["latest"]} == {digest(registry, TWO)}
    assert tags(registry)["b3"] == digest(registry, THREE), "b3 never means an image of b2"


def test_a_tag_that_the_old_version_never_bore_is_not_given_to_it(registry: FakeRegistry) -> None:
    source = replace(RECIPE.source, version="v0.3")
    recipe = replace(NOW, source=source, image=replace(NOW.image, tags=("latest", "{number}", "{version}")))
    assert {one.ref for one in back(registry, recipe=recipe).tags} == {f"{REPOSITORY}:latest"}


def test_variants_go_back_on_their_own(registry: FakeRegistry, tmp_path: Path) -> None:
    for state in (ONE, THREE):
        publish(registry, NAMESPACE, tmp_path, state, variant="no-vmm")
    before = tags(registry)
    receipt = back(registry, variant="no-vmm")
    assert receipt.tag == "b1-cu130-sm120a-no-vmm-1eeeeeeeeeee"
    assert tags(registry) == before | {"latest-no-vmm": receipt.digest}


def test_packages_have_no_commit(registry: FakeRegistry, tmp_path: Path) -> None:
    recipe = replace(
        RECIPE,
        source=PackagesSource(
            packages="x.txt", application="mini", upstream="https://git.example.org/mini", version="b9"
        ),
    )
    state = Upstream(number=9)
    labels = labels_of(state)
    del labels["org.opencontainers.image.revision"]
    publish(registry, NAMESPACE, tmp_path, state, labels=labels)
    assert back(registry, recipe=recipe, to=tag(state)).tags == ()
    assert back(registry, recipe=recipe).tag == tag(THREE)


# What is refused.


def test_of_images_of_one_commit_the_order_is_not_guessed(registry: FakeRegistry, tmp_path: Path) -> None:
    publish(registry, NAMESPACE, tmp_path, TWO_AGAIN)
    registry.calls.clear()
    error = refused(registry, BadRequest)
    assert (
        error.message
        == f"mini: {tag(TWO_AGAIN)} has siblings of the same commit, and which was before is not known"
    )
    assert error.hint == f"name it: --to {tag(TWO)}"
    back(registry, to=tag(THREE))
    registry.calls.clear()
    error = refused(registry, BadRequest)
    assert error.message == f"mini: before {tag(THREE)} there are 2 images of one commit"
    assert set(error.hint.split()) >= {tag(TWO), tag(TWO_AGAIN)}


def test_a_digest_that_no_immutable_tag_means_is_refused(registry: FakeRegistry, tmp_path: Path) -> None:
    publish(registry, NAMESPACE, tmp_path, Upstream(number=8), tag="by-hand", labels={})
    stranger = tags(registry)["by-hand"]
    registry.calls.clear()
    error = refused(registry, NothingSelected, to=stranger)
    assert error.message == f"no immutable tag of mini in {REPOSITORY} means {stranger}"
    assert error.hint == "`nox -s history -- mini` shows those that there are"


def test_an_immutable_looking_tag_of_a_stranger_is_refused(registry: FakeRegistry, tmp_path: Path) -> None:
    name = "b8-cu130-sm120a-8eeeeeeeeeee"
    publish(registry, NAMESPACE, tmp_path, Upstream(number=8), labels={})
    registry.tagged[REPOSITORY]["latest"] = digest(registry, THREE)
    registry.calls.clear()
    error = refused(registry, BadRequest, to=name)
    assert error.message == f"{REPOSITORY}:{name} is no image of mini: it has no label ingot.recipe"


def test_another_variant_s_image_is_refused(registry: FakeRegistry, tmp_path: Path) -> None:
    publish(registry, NAMESPACE, tmp_path, ONE, variant="no-vmm")
    registry.calls.clear()
    name = "b1-cu130-sm120a-no-vmm-1eeeeeeeeeee"
    error = refused(registry, BadRequest, to=name)
    assert (error.message, error.hint) == (f"{name} is mini, variant no-vmm, not mini", "--variant no-vmm")
    error = refused(registry, BadRequest, variant="no-vmm", to=tag(ONE))
    assert (error.message, error.hint) == (
        f"{tag(ONE)} is mini, not mini, variant no-vmm",
        "leave --variant out",
    )


def test_an_image_that_lost_a_blob_is_refused(registry: FakeRegistry) -> None:
    layer = json.loads(registry.manifests[REPOSITORY, digest(registry, TWO)].data)["layers"][1]["digest"]
    del registry.blobs[REPOSITORY, layer]
    error = refused(registry, WorkFailed)
    assert error.message == f"{REPOSITORY}:{tag(TWO)} is not whole: the registry lacks {layer}"
    assert error.hint == "choose another with --to, or build and push this one again"


def test_a_tag_that_changes_while_it_is_read_is_refused(registry: FakeRegistry) -> None:
    class Restless(FakeRegistry):
        def manifest(self, ref: ImageRef) -> Manifest | None:
            found = super().manifest(ref)
            if ref.tag == tag(THREE):  # the last one listed
                self.tagged[REPOSITORY][tag(TWO)] = self.tagged[REPOSITORY][tag(ONE)]
            return found

    restless = Restless()
    restless.blobs, restless.manifests, restless.tagged = registry.blobs, registry.manifests, registry.tagged
    with pytest.raises(WorkFailed) as caught:
        back(restless)
    assert caught.value.message == f"{REPOSITORY}:{tag(TWO)} has changed since it was read a moment ago"
    assert writes(restless) == []


def test_where_nothing_is_published_that_is_the_answer() -> None:
    with pytest.raises(NothingSelected) as caught:
        back(FakeRegistry())
    assert caught.value.message == f"mini is not in the registry: {REPOSITORY} holds no image of it"
    with pytest.raises(NothingSelected):
        back(FakeRegistry(), to=f"sha256:{'0' * 64}")


def test_without_a_current_image_the_one_before_it_is_not_known(
    registry: FakeRegistry, tmp_path: Path
) -> None:
    there = registry.tagged[REPOSITORY]
    for name in ("latest", "b1", "b2", "b3"):
        del there[name]
    error = refused(registry, BadRequest)
    assert error.message == "mini: which image is the current one is not known: it is tagged by no moving tag"
    assert error.hint == f"name the image: --to {digest(registry, THREE)}"
    publish(registry, NAMESPACE, tmp_path, Upstream(number=8), tag="by-hand", labels={})
    registry.calls.clear()
    error = refused(registry, BadRequest)
    assert f"its moving tags point at {there['by-hand']}, which is none of its images" in error.message
    assert back(registry, to=tag(TWO)).digest == there["latest"] == digest(registry, TWO)


def test_a_registry_that_keeps_other_bytes_is_found_out(registry: FakeRegistry) -> None:
    class Forgetful(FakeRegistry):
        def put_manifest(self, ref: ImageRef, data: bytes, media_type: str) -> Digest:  # noqa: ARG002
            return Digest(f"sha256:{'0' * 64}")

    forgetful = Forgetful()
    forgetful.blobs, forgetful.manifests, forgetful.tagged = (
        registry.blobs,
        registry.manifests,
        registry.tagged,
    )
    with pytest.raises(WorkFailed, match=f"was pushed as {digest(registry, TWO)} and reads back as sha256:"):
        back(forgetful)


# Cut off.

STABLE = replace(NOW, image=Image(repository="minifork", tags=("stable", "latest", "{version}")))
CALLS = 22
"""One list, eight tags, three configurations; the target and its three blobs; two tags asked, put and read back."""


def until_cut(registry: FakeRegistry) -> tuple[RollbackReceipt | None, bool]:
    """Go as far as the registry is there; return what would be on record then, and whether it was cut short."""
    planned = None
    try:
        plan = plan_rollback(STABLE, "", NAMESPACE, registry, Silent())
        planned = plan.planned
        return carry_out(plan, registry, Silent()), False
    except Unreachable:
        return planned, True


@pytest.mark.parametrize("heard", [False, True])
@pytest.mark.parametrize("fail_at", range(1, CALLS + 1))
def test_lost_at_any_call_it_is_repeated_and_ends_at_the_same_image(
    tmp_path: Path, *, fail_at: int, heard: bool
) -> None:
    registry = FakeRegistry()
    for state in (ONE, TWO, THREE):
        publish(registry, NAMESPACE, tmp_path, state, recipe=STABLE)
    wanted = digest(registry, TWO)
    registry.calls.clear()
    registry.fail_at, registry.heard = fail_at, heard
    planned, cut = until_cut(registry)
    assert cut
    assert {tags(registry)["stable"], tags(registry)["latest"]} <= {digest(registry, THREE), wanted}
    registry.fail_at = 0
    receipt = back(registry, recipe=STABLE, last=planned)
    assert receipt.digest == wanted
    assert {tags(registry)["stable"], tags(registry)["latest"]} == {wanted}
    assert tags(registry)["b3"] == digest(registry, THREE)


def test_these_are_all_its_calls(tmp_path: Path) -> None:
    registry = FakeRegistry()
    for state in (ONE, TWO, THREE):
        publish(registry, NAMESPACE, tmp_path, state, recipe=STABLE)
    registry.calls.clear()
    back(registry, recipe=STABLE)
    assert len(registry.calls) == CALLS


def test_a_rollback_that_is_done_or_overtaken_is_not_completed(
    registry: FakeRegistry, tmp_path: Path
) -> None:
    done = back(registry)
    assert back(registry, last=done).tag == tag(ONE), "asked for again it goes one further"
    cut = replace(done, done=False)
    newer = Upstream(number=4)
    publish(registry, NAMESPACE, tmp_path, newer)
    assert back(registry, last=cut).tag == tag(THREE), "somebody has pushed since"
