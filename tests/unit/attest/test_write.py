"""What is written beside an image, and that it is refused where the tree is not what the image was made from any more."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from build.attest.write import Attestor
from build.doors import store
from build.errors import WorkFailed
from build.image.layout import open_layout
from build.image.model import BuiltImage
from build.pin.images import ImageStore
from build.pin.locks import read_cuda_lock, read_debian_lock
from build.plan.model import ImagePlan
from tests.fakes import RecordingReporter
from tests.layouts import write_layout
from tests.unit.attest.making import TREES, make_wheel
from tests.unit.publish.bundles import PATCH, Planned, planned

pytestmark = pytest.mark.processes


def locked_to(one: Planned, wheel: Path) -> ImagePlan:
    """Lock the toolchain to one wheel, which lies below the cache already, and return the plan that was made so."""
    toolchains = one.root / "recipes" / "toolchains"
    digest = store.sha256_file(wheel)
    (toolchains / "cuda-13.0.txt").write_text(f"nvidia-cuda-runtime==13.0.96 --hash=sha256:{digest}\n")
    cuda = read_cuda_lock(toolchains, "13.0")
    folder = images(one).cache / "wheels" / f"cuda-13.0-{cuda.sha256[:12]}-x86_64"
    folder.mkdir(parents=True)
    wheel.rename(folder / wheel.name)
    lock = images(one).toolchain_lock(cuda, read_debian_lock(toolchains))
    assert one.plan.pin.toolchain
    pin = replace(one.plan.pin, toolchain=replace(one.plan.pin.toolchain, lock=lock))
    return replace(one.plan, pin=pin)


def images(one: Planned) -> ImageStore:
    return one.resolver.images


def attestor(one: Planned) -> Attestor:
    return Attestor(
        root=one.root, cache=images(one).cache, toolchains=one.root / "recipes" / "toolchains", images=images(one),
        reporter=RecordingReporter(),
    )  # fmt: skip


@pytest.fixture
def one(tmp_path: Path) -> Planned:
    made = planned(tmp_path, PATCH)
    return replace(made, plan=locked_to(made, make_wheel(tmp_path / "fetched")))


def built(one: Planned) -> BuiltImage:
    layout = open_layout(write_layout(one.root / "out" / "mini" / "image", TREES))
    return BuiltImage(
        recipe="mini", variant="", fingerprint=one.plan.fingerprint, digest=layout.digest,
        config_digest=layout.config_digest, platform="linux/amd64", size=1, layers=layout.layers, seconds={},
        compile_cache={}, engine={},
    )  # fmt: skip


def test_both_lie_beside_the_image(one: Planned) -> None:
    out, image = one.root / "out" / "mini", built(one)
    written = attestor(one).write(out, one.plan, image, subject="registry.example.org/mini:tag")
    assert written.files == (str(out / "sbom.cdx.json"), str(out / "provenance.json"))
    bill = json.loads((out / "sbom.cdx.json").read_text())
    assert {"bash", "nvidia-cuda-runtime"} <= {part["name"] for part in bill["components"]}
    claim = json.loads((out / "provenance.json").read_text())
    assert claim["subject"] == [
        {"name": "registry.example.org/mini:tag", "digest": {"sha256": image.digest.hex}}
    ]
    used = {
        part["name"]: part["digest"] for part in claim["predicate"]["buildDefinition"]["resolvedDependencies"]
    }
    lock = "recipes/toolchains/cuda-13.0.txt"
    assert used[lock] == {"sha256": store.sha256_file(one.root / lock)}
    assert "nvidia_cuda_runtime-13.0.96-py3-none-any.whl" in used
    before = [path.read_bytes() for path in map(Path, written.files)]
    attestor(one).write(out, one.plan, image, subject="registry.example.org/mini:tag")
    assert [path.read_bytes() for path in map(Path, written.files)] == before


def refused(one: Planned) -> str:
    with pytest.raises(WorkFailed) as error:
        attestor(one).write(one.root / "out" / "mini", one.plan, built(one), subject="x")
    assert not list((one.root / "out" / "mini").glob("*.json"))
    return error.value.message


def test_locks_that_moved_on_are_refused_with_both_hashes(one: Planned) -> None:
    lock = one.root / "recipes" / "toolchains" / "cuda-13.0.txt"
    lock.write_text(lock.read_text() + f"nvidia-nvvm==1.0 --hash=sha256:{'0' * 64}\n")
    assert one.plan.pin.toolchain
    assert refused(one).startswith(
        f"mini was built with the toolchain {one.plan.pin.toolchain.lock}, the locks now give "
    )


def test_a_patch_that_was_edited_is_refused(one: Planned) -> None:
    path = one.root / "patches" / PATCH
    path.write_text(path.read_text() + "\n")
    assert f"patches/{PATCH} was changed after it was pinned" in refused(one)


def test_a_wheel_that_was_changed_is_refused(one: Planned) -> None:
    (wheel,) = images(one).cache.glob("wheels/*/*.whl")
    wheel.write_bytes(wheel.read_bytes() + b"x")
    assert "is not the locked wheel" in refused(one)
