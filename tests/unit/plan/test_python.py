"""What is rendered for images of wheels and of a vendor's image, and what of it decides the fingerprint."""

from dataclasses import replace

import pytest

from build.pin.model import Pin, PinnedWheel
from build.plan.model import ImagePlan
from build.plan.plan import Places, make_plan
from build.recipe.model import (
    Compression,
    Family,
    Image,
    PackagesSource,
    Recipe,
    Runtime,
    Smoke,
    Toolchain,
    VendorSource,
)
from build.recipe.sources import LeftOut
from build.smoke.run import expectations_of
from tests.unit.plan.plans import PIN, PLACES, RECIPE, TEMPLATES

WHEELS = tuple(
    PinnedWheel(name=name, version="1", file=f"{name}-1.whl", sha256=digit * 64, layer=layer)
    for name, digit, layer in (
        ("torch", "1", "cuda"),
        ("h11", "2", "dependencies"),
        ("vllm", "3", "application"),
    )
)
SOURCE = PackagesSource(
    packages="packages/vllm.txt",
    application="vllm",
    upstream="https://git.example.org/vllm",
    version="1",
    leave_out=(LeftOut(files="*.a", why="no linker"),),
)
WHEELED = Recipe(
    name="mini",
    title="Mini",
    family=Family.PYTHON,
    image=Image(repository="mini", tags=("latest", "{version}")),
    source=SOURCE,
    toolchain=Toolchain(cuda="13.0", architectures=("120-real",)),
    runtime=Runtime(entrypoint=("/opt/venv/bin/vllm", "serve")),
    smoke=Smoke(version="{version}"),
)
PINNED: Pin = replace(
    PIN,
    toolchain=None,
    source=replace(PIN.source, commit="", tree="", submodules=(), patches=(), wheels=WHEELS),
)
VENDOR = f"vendor/engine@sha256:{'a' * 64}"


def planned(recipe: Recipe = WHEELED, pin: Pin = PINNED, places: Places = PLACES) -> ImagePlan:
    return make_plan(recipe, "", pin, templates=TEMPLATES, places=places)


def files(plan: ImagePlan) -> dict[str, str]:
    return dict(plan.files)


def test_layers_follow_each_other_from_what_moves_rarely_to_what_moves_often() -> None:
    text = files(planned())["Dockerfile"]
    stages = [line.split()[1::2] for line in text.splitlines() if line.startswith("FROM ")]
    assert stages == [
        ["base", "interpreter"], ["interpreter", "cuda"], ["cuda", "dependencies"], ["dependencies", "application"],
        ["application", "patched"], ["patched", "runtime"],
    ]  # fmt: skip
    assert "toolchain" not in text


def test_every_run_is_without_network_and_nothing_is_kept_of_tmp() -> None:
    runs = files(planned())["Dockerfile"].split("\nRUN ")[1:]
    assert len(runs) == 4
    assert all(run.startswith("--network=none --mount=type=tmpfs,target=/tmp ") for run in runs)


def test_a_layer_s_requirements_are_its_wheels_by_their_one_hash() -> None:
    found = files(planned())
    assert found["context/requirements/cuda.txt"] == f"torch==1 --hash=sha256:{'1' * 64}\n"
    assert found["context/requirements/dependencies.txt"] == f"h11==1 --hash=sha256:{'2' * 64}\n"
    assert found["context/requirements/application.txt"] == f"vllm==1 --hash=sha256:{'3' * 64}\n"
    assert found["context/left-out.txt"] == "*.a\n"
    assert not [name for name in found if "compile" in name or "probe" in name]


def test_the_image_is_compressed_with_zstd_and_a_compiled_one_with_gzip() -> None:
    assert "compression=zstd" in files(planned())["docker-bake.json"]
    assert (
        "compression=gzip"
        in files(make_plan(RECIPE, "", PIN, templates=TEMPLATES, places=PLACES))["docker-bake.json"]
    )


def test_a_recipe_may_say_how_layers_are_compressed() -> None:
    packed = replace(RECIPE, image=replace(RECIPE.image, compression=Compression.ZSTD))
    plan = make_plan(packed, "", PIN, templates=TEMPLATES, places=PLACES)
    assert "compression=zstd" in files(plan)["docker-bake.json"]
    assert plan.compression is Compression.ZSTD
    said = make_plan(
        replace(RECIPE, image=replace(RECIPE.image, compression=Compression.GZIP)),
        "",
        PIN,
        templates=TEMPLATES,
        places=PLACES,
    )
    unsaid = make_plan(RECIPE, "", PIN, templates=TEMPLATES, places=PLACES)
    assert said.fingerprint == unsaid.fingerprint != plan.fingerprint, "the default may be said"


def test_a_vendor_s_image_is_named_in_the_file_by_its_digest() -> None:
    source = VendorSource(image=VENDOR, upstream="https://git.example.org/vllm", version="1")
    plan = planned(replace(WHEELED, source=source), replace(PINNED, source=replace(PINNED.source, wheels=())))
    text = files(plan)["Dockerfile"]
    assert f"FROM {VENDOR} AS application\n" in text
    assert "/usr/local/lib/python3.12/dist-packages" in text
    assert "wheels" not in "".join(line for line in text.splitlines() if not line.startswith("#"))
    assert set(files(plan)) == {"Dockerfile", "docker-bake.json"}
    assert (expectations_of(plan).own_layers, expectations_of(planned()).own_layers) == (1, None)


def test_labels_say_what_is_known_and_no_commit() -> None:
    found = dict(planned().labels)
    assert found["org.opencontainers.image.source"] == "https://git.example.org/vllm"
    assert found["org.opencontainers.image.version"] == "1"
    assert "org.opencontainers.image.revision" not in found


CHANGED = {
    "a wheel's bytes": (WHEELED, replace(PINNED, source=replace(PINNED.source, wheels=(*WHEELS[:2], replace(WHEELS[2], sha256="4" * 64))))),
    "one wheel less": (WHEELED, replace(PINNED, source=replace(PINNED.source, wheels=WHEELS[1:]))),
    "the lock": (WHEELED, replace(PINNED, source=replace(PINNED.source, archive_sha256="5" * 64))),
    "what is left out": (replace(WHEELED, source=replace(SOURCE, leave_out=())), PINNED),
    "the base": (WHEELED, replace(PINNED, base=replace(PINNED.base, lock="6" * 64))),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGED)
def test_what_decides_the_bytes_changes_the_fingerprint(name: str) -> None:
    assert planned(*CHANGED[name]).fingerprint != planned().fingerprint


def test_why_files_are_left_out_is_said_and_does_not_count() -> None:
    other = replace(SOURCE, leave_out=(LeftOut(files="*.a", why="nothing links here"),))
    assert planned(replace(WHEELED, source=other)).fingerprint == planned().fingerprint
