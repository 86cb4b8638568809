"""The bake file, which tells `docker buildx bake` what to build, and the digest of what it leaves.

https://docs.docker.com/build/bake/reference/
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from build.doors.platforms import TARGET
from build.errors import WorkFailed
from build.recipe.refs import Digest

__all__ = ["EPOCH", "BakeTarget", "bake_json", "layout_digest", "output_attribute"]

EPOCH = 1_000_000_000
"""SOURCE_DATE_EPOCH of every layer of every image, 2001-09-09.

One constant, later than 1980 (zip's first year) and earlier than any input: layers with equal content then have equal
digests across commits and recipes. The commit's date goes into the image's labels.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class BakeTarget:
    """One target of a bake file. Paths are as bake reads them: relative to where it is called from."""

    name: str
    context: str
    output: str
    """Folder that receives the OCI layout, or with `kind="local"` the stage's files."""
    kind: Literal["oci", "local"] = "oci"
    dockerfile: str = "Dockerfile"
    stage: str = ""
    """Stage to build; empty: the last."""
    contexts: tuple[tuple[str, str], ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    platform: str = TARGET
    compression: str = "gzip"


def output_attribute(target: BakeTarget) -> str:
    """Render the `output` of a target: an OCI layout with every file's time clamped to the epoch, or plain files."""
    attributes = {"type": target.kind, "dest": target.output}
    if target.kind == "oci":
        attributes |= {
            "tar": "false",
            "rewrite-timestamp": "true",
            "oci-mediatypes": "true",
            "compression": target.compression,
        }
    return ",".join(_csv_field(f"{key}={value}") for key, value in attributes.items())


def _csv_field(text: str) -> str:
    """Quote a field that holds a comma or a quote, as encoding/csv reads it."""
    return '"' + text.replace('"', '""') + '"' if set(text) & set(',"') else text


def _literal(value: object) -> object:
    """Keep bake from taking text for a template: it evaluates `${...}` and `%{...}` in every string of the file."""
    match value:
        case str():
            return value.replace("${", "$${").replace("%{", "%%{")
        case list():
            return [_literal(item) for item in value]
        case dict():
            return {key: _literal(item) for key, item in value.items()}
        case _:
            return value


def bake_json(*targets: BakeTarget) -> str:
    """Render a bake file.

    Attestations are off: they are never reproducible (https://github.com/moby/buildkit/issues/3421) and travel beside the
    image.
    """
    document = {
        "group": {"default": {"targets": [target.name for target in targets]}},
        "target": {target.name: _literal(_target(target)) for target in targets},
    }
    return json.dumps(document, indent=2) + "\n"


def _target(target: BakeTarget) -> dict[str, object]:
    optional: dict[str, object] = {
        "target": target.stage,
        "contexts": dict(target.contexts),
        "labels": dict(target.labels),
    }
    return {
        "context": target.context,
        "dockerfile": target.dockerfile,
        **{key: value for key, value in optional.items() if value},
        "args": {"SOURCE_DATE_EPOCH": str(EPOCH)},
        "platforms": [target.platform],
        "output": [output_attribute(target)],
        "attest": ["type=provenance,disabled=true", "type=sbom,disabled=true"],
    }


def layout_digest(layout: Path) -> Digest:
    """Return the manifest digest that a layout's index names.

    Raises:
        WorkFailed: there is no layout, or it does not hold exactly one image.
    """
    try:
        manifests = json.loads((layout / "index.json").read_bytes())["manifests"]
        (manifest,) = manifests
        return Digest(manifest["digest"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        message = f"{layout} is not an OCI layout with one image: {error}"
        raise WorkFailed(message) from error
