"""The bill of materials: what it says, that it is CycloneDX 1.6, and that nothing of chance is in it."""

import base64
import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from build.attest.sbom import Materials, sbom
from build.attest.wheels import read_wheels
from build.errors import WorkFailed
from build.pin.model import PinnedWheel
from build.recipe.model import SdistSource
from build.recipe.refs import Commit
from tests.layouts import elf
from tests.unit.attest.making import LICENCE, PATCH, make_wheel, materials

COMMIT = "0123456789" * 4


def complaint(text: str) -> str:
    """Return what the schema's own validator says; nothing where it is content."""
    return str(JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) or "")


def document(given: Materials) -> Any:
    text = sbom(given)
    assert complaint(text) == ""
    return json.loads(text)


def part(found: Any, name: str) -> Any:
    (one,) = [one for one in found["components"] if one["name"] == name]
    return one


def hashed(data: bytes) -> list[dict[str, str]]:
    return [{"alg": "SHA-256", "content": hashlib.sha256(data).hexdigest()}]


def test_the_image_itself(tmp_path: Path) -> None:
    given = materials(tmp_path)
    image = document(given)["metadata"]["component"]
    assert (image["type"], image["name"], image["version"]) == ("container", "mini", given.plan.tag)
    assert image["hashes"] == [{"alg": "SHA-256", "content": given.built.digest.hex}]
    assert image["purl"] == f"pkg:oci/mini@{given.built.digest}?arch=amd64"
    said = {one["name"]: one["value"] for one in image["properties"]}
    assert said["ingot:fingerprint"] == given.plan.fingerprint
    assert (said["ingot:variant"], said["ingot:architectures"]) == ("no-vmm", "120a-real")


def test_the_source_its_patches_and_its_licences(tmp_path: Path) -> None:
    found = document(materials(tmp_path))
    source = part(found, "mini")
    assert source["purl"].startswith(f"pkg:generic/mini@{COMMIT}?vcs_url=git%2Bhttps:")
    assert source["pedigree"]["commits"] == [{"uid": COMMIT, "url": "https://git.example.org/mini.git"}]
    (patch,) = source["pedigree"]["patches"]
    assert base64.b64decode(patch["diff"]["text"]["content"]) == PATCH
    assert source["pedigree"]["notes"] == f"mini/0001-a.patch sha256:{'4' * 64} clean"
    (licence,) = source["evidence"]["licenses"]
    assert licence["license"]["name"] == "LICENSE"
    assert base64.b64decode(licence["license"]["text"]["content"]) == LICENCE
    assert [(one["name"], one["hashes"]) for one in source["components"]] == [
        ("/app/server", hashed(elf("server").data))
    ]
    assert part(found, "vendor/x")["pedigree"]["commits"] == [{"uid": "3" * 40}]


def test_an_installed_package_has_the_hash_of_its_pinned_wheel(tmp_path: Path) -> None:
    given = materials(tmp_path)
    assert "hashes" not in part(document(given), "one"), "nothing says which wheel it came out of"
    wheel = PinnedWheel(
        name="one", version="1", file="one-1-py3-none-any.whl", sha256="a" * 64, layer="application"
    )
    other = replace(wheel, name="other", sha256="b" * 64)
    pin = given.plan.pin
    pin = replace(pin, source=replace(pin.source, wheels=(other, wheel)))
    found = part(document(replace(given, plan=replace(given.plan, pin=pin))), "one")
    assert found["hashes"] == [{"alg": "SHA-256", "content": "a" * 64}]
    assert found["purl"] == "pkg:pypi/one@1?file_name=one-1-py3-none-any.whl"


def test_only_wheels_that_are_in_the_image_by_their_bytes(tmp_path: Path) -> None:
    found = document(materials(tmp_path))
    wheel = part(found, "nvidia-cuda-runtime")
    assert wheel["hashes"] == hashed(
        (tmp_path / "wheels" / "nvidia_cuda_runtime-13.0.96-py3-none-any.whl").read_bytes()
    )
    assert wheel["licenses"] == [{"expression": "LicenseRef-X"}]
    assert [one["name"] for one in wheel["components"]] == [
        "/app/libcudart.so.13", "/app/licenses/nvidia/nvidia_cuda_runtime.txt",
    ]  # fmt: skip
    assert "nvidia-cuda-nvcc" not in {one["name"] for one in found["components"]}


def test_a_library_with_one_other_byte_is_of_no_wheel(tmp_path: Path) -> None:
    make_wheel(tmp_path / "wheels", files={"lib/libcudart.so.13": elf("libcudart.so.13").data + b"x"})
    found = document(materials(tmp_path, read_wheels(tmp_path / "wheels")))
    assert "nvidia-cuda-runtime" not in {one["name"] for one in found["components"]}
    assert "/app/libcudart.so.13" in {one["name"] for one in part(found, "mini")["components"]}


def test_debian_packages_with_the_licences_that_they_name(tmp_path: Path) -> None:
    found = document(materials(tmp_path))
    bash = part(found, "bash")
    assert bash["purl"] == "pkg:deb/debian/bash@5.2.15-2%2Bb13?arch=amd64&distro=debian-12"
    names = [one["license"]["name"] for one in bash["evidence"]["licenses"]]
    assert names == ["GFDL-NIV-1.3", "GPL-3+"]
    gcc = part(found, "libgcc-s1")
    assert not gcc.get("evidence", {}).get("licenses"), "its copyright file is prose: nothing is known"
    assert gcc["properties"] == [{"name": "ingot:debian:source", "value": "gcc-12 (12.2.0-14)"}]
    assert part(found, "one")["licenses"] == [{"expression": "MIT"}]


def test_the_same_image_gives_the_same_bytes(tmp_path: Path) -> None:
    given = materials(tmp_path / "one")
    again = materials(tmp_path / "two")
    assert sbom(given) == sbom(again)
    later = replace(given, built=replace(given.built, run=None, seconds={"total": 1.0}, engine={}))
    assert sbom(later) == sbom(given)
    found = document(given)
    assert found["metadata"]["timestamp"] == "2026-03-01T10:00:00+00:00", "the upstream commit's date"
    other = document(replace(given, built=replace(given.built, digest=given.built.config_digest)))
    assert other["serialNumber"] != found["serialNumber"]


def test_every_part_is_named_once_and_the_image_depends_on_all(tmp_path: Path) -> None:
    found = document(materials(tmp_path))
    names = [one["bom-ref"] for one in found["components"]]
    assert len(set(names)) == len(names)
    (image,) = [one for one in found["dependencies"] if one["ref"] == "image"]
    assert sorted(image["dependsOn"]) == sorted(names)


def test_a_source_archive_is_named_by_its_hash(tmp_path: Path) -> None:
    given = materials(tmp_path)
    sdist = SdistSource(
        sdist="llama-cpp-python==0.3.24", sha256="e" * 64, subdir="vendor/llama.cpp",
        upstream="https://github.com/ggml-org/llama.cpp", commit=Commit(COMMIT), version="b9400",
    )  # fmt: skip
    source = replace(given.plan.pin.source, url=sdist.upstream, archive_sha256=sdist.sha256)
    plan = replace(
        given.plan,
        recipe=replace(given.plan.recipe, source=sdist),
        pin=replace(given.plan.pin, source=source),
    )
    found = part(document(replace(given, plan=plan)), "llama.cpp")
    assert found["purl"] == "pkg:pypi/llama-cpp-python@0.3.24"
    assert found["hashes"] == [{"alg": "SHA-256", "content": "e" * 64}]


def test_the_validator_sees_a_broken_bill(tmp_path: Path) -> None:
    found = json.loads(sbom(materials(tmp_path)))
    found["components"][0]["type"] = "nonsense"
    assert "'nonsense' is not one of" in complaint(json.dumps(found))


@pytest.mark.parametrize("data", [b"no zip", b""])
def test_what_is_no_wheel_is_said(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x-1-py3-none-any.whl").write_bytes(data)
    with pytest.raises(WorkFailed, match="is no wheel that can be read"):
        read_wheels(tmp_path)
