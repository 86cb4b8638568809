"""What an image says of itself, out of a registry and from disk, and what is said where there is none."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from build.doors import store
from build.errors import BadRequest, IngotError, NothingSelected, Unreachable, WorkFailed
from build.image.layout import open_layout
from build.publish.model import Manifest, PushReceipt
from build.recipe.refs import Digest
from build.report.inspect import Inspector, LabelledPatch
from build.settings import Namespace
from tests.fakes import FakeRegistry
from tests.layouts import write_layout
from tests.unit.publish.published import RECIPE, Upstream, labels_of, publish

NAMESPACE = Namespace(host="127.0.0.1:1", path="ns")
REPOSITORY = "127.0.0.1:1/ns/minifork"
STATE = Upstream(number=7)
MORE = {
    "org.opencontainers.image.source": "https://git.example.org/mini",
    "org.opencontainers.image.base.digest": f"sha256:{'b' * 64}",
    "ingot.driver": "linked",
    "ingot.driver.minimum": "580.65.06",
    "ingot.patches": "mini/0001-a.patch@444444444444;mini/0002-b@c.patch@555555555555",
}


@pytest.fixture
def registry() -> FakeRegistry:
    return FakeRegistry()


def inspector(tmp_path: Path, registry: FakeRegistry, **recipes: str) -> Inspector:
    return Inspector(out=tmp_path / "out", recipes=recipes, registry=lambda: registry)


def pushed(registry: FakeRegistry, tmp_path: Path, variant: str = "") -> PushReceipt:
    labels = labels_of(STATE, variant) | MORE
    return publish(registry, NAMESPACE, tmp_path / "made", STATE, variant=variant, labels=labels)


def refused(one: Inspector, name: str) -> tuple[type[IngotError], str, str, int]:
    with pytest.raises(IngotError) as error:
        one.inspect(name)
    return type(error.value), error.value.message, error.value.hint, error.value.exit_code


def test_by_tag_by_digest_and_from_the_layout_are_one(registry: FakeRegistry, tmp_path: Path) -> None:
    pushed(registry, tmp_path)
    one = inspector(tmp_path, registry, **{RECIPE.name: STATE.commit})
    registry.calls.clear()
    by_tag = one.inspect(f"{REPOSITORY}:latest")
    assert not [
        call for call in registry.calls if not call.startswith(("manifest", "read_blob", "referrers"))
    ]
    assert len([call for call in registry.calls if call.startswith("read_blob")]) == 1, "no layer is read"
    by_digest = one.inspect(f"{REPOSITORY}@{by_tag.digest}")
    (layout,) = (tmp_path / "made").iterdir()
    image = tmp_path / "out" / RECIPE.name / "image"
    image.parent.mkdir(parents=True)
    layout.rename(image)
    local = one.inspect(RECIPE.name)
    assert by_tag == replace(by_digest, name=by_tag.name, rebuild=by_tag.rebuild)
    assert by_tag == replace(local, name=by_tag.name, rebuild=by_tag.rebuild)
    build = f"./noxw -s build -- {RECIPE.name}"
    assert by_tag.rebuild == (build, f"./noxw -s diff -- {REPOSITORY}:latest {RECIPE.name}")
    assert local.rebuild == (build,)


def test_everything_that_the_labels_say(registry: FakeRegistry, tmp_path: Path) -> None:
    pushed(registry, tmp_path, "no-vmm")
    tag = f"b7-cu130-sm120a-no-vmm-{STATE.fingerprint[:12]}"
    found = inspector(tmp_path, registry).inspect(f"{REPOSITORY}:{tag}")
    (layout,) = (tmp_path / "made").iterdir()
    image = open_layout(layout)
    assert (found.digest, found.config_digest, found.platform, found.ours) == (
        image.digest,
        image.config_digest,
        "linux/amd64",
        True,
    )
    assert (found.recipe, found.variant, found.version, found.tag) == (RECIPE.name, "no-vmm", "b7", tag)
    assert (found.source, found.commit, found.created) == (
        "https://git.example.org/mini",
        STATE.commit,
        STATE.created,
    )
    assert found.patches == (
        LabelledPatch(file="mini/0001-a.patch", sha256="4" * 12),
        LabelledPatch(file="mini/0002-b@c.patch", sha256="5" * 12),
    )
    assert (found.cuda, found.architectures) == ("13.0", ("120a-real",))
    assert (found.driver, found.driver_minimum) == ("linked", "580.65.06")
    assert (found.base_digest, found.fingerprint) == (f"sha256:{'b' * 64}", STATE.fingerprint)
    assert [(one.digest, one.size, one.what) for one in found.layers] == [
        (layer.digest, layer.size, layer.what) for layer in image.layers
    ]
    assert found.size == sum(layer.size for layer in image.layers)
    assert json.loads(store.text_of(found))["patches"][0] == {"file": "mini/0001-a.patch", "sha256": "4" * 12}


def test_an_image_of_another_pin_is_found_by_its_commit(registry: FakeRegistry, tmp_path: Path) -> None:
    pushed(registry, tmp_path, "no-vmm")
    found = inspector(tmp_path, registry, **{RECIPE.name: "f" * 40}).inspect(f"{REPOSITORY}:b7-no-vmm")
    assert found.rebuild == (
        f"git log --oneline -S{STATE.commit} -- recipes/{RECIPE.name}.yaml",
        "git checkout <the last commit that it lists>",
        f"./noxw -s build -- {RECIPE.name} --variant no-vmm",
        f"./noxw -s diff -- {REPOSITORY}:b7-no-vmm {RECIPE.name}+no-vmm",
    )


def test_an_image_of_somebody_else(registry: FakeRegistry, tmp_path: Path) -> None:
    publish(registry, NAMESPACE, tmp_path, STATE, labels={"maintainer": "x"})
    found = inspector(tmp_path, registry).inspect(f"{REPOSITORY}:latest")
    assert (found.ours, found.recipe, found.tag, found.rebuild) == (False, "", "", ())
    assert found.labels == (("maintainer", "x"),)
    assert len(found.layers) == 2


def test_not_there_and_no_answer_are_two_things(registry: FakeRegistry, tmp_path: Path) -> None:
    one = inspector(tmp_path, registry, mini="f" * 40)
    for name in (f"{REPOSITORY}:gone", f"{REPOSITORY}@sha256:{'0' * 64}"):
        assert refused(one, name) == (
            NothingSelected, f"{name} is not in the registry", "`nox -s history -- RECIPE` lists the tags that are there", 3,
        )  # fmt: skip
    registry.fail_at = len(registry.calls) + 1
    kind, _, _, code = refused(one, f"{REPOSITORY}:latest")
    assert (kind, code) == (Unreachable, 4)
    assert refused(one, "mini+x") == (
        BadRequest,
        f"mini+x has no image below {tmp_path / 'out'}",
        "./noxw -s build -- mini --variant x, or name a tag of a registry",
        2,
    )
    kind, message, _, code = refused(one, "nonsense")
    assert (kind, message, code) == (NothingSelected, "there is no recipe or image called nonsense", 3)


def test_a_configuration_that_is_gone(registry: FakeRegistry, tmp_path: Path) -> None:
    pushed(registry, tmp_path)
    found = inspector(tmp_path, registry).inspect(f"{REPOSITORY}:latest")
    del registry.blobs[REPOSITORY, found.config_digest]
    kind, message, hint, _ = refused(inspector(tmp_path, registry), f"{REPOSITORY}:latest")
    assert kind is WorkFailed
    assert message == (
        f"{REPOSITORY}:latest names the configuration {found.config_digest}, which is not in the registry"
    )
    assert hint == "it was only half pushed or half deleted: push it again"


def put(registry: FakeRegistry, tag: str, document: object, kind: str) -> None:
    """Put a manifest that no honest client would push."""
    data = json.dumps(document).encode()
    digest = Digest(f"sha256:{hashlib.sha256(data).hexdigest()}")
    registry.manifests[REPOSITORY, digest] = Manifest(digest=digest, media_type=kind, data=data)
    registry.tagged.setdefault(REPOSITORY, {})[tag] = digest


@pytest.mark.parametrize(
    "document",
    [[], {"layers": []}, {"config": {"digest": f"sha256:{'1' * 64}"}, "layers": [{"digest": "x"}]}],
)
def test_what_is_no_image(registry: FakeRegistry, tmp_path: Path, document: object) -> None:
    put(registry, "odd", document, "application/vnd.oci.image.manifest.v1+json")
    kind, message, hint, code = refused(inspector(tmp_path, registry), f"{REPOSITORY}:odd")
    assert (kind, code) == (WorkFailed, 1)
    assert message.startswith(f"{REPOSITORY}:odd cannot be read: ")
    assert hint == "it is no image for linux/amd64 as the OCI describes them"


def test_of_an_index_the_image_of_our_platform(registry: FakeRegistry, tmp_path: Path) -> None:
    pushed(registry, tmp_path)
    one = inspector(tmp_path, registry)
    digest = one.inspect(f"{REPOSITORY}:latest").digest
    entry = {"digest": str(digest), "platform": {"os": "linux", "architecture": "amd64"}}
    put(
        registry,
        "index",
        {"schemaVersion": 2, "manifests": [entry]},
        "application/vnd.oci.image.index.v1+json",
    )
    assert one.inspect(f"{REPOSITORY}:index").digest == digest


def test_a_broken_layout_is_refused(registry: FakeRegistry, tmp_path: Path) -> None:
    layout = write_layout(tmp_path / "out" / "mini" / "image", [{"a": b"1"}])
    blob = layout / "blobs" / "sha256" / open_layout(layout).config_digest.hex
    blob.write_bytes(blob.read_bytes().replace(b"linux", b"xunil"))
    kind, message, _, _ = refused(inspector(tmp_path, registry), "mini")
    assert issubclass(kind, WorkFailed)
    assert "has the digest" in message
