"""What is attached to an image, read back: its bill of materials, how it was built, its bundles. Nobody signed any of it.

Whoever may push to the repository may attach, so all of it is a claim: what is about another image is passed over and said.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from build.doors.jsonvalues import MalformedError, digest, items, json_document, mapping
from build.doors.referrers import Referrer
from build.doors.registry import Manifest
from build.errors import WorkFailed
from build.publish.attach import CYCLONEDX, IN_TOTO
from build.publish.depot import CUSTODY
from build.recipe.refs import Digest, ImageRef

__all__ = [
    "NOTHING",
    "Attached",
    "AttachedSource",
    "Bill",
    "BuildClaim",
    "read_attached",
    "read_bill",
    "read_claim",
]


class AttachedSource(Protocol):
    """A registry, as far as what refers to an image is read from it."""

    def manifest(self, ref: ImageRef) -> Manifest | None: ...

    def read_blob(self, repository: ImageRef, digest: Digest) -> bytes | None: ...

    def referrers(self, subject: ImageRef) -> tuple[Referrer, ...]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """A bill of materials in numbers."""

    debian: int
    python: int
    """Wheels, NVIDIA's and others."""
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildClaim:
    """Who says that they built it, when and from what. Empty: it does not say."""

    builder: str
    versions: tuple[tuple[str, str], ...]
    started: str
    finished: str
    recipes_commit: str
    recipes_changed: bool
    toolchain: str
    base: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Attached:
    """All of it."""

    bill: Bill | None = None
    """The one that is listed last."""
    bills: int = 0
    """How many bills of materials were taken whose bytes differ."""
    claims: tuple[BuildClaim, ...] = ()
    """Several, where the same bytes were built more than once."""
    bundles: tuple[Digest, ...] = ()
    refused: tuple[str, ...] = ()
    """What is attached and could not be taken, and why."""


NOTHING = Attached()


def read_attached(subject: ImageRef, registry: AttachedSource) -> Attached:
    """Read what is attached to the image that `subject` names by digest.

    Raises:
        Unavailable: the registry cannot be reached or refuses access.
    """
    bill, claims, bundles, refused = None, [], [], []
    bills: set[bytes] = set()
    for one in registry.referrers(subject):
        try:
            match one.artifact_type:
                case str(kind) if kind == CYCLONEDX:
                    data = _content(subject, one, registry)
                    bill = read_bill(data, subject.digest)
                    bills.add(data)
                case str(kind) if kind == IN_TOTO:
                    claims.append(read_claim(_content(subject, one, registry), subject.digest))
                case str(kind) if kind == CUSTODY:
                    bundles.append(one.digest)
        except (MalformedError, WorkFailed) as error:
            refused.append(f"{one.digest}: {error}")
    return Attached(
        bill=bill, bills=len(bills), claims=tuple(claims), bundles=tuple(bundles), refused=tuple(refused)
    )


def read_bill(data: bytes, image: Digest | None) -> Bill:
    """Count what a bill of materials lists. Raises MalformedError where it is none, or another image's."""
    document = json_document(data, "the bill of materials")
    about = mapping(mapping(document.get("metadata"), "metadata").get("component"), "metadata.component")
    hashes = [mapping(one, "hashes").get("content") for one in items(about.get("hashes") or [], "hashes")]
    if image is None or image.hex not in hashes:
        message = f"the bill of materials is not of {image}"
        raise MalformedError(message)
    purls = [
        str(mapping(one, "components").get("purl") or "")
        for one in items(document.get("components"), "components")
    ]
    return Bill(
        debian=sum(purl.startswith("pkg:deb/") for purl in purls),
        python=sum(purl.startswith("pkg:pypi/") for purl in purls),
        total=len(purls),
    )


def read_claim(data: bytes, image: Digest | None) -> BuildClaim:
    """Read a statement of provenance. Raises MalformedError where it is none, or about another image."""
    document = json_document(data, "the provenance")
    subjects = [mapping(one, "subject") for one in items(document.get("subject"), "subject")]
    if image is None or image.hex not in [_part(one, "digest").get("sha256") for one in subjects]:
        message = f"the provenance is not about {image}"
        raise MalformedError(message)
    predicate = mapping(document.get("predicate"), "predicate")
    run = _part(predicate, "runDetails")
    builder, metadata = _part(run, "builder"), _part(run, "metadata")
    used = dict(_dependencies(_part(predicate, "buildDefinition")))
    recipes = used.get("recipes", {})
    return BuildClaim(
        builder=str(builder.get("id") or ""),
        versions=tuple(sorted((str(key), str(value)) for key, value in _part(builder, "version").items())),
        started=str(metadata.get("startedOn") or ""),
        finished=str(metadata.get("finishedOn") or ""),
        recipes_commit=str(_part(recipes, "digest").get("gitCommit") or ""),
        recipes_changed=_part(recipes, "annotations").get("changed") is True,
        toolchain=_described(used.get("toolchain", {})),
        base=_described(used.get("base", {})),
    )


def _part(value: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    return mapping(value.get(key) or {}, key)


def _dependencies(definition: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for one in items(definition.get("resolvedDependencies") or [], "resolvedDependencies"):
        found = mapping(one, "resolvedDependencies")
        yield str(found.get("name") or ""), found


def _described(dependency: Mapping[str, Any]) -> str:
    found = _part(dependency, "digest").get("sha256")
    origin = _part(dependency, "annotations").get("origin")
    return " ".join(filter(None, (f"sha256:{found}" if found else "", f"({origin})" if origin else "")))


def _content(subject: ImageRef, one: Referrer, registry: AttachedSource) -> bytes:
    """Read the one file of an artifact that says that it is about this image."""
    manifest = registry.manifest(replace(subject, digest=one.digest))
    if manifest is None:
        message = "it is listed and is not there"
        raise MalformedError(message)
    document = json_document(manifest.data, "the manifest")
    if mapping(document.get("subject"), "subject").get("digest") != subject.digest:
        message = f"it is not about {subject.digest}"
        raise MalformedError(message)
    layers = items(document.get("layers"), "layers")
    if len(layers) != 1:
        message = f"it has {len(layers)} files, one is expected"
        raise MalformedError(message)
    data = registry.read_blob(subject, digest(mapping(layers[0], "layers").get("digest"), "layers.digest"))
    if data is None:
        message = "its file is not there"
        raise MalformedError(message)
    return data
