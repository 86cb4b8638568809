"""An image of a registry on disk: proven, resumed, or refused in words."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from build.doors.registry import Manifest
from build.errors import BadRequest, NothingSelected, Unreachable, WorkFailed
from build.image.layout import Layout, open_layout
from build.publish.pulled import pull
from build.recipe.refs import Digest, ImageRef
from tests.fakes import FakeRegistry, RecordingReporter
from tests.layouts import OCI_INDEX, write_layout

REF = ImageRef.parse("127.0.0.1:1/ns/mini:one")
REPOSITORY = "127.0.0.1:1/ns/mini"


@pytest.fixture
def remote(tmp_path: Path) -> tuple[FakeRegistry, Layout]:
    """A registry with an image of two layers."""
    layout = open_layout(write_layout(tmp_path / "remote", [{"a": b"1"}, {"b": b"2"}]))
    registry = FakeRegistry()
    for blob in (layout.config_digest, *(layer.digest for layer in layout.layers)):
        registry.push_blob(REF, blob, layout.path / "blobs" / "sha256" / blob.hex)
    data = (layout.path / "blobs" / "sha256" / layout.digest.hex).read_bytes()
    registry.put_manifest(REF, data, json.loads(data)["mediaType"])
    registry.calls.clear()
    return registry, layout


def store(registry: FakeRegistry, document: Any, kind: str, tag: str) -> Digest:
    """Put a manifest that no honest client would push."""
    data = json.dumps(document).encode()
    digest = Digest(f"sha256:{hashlib.sha256(data).hexdigest()}")
    registry.manifests[REPOSITORY, digest] = Manifest(digest=digest, media_type=kind, data=data)
    registry.tagged.setdefault(REPOSITORY, {})[tag] = digest
    return digest


def test_by_tag_then_from_the_cache(remote: tuple[FakeRegistry, Layout], tmp_path: Path) -> None:
    registry, image = remote
    reporter = RecordingReporter()
    pulled = pull(REF, tmp_path / "cache", registry, reporter)
    assert pulled.ref == replace(REF, digest=image.digest)
    assert (pulled.layout.digest, pulled.layout.layers) == (image.digest, image.layers)
    registry.calls.clear()
    pull(REF, tmp_path / "cache", registry, reporter)
    assert registry.calls == ["manifest one"], "the blobs are there"
    pull(pulled.ref, tmp_path / "cache", registry, reporter)
    assert registry.calls == ["manifest one"], "a digest need not be asked for"


def test_of_an_index_the_image_of_our_platform(remote: tuple[FakeRegistry, Layout], tmp_path: Path) -> None:
    registry, image = remote
    entry = {"digest": str(image.digest), "platform": {"os": "linux", "architecture": "amd64"}}
    arm = {"digest": f"sha256:{'1' * 64}", "platform": {"os": "linux", "architecture": "arm64"}}
    store(registry, {"manifests": [arm, entry]}, OCI_INDEX, "many")
    found = pull(replace(REF, tag="many"), tmp_path / "cache", registry, RecordingReporter())
    assert found.layout.digest == image.digest
    store(registry, {"manifests": [arm]}, OCI_INDEX, "arm")
    with pytest.raises(BadRequest) as error:
        pull(replace(REF, tag="arm"), tmp_path / "cache", registry, RecordingReporter())
    assert error.value.message == f"{REPOSITORY}:arm holds 0 images for linux/amd64, one is expected"
    with pytest.raises(BadRequest, match="many holds 0 images for linux/riscv64, one is expected"):
        pull(
            replace(REF, tag="many"),
            tmp_path / "cache",
            registry,
            RecordingReporter(),
            platform="linux/riscv64",
        )


@pytest.mark.parametrize("fail_at", [2, 3, 4])
def test_lost_on_the_way_the_next_pull_goes_on(
    remote: tuple[FakeRegistry, Layout], tmp_path: Path, fail_at: int
) -> None:
    registry, image = remote
    registry.fail_at = fail_at
    with pytest.raises(Unreachable):
        pull(REF, tmp_path / "cache", registry, RecordingReporter())
    assert not (tmp_path / "cache" / image.digest.hex).exists()
    registry.fail_at = 0
    registry.calls.clear()
    assert pull(REF, tmp_path / "cache", registry, RecordingReporter()).layout.digest == image.digest
    assert sum(call.startswith("save_blob") for call in registry.calls) == 5 - fail_at


def test_a_damaged_copy_is_pulled_again(remote: tuple[FakeRegistry, Layout], tmp_path: Path) -> None:
    registry, image = remote
    pulled = pull(REF, tmp_path / "cache", registry, RecordingReporter())
    (pulled.layout.path / "blobs" / "sha256" / image.config_digest.hex).write_bytes(b"{}")
    again = pull(pulled.ref, tmp_path / "cache", registry, RecordingReporter())
    assert again.layout.config == image.config


@pytest.mark.parametrize(
    "document",
    [
        [],
        {"config": {}, "layers": []},
        {"config": {"digest": "sha256:../../x", "size": 1}, "layers": []},
        {"config": {"digest": f"sha256:{'1' * 64}", "size": -1}, "layers": []},
        {"config": {"digest": f"sha256:{'1' * 64}", "size": 1}, "layers": "x"},
    ],
)
def test_a_manifest_that_is_none(remote: tuple[FakeRegistry, Layout], tmp_path: Path, document: Any) -> None:
    registry, _ = remote
    store(registry, document, "application/vnd.oci.image.manifest.v1+json", "bad")
    with pytest.raises(WorkFailed) as error:
        pull(replace(REF, tag="bad"), tmp_path / "cache", registry, RecordingReporter())
    assert error.value.message.startswith(f"the manifest of {REPOSITORY}:bad")
    assert not list((tmp_path / "cache").glob("[!.]*"))


def test_an_image_that_does_not_exist(remote: tuple[FakeRegistry, Layout], tmp_path: Path) -> None:
    with pytest.raises(NothingSelected) as error:
        pull(replace(REF, tag="gone"), tmp_path / "cache", remote[0], RecordingReporter())
    assert error.value.message == f"{REPOSITORY}:gone is not in the registry"
