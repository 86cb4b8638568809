"""The good road, for real: sample fork, nvcc, BuildKit, containers, registry."""

import json
import os
import subprocess
from collections import Counter

import pytest

from build.doors.effects import EngineHandle
from build.image.layout import open_layout
from build.image.rootfs import ELF_MAGIC, open_rootfs
from build.smoke.static.fatbin import read_device_code
from tests.cuobjdump import targets
from tests.integration.conftest import Checkout

pytestmark = pytest.mark.engine


def test_artifacts_agree_on_one_digest(good: Checkout) -> None:
    image, smoke, push = (good.artifact(name) for name in ("image", "smoke", "push"))
    assert image["digest"] == smoke["digest"] == push["digest"]
    assert set(push["refs"].values()) == {image["digest"]}
    assert smoke["outcome"] == "passed"
    plan = good.artifact("plan")
    assert [ref.rpartition(":")[2] for ref in push["refs"]] == [plan["tag"], "latest", "b42"]


def test_only_the_gpu_check_is_skipped_and_says_why(good: Checkout) -> None:
    skipped = {
        one["name"]: one["reason"] for one in good.artifact("smoke")["checks"] if one["outcome"] == "skipped"
    }
    assert set(skipped) <= {"gpu"}
    assert all(skipped.values())


def test_pulled_image_has_the_digest_of_the_artifacts(good: Checkout, engine: EngineHandle) -> None:
    ref = next(iter(good.artifact("push")["refs"]))
    env = {**os.environ, **dict(engine.environment)}
    subprocess.run(("docker", "pull", "--quiet", ref), env=env, check=True, capture_output=True)
    inspected = subprocess.run(
        ("docker", "image", "inspect", ref), env=env, check=True, capture_output=True
    ).stdout
    digests = [name.rpartition("@")[2] for name in json.loads(inspected)[0]["RepoDigests"]]
    assert good.artifact("image")["digest"] in digests


def test_second_run_does_nothing(good: Checkout) -> None:
    before = (good.out / "minifork" / "image.json").stat().st_mtime_ns
    again = good.run("image", "minifork")
    assert again.code == 0
    assert "nothing to do" in again.err
    assert (good.out / "minifork" / "image.json").stat().st_mtime_ns == before


def test_bake_file_builds_the_same_bytes_without_ingot(good: Checkout, engine: EngineHandle) -> None:
    out = good.out / "minifork"
    command = (
        "docker",
        "buildx",
        "bake",
        "-f",
        "out/minifork/docker-bake.json",
        "--set",
        f"*.output=type=oci,tar=false,rewrite-timestamp=true,oci-mediatypes=true,compression=gzip,dest={out / 'by-hand'}",
    )
    subprocess.run(
        command,
        cwd=good.root,
        env={**os.environ, **dict(engine.environment)},
        check=True,
        capture_output=True,
    )
    (manifest,) = json.loads((out / "by-hand" / "index.json").read_text())["manifests"]
    assert manifest["digest"] == good.artifact("image")["digest"]


def test_image_adds_little_to_its_base(good: Checkout) -> None:
    layers = good.artifact("image")["layers"]
    assert sum(layer["size"] for layer in layers[1:]) < 10_000_000


def test_a_server_change_keeps_base_cuda_and_kernel_layers(good: Checkout, checkout: Checkout) -> None:
    checkout.edit("samples/minifork/server/main.cpp", "int main(", "// a harmless change\nint main(")
    text = (checkout.root / "samples/minifork/server/http.cpp").read_text()
    (checkout.root / "samples/minifork/server/http.cpp").write_text(
        text.replace("minifork", "minifork2") + "\n"
    )
    checkout.repin()
    assert checkout.run("image", "minifork").code == 0
    before, after = good.artifact("image"), checkout.artifact("image")
    assert before["fingerprint"] != after["fingerprint"]
    assert [one["digest"] for one in before["layers"][:3]] == [one["digest"] for one in after["layers"][:3]]
    assert before["layers"][3]["digest"] != after["layers"][3]["digest"]


def test_no_vmm_variant_runs_without_any_libcuda(checkout: Checkout, good: Checkout) -> None:
    ran = checkout.run("image", "minifork", "--variant", "no-vmm")
    assert ran.code == 0, ran.err
    plan = checkout.artifact("plan", "minifork+no-vmm")
    assert plan["tag"].startswith("b42-cu130-sm120a-no-vmm-")
    assert plan["moving_tags"] == ["latest-no-vmm", "b42-no-vmm"]


def test_the_device_code_is_what_nvidias_own_reader_sees(good: Checkout) -> None:
    layout = open_layout(good.out / "minifork" / "image")
    found: Counter[str] = Counter()
    with open_rootfs(
        layout, keep=lambda path, _size, head: head.startswith(ELF_MAGIC) and path.startswith("app/")
    ) as rootfs:
        for entry in rootfs:
            if entry.content is not None:
                ours = Counter(code.target for code in read_device_code(entry.content))
                assert ours == targets(entry.content), entry.path
                found += ours
    assert set(found) == {"sm_120a"}
