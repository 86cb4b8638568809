"""What refers to an image: by the API where there is one, by the tag where there is none, and no guess in between."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from build.doors.referrers import Referrer, ReferrersRegistry, fallback_tag
from build.doors.tokens import Refused
from build.errors import BadRequest, IngotError, WorkFailed
from build.recipe.refs import Digest, ImageRef
from tests.unit.doors.test_registry import BASE, BEARER, GONE, OCI, PULL
from tests.unit.doors.wires import Reply, Wire

INDEX = "application/vnd.oci.image.index.v1+json"
IMAGE = Digest(f"sha256:{'1' * 64}")
SUBJECT = ImageRef(registry="reg.example.org", repository="team/app", digest=IMAGE)
API = f"GET {BASE}/referrers/{IMAGE}"
TAG = f"{BASE}/manifests/sha256-{'1' * 64}"
OURS = Referrer(digest=Digest(f"sha256:{'a' * 64}"), media_type=OCI, size=7, artifact_type="application/x")
NO_API = Reply(status=404, body=b"404 page not found")


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def registry(wire: Wire, tmp_path: Path) -> ReferrersRegistry:
    return ReferrersRegistry(docker_config=tmp_path, web=wire.web(), sleep=wire.slept.append)


def listing(*entries: object, **headers: str) -> Reply:
    body = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": list(entries)}).encode()
    return Reply(headers={"Content-Type": INDEX, **headers}, body=body)


def entry(digit: str, **others: object) -> dict[str, object]:
    return {
        "mediaType": OCI, "digest": f"sha256:{digit * 64}", "size": 7, "artifactType": "application/x", **others
    }  # fmt: skip


def test_the_api_is_asked_page_by_page(wire: Wire, registry: ReferrersRegistry) -> None:
    wire.on(API, listing(entry("a"), Link=f'</v2/team/app/referrers/{IMAGE}?n=2>; rel="next"'))
    wire.on(f"{API}?n=2", listing(entry("b", annotations={"k": "v"})))
    first, second = registry.referrers(SUBJECT)
    assert first == OURS
    assert (second.digest[7], second.annotations) == ("b", (("k", "v"),))
    registry.refer(SUBJECT, (OURS,))
    assert not [sent for sent in wire.sent if sent.method != "GET"], "the registry keeps the list itself"


@pytest.mark.parametrize("no_api", [NO_API, Reply(headers={"Content-Type": "text/html"}, body=b"<html>")])
def test_without_the_api_the_tag_is_the_list(wire: Wire, registry: ReferrersRegistry, no_api: Reply) -> None:
    wire.on(API, no_api)
    wire.on(f"GET {TAG}", listing(entry("a"), {"digest": "nonsense"}, "x", entry("b", size="much")))
    assert registry.referrers(SUBJECT) == (OURS,)
    wire.on(f"GET {TAG}", GONE)
    assert registry.referrers(SUBJECT) == ()


def test_a_refusal_is_not_an_empty_list(wire: Wire, registry: ReferrersRegistry) -> None:
    wire.on(API, BEARER)
    wire.on(f"GET {PULL}", Reply(body=b'{"token": "ticket"}'))
    with pytest.raises(Refused, match="what refers to sha256:1"):
        registry.referrers(SUBJECT)


def refused(registry: ReferrersRegistry) -> IngotError:
    with pytest.raises(WorkFailed) as error:
        registry.refer(SUBJECT, (OURS,))
    return error.value


def test_a_registry_that_takes_and_does_not_list_is_an_error(wire: Wire, registry: ReferrersRegistry) -> None:
    wire.on(API, listing(entry("b")))
    assert refused(registry).message == (
        f"reg.example.org has taken what refers to {SUBJECT} and does not list {OURS.digest}"
    )
    assert len(wire.slept) == 5, "a slow one is asked again"


@pytest.mark.parametrize("odd", [[], {}, ["sha256:1"], None, 7])
def test_an_odd_entry_of_others_keeps_nothing_from_being_added(
    wire: Wire, registry: ReferrersRegistry, odd: object
) -> None:
    theirs = entry("b", digest=odd)
    wire.on(API, listing(theirs, entry("a")))
    registry.refer(SUBJECT, (OURS,))
    wire.on(API, NO_API)
    wire.on(f"GET {TAG}", listing(theirs), listing(theirs), listing(theirs, entry("a")))
    wire.on(f"PUT {TAG}", Reply(status=201))
    registry.refer(SUBJECT, (OURS,))
    (sent,) = [one for one in wire.sent if one.method == "PUT"]
    assert json.loads(sent.body or b"")["manifests"][0] == theirs, "it is kept as it is"


def test_a_registry_that_lists_late_is_waited_for(wire: Wire, registry: ReferrersRegistry) -> None:
    wire.on(API, listing(), listing(), listing(entry("a")))
    registry.refer(SUBJECT, (OURS,))
    assert len(wire.slept) == 2


def test_something_else_under_the_tag_is_not_overwritten(wire: Wire, registry: ReferrersRegistry) -> None:
    wire.on(API, NO_API)
    wire.on(f"GET {TAG}", Reply(headers={"Content-Type": OCI}, body=b'{"schemaVersion": 2}'))
    error = refused(registry)
    assert error.message == f"{fallback_tag(SUBJECT)} is no index, so it cannot list what refers to the image"
    assert "delete it" in error.hint
    assert not [sent for sent in wire.sent if sent.method == "PUT"]


def test_a_list_that_never_holds_still_is_given_up(wire: Wire, registry: ReferrersRegistry) -> None:
    wire.on(API, NO_API)
    wire.on(f"GET {TAG}", *(listing(entry("b", annotations={"n": str(number)})) for number in range(20)))
    wire.on(f"GET {BASE}/manifests/sha256:{'b' * 64}", GONE)
    assert refused(registry).message == f"{fallback_tag(SUBJECT)} is changed by others again and again"
    assert not [sent for sent in wire.sent if sent.method == "PUT"]


def test_only_a_digest_can_be_referred_to() -> None:
    with pytest.raises(BadRequest, match="names no digest"):
        fallback_tag(replace(SUBJECT, tag="latest", digest=None))
