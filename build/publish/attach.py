"""Attaches artifacts to an image that is in a registry: manifests that name it as their subject. Its own manifest stays as it is.

https://github.com/opencontainers/image-spec/blob/v1.1.0/manifest.md#guidelines-for-artifact-usage
"""

import json
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from build.attest.provenance import PREDICATE
from build.doors import store
from build.doors.distribution import digest_of
from build.doors.effects import Reporter, Step
from build.errors import WorkFailed
from build.publish.model import Attaching, Manifest, Referrer
from build.publish.parcel import OCI_MANIFEST, Blob, send
from build.recipe.refs import Digest, ImageRef

__all__ = [
    "CYCLONEDX",
    "EMPTY",
    "IN_TOTO",
    "TITLE",
    "Artifact",
    "ArtifactFile",
    "attach",
    "bill_of_materials",
    "statement",
]

CYCLONEDX: Final = "application/vnd.cyclonedx+json"
IN_TOTO: Final = "application/vnd.in-toto+json"
EMPTY: Final = "application/vnd.oci.empty.v1+json"
TITLE: Final = "org.opencontainers.image.title"
_PREDICATE: Final = "in-toto.io/predicate-type"
"""BuildKit's annotation: it says which statement it is without reading it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactFile:
    """A file of an artifact: one layer."""

    path: Path
    title: str
    """What it is called where it is fetched."""
    media_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """Something that is said about an image, or belongs to it."""

    artifact_type: str
    files: tuple[ArtifactFile, ...]
    config: bytes = b"{}"
    config_type: str = EMPTY
    annotations: tuple[tuple[str, str], ...] = ()


def bill_of_materials(path: Path) -> Artifact:
    """Take a CycloneDX document for an artifact."""
    return Artifact(
        artifact_type=CYCLONEDX, files=(ArtifactFile(path=path, title=path.name, media_type=CYCLONEDX),)
    )


def statement(path: Path) -> Artifact:
    """Take an in-toto statement of provenance for an artifact."""
    return Artifact(
        artifact_type=IN_TOTO,
        files=(ArtifactFile(path=path, title=path.name, media_type=IN_TOTO),),
        annotations=((_PREDICATE, PREDICATE),),
    )


def attach(
    subject: ImageRef, artifacts: tuple[Artifact, ...], registry: Attaching, reporter: Reporter
) -> dict[str, Digest]:
    """Attach artifacts to the image that `subject` names by digest. What is attached already is not attached again.

    Returns the digests of their manifests by artifact type.

    Raises:
        WorkFailed: the image is not there, or the registry does not take or list an artifact.
        Unavailable: the registry cannot be reached or refuses access; running it again completes it.
    """
    image = registry.manifest(subject)
    if image is None:
        message = f"{subject} is not in the registry, so nothing can be attached to it"
        raise WorkFailed(message, hint="push the image first")
    with reporter.step(f"attach to {subject}") as step:
        made = tuple(_push(subject, image, artifact, registry, step) for artifact in artifacts)
        listed = {one.digest for one in registry.referrers(subject)}
        new = tuple(one for one in made if one.digest not in listed)
        if new:
            registry.refer(subject, new)
        step.verdict(", ".join(one.artifact_type for one in new) or "already there")
    return {one.artifact_type: one.digest for one in made}


def _push(
    subject: ImageRef, image: Manifest, artifact: Artifact, registry: Attaching, step: Step
) -> Referrer:
    repository = replace(subject, tag="", digest=None)
    with tempfile.TemporaryDirectory(prefix="ingot-attach-") as folder:
        config = Path(folder) / "config"
        config.write_bytes(artifact.config)
        blobs = tuple(_blob(file.path, file.title) for file in artifact.files)
        own = _blob(config, "configuration")
        data = _manifest(image, artifact, own, blobs)
        digest = digest_of(data)
        if registry.manifest(replace(repository, digest=digest)) is None:
            send(registry, repository, (*blobs, own), step)
            registry.put_manifest(replace(repository, digest=digest), data, OCI_MANIFEST)
    return Referrer(
        digest=digest,
        media_type=OCI_MANIFEST,
        size=len(data),
        artifact_type=artifact.artifact_type,
        annotations=artifact.annotations,
    )


def _blob(path: Path, what: str) -> Blob:
    digest = Digest(f"sha256:{store.sha256_file(path)}")
    return Blob(digest=digest, path=path, size=path.stat().st_size, what=what)


def _manifest(image: Manifest, artifact: Artifact, config: Blob, blobs: tuple[Blob, ...]) -> bytes:
    """Write the manifest. No time is in it: the same files give the same artifact."""
    layers = [
        _descriptor(file.media_type, blob) | {"annotations": {TITLE: file.title}}
        for file, blob in zip(artifact.files, blobs, strict=True)
    ]
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": artifact.artifact_type,
        "config": _descriptor(artifact.config_type, config),
        "layers": layers,
        "subject": {"mediaType": image.media_type, "digest": str(image.digest), "size": len(image.data)},
        **({"annotations": dict(artifact.annotations)} if artifact.annotations else {}),
    }
    return json.dumps(document, separators=(",", ":")).encode()


def _descriptor(media_type: str, blob: Blob) -> dict[str, object]:
    return {"mediaType": media_type, "digest": str(blob.digest), "size": blob.size}
