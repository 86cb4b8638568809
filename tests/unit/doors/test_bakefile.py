import csv
import json
from pathlib import Path

import pytest

from build.doors.bakefile import EPOCH, BakeTarget, bake_json, layout_digest, output_attribute
from build.errors import WorkFailed
from tests.layouts import listed, rewrite_index, write_layout


def test_a_target_is_deterministic_and_without_attestations() -> None:
    document = json.loads(bake_json(BakeTarget(name="a", context="out/a/context", output="out/a/image")))
    assert document == {
        "group": {"default": {"targets": ["a"]}},
        "target": {
            "a": {
                "context": "out/a/context",
                "dockerfile": "Dockerfile",
                "args": {"SOURCE_DATE_EPOCH": str(EPOCH)},
                "platforms": ["linux/amd64"],
                "output": [
                    "type=oci,dest=out/a/image,tar=false,rewrite-timestamp=true,oci-mediatypes=true,compression=gzip"
                ],
                "attest": ["type=provenance,disabled=true", "type=sbom,disabled=true"],
            }
        },
    }


def test_what_is_given_is_in_the_file() -> None:
    target = BakeTarget(
        name="stub", context="c", output="o", kind="local", dockerfile="../Dockerfile", stage="driver-stub",
        contexts=(("base", "oci-layout://x@sha256:1"),), labels=(("a", "b"),), platform="linux/arm64",
    )  # fmt: skip
    found = json.loads(bake_json(target))["target"]["stub"]
    assert found["target"] == "driver-stub"
    assert found["contexts"] == {"base": "oci-layout://x@sha256:1"}
    assert found["labels"] == {"a": "b"}
    assert found["platforms"] == ["linux/arm64"]
    assert found["output"] == ["type=local,dest=o"]


def test_several_targets_are_one_group() -> None:
    two = (BakeTarget(name="a", context=".", output="x"), BakeTarget(name="b", context=".", output="y"))
    assert json.loads(bake_json(*two))["group"]["default"]["targets"] == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("${HOME}", "$${HOME}"),
        ("%{if x}", "%%{if x}"),
        ("$HOME costs 5$ {a}", "$HOME costs 5$ {a}"),
    ],
)
def test_bake_takes_no_text_for_a_template(text: str, written: str) -> None:
    """Bake reads its file as HCL, where these would be evaluated."""
    target = BakeTarget(
        name="a", context=text, output="o", labels=(("label", text),), contexts=(("source", text),)
    )
    found = json.loads(bake_json(target))["target"]["a"]
    assert (found["context"], found["labels"]["label"], found["contexts"]["source"]) == (written,) * 3


@pytest.mark.parametrize("path", ["/a,b/image", '/a"b/image', "/a b/image"])
def test_an_output_with_a_comma_is_one_field(path: str) -> None:
    """Buildx reads it as one line of CSV."""
    (fields,) = csv.reader([output_attribute(BakeTarget(name="a", context=".", output=path))])
    assert fields[:3] == ["type=oci", f"dest={path}", "tar=false"]


def test_the_digest_is_the_indexs(tmp_path: Path) -> None:
    layout = write_layout(tmp_path / "image", [{"a": b"b"}])
    assert layout_digest(layout) == listed(layout)[0]["digest"]


def test_what_is_no_layout_of_one_image_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WorkFailed, match="is not an OCI layout with one image"):
        layout_digest(tmp_path)
    layout = write_layout(tmp_path / "image", [{"a": b"b"}])
    (entry,) = listed(layout)
    broken: tuple[list[dict[str, object]], ...] = (
        [],
        [entry, entry],
        [{**entry, "digest": "sha256:short"}],
        [{}],
    )
    for entries in broken:
        rewrite_index(layout, entries)
        with pytest.raises(WorkFailed) as refused:
            layout_digest(layout)
        assert refused.value.message.startswith(f"{layout} is not an OCI layout with one image: ")
