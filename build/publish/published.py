"""A published image as its own labels describe it, and how it is told from what others put under a tag. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from build.doors.jsonvalues import MalformedError, digest, items, json_document, whole
from build.doors.jsonvalues import mapping as mapped
from build.image.config import ImageConfig, parse_config
from build.publish.model import Manifest
from build.recipe.naming import tag_of
from build.recipe.refs import Commit, Digest

__all__ = ["Contents", "PassedOver", "PublishedImage", "contents_of", "describe"]

_OCI = "org.opencontainers.image"
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")
_BEGINNING = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedImage:
    """One image under its immutable tag. All but digest, size and moving tags is what its labels say."""

    tag: str
    """The immutable one."""
    digest: Digest
    recipe: str
    variant: str
    version: str
    commit: str
    """Upstream's; empty where the image is made of published packages."""
    created: str
    """Date of that commit: equal inputs give equal images, whenever they are built. When it was pushed no registry says."""
    fingerprint: str
    cuda: str
    architectures: tuple[str, ...]
    size: int
    """Compressed bytes of all layers."""
    moving_tags: tuple[str, ...] = ()
    """Those that point at it now."""

    @property
    def moment(self) -> datetime:
        """The date as a point in time; the beginning of time where the label holds none."""
        try:
            found = datetime.fromisoformat(self.created)
        except ValueError:
            return _BEGINNING
        return found if found.tzinfo else found.replace(tzinfo=UTC)

    @property
    def dated(self) -> bool:
        """Say whether the date is known."""
        return self.moment != _BEGINNING


@dataclass(frozen=True, slots=True, kw_only=True)
class PassedOver:
    """A tag that looks immutable and is not this recipe's image."""

    tag: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What a manifest names: all of it must be there before a tag may point at the image."""

    config: Digest
    config_size: int
    layers: tuple[Digest, ...]
    sizes: tuple[int, ...]
    """Bytes of each layer as it is sent."""

    @property
    def size(self) -> int:
        """Compressed bytes of all layers."""
        return sum(self.sizes)


def contents_of(manifest: Manifest) -> Contents:
    """Read a manifest. Raises MalformedError where it is not one image's."""
    document = json_document(manifest.data, "the manifest")
    if "manifests" in document:
        message = "it lists several images and is none itself"
        raise MalformedError(message)
    config = mapped(document.get("config"), "config")
    layers = [mapped(layer, "layers") for layer in items(document.get("layers"), "layers")]
    return Contents(
        config=digest(config.get("digest"), "config.digest"),
        config_size=whole(config.get("size"), "config.size"),
        layers=tuple(digest(layer.get("digest"), "layers.digest") for layer in layers),
        sizes=tuple(whole(layer.get("size"), "layers.size") for layer in layers),
    )


def describe(
    tag: str, recipe: str, manifest: Manifest, contents: Contents, config: bytes
) -> PublishedImage | PassedOver:
    """Describe an image by its labels. It is this recipe's only where they name it and give exactly this tag."""
    try:
        parsed = parse_config(json_document(config, "the configuration"))
    except MalformedError as error:
        return PassedOver(tag=tag, reason=str(error))
    labels = dict(parsed.labels)
    if reason := _foreign(labels, parsed, contents):
        return PassedOver(tag=tag, reason=reason)
    if labels["ingot.recipe"] != recipe:
        return PassedOver(tag=tag, reason=f"an image of the recipe {labels['ingot.recipe']}")
    image = PublishedImage(
        tag=tag,
        digest=manifest.digest,
        recipe=recipe,
        variant=labels.get("ingot.variant", ""),
        version=labels.get(f"{_OCI}.version", ""),
        commit=labels.get(f"{_OCI}.revision", ""),
        created=labels.get(f"{_OCI}.created", ""),
        fingerprint=labels["ingot.fingerprint"],
        cuda=labels.get("ingot.cuda", ""),
        architectures=tuple(name for name in labels.get("ingot.architectures", "").split(";") if name),
        size=contents.size,
    )
    named = tag_of(image.version, image.cuda, image.architectures, image.variant, image.fingerprint)
    if named != tag:
        return PassedOver(tag=tag, reason=f"its labels are those of {named}")
    return image


def _foreign(labels: Mapping[str, str], config: ImageConfig, contents: Contents) -> str:
    """Say why it is no image of Ingot; empty where it is one."""
    if not labels.get("ingot.recipe"):
        return "it has no label ingot.recipe"
    if not _FINGERPRINT.fullmatch(labels.get("ingot.fingerprint", "")):
        return "its label ingot.fingerprint is no fingerprint"
    if len(config.diff_ids) != len(contents.layers):
        return f"its manifest has {len(contents.layers)} layers, its configuration {len(config.diff_ids)}"
    try:
        Commit(labels.get(f"{_OCI}.revision") or "0" * 40)
    except ValueError:
        return f"its label {_OCI}.revision is no commit"
    return ""
