"""What a build leaves: the image of record as types, the content of image.json. Pure."""

from dataclasses import dataclass

from build.recipe.refs import Digest

__all__ = ["BuiltImage", "Layer", "megabytes"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One layer of the image."""

    digest: Digest
    """Of the blob as it is stored and sent, compressed."""
    diff_id: Digest
    """Of the tar inside: equal across compressors."""
    size: int
    """Bytes of the blob."""
    what: str
    """The instruction that made it, from the image's history."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltImage:
    """An image in an OCI layout on disk."""

    recipe: str
    variant: str
    fingerprint: str
    digest: Digest
    """Of the manifest: what a registry calls the image."""
    config_digest: Digest
    """Of the configuration: the image ID of engines without the containerd image store."""
    platform: str
    size: int
    """Compressed bytes of all layers."""
    layers: tuple[Layer, ...]
    seconds: dict[str, float]
    """Wall time of each phase of the build."""
    compile_cache: dict[str, int]
    """`hits` and `misses` of the compile cache in this build; none of either when no stage had to compile."""
    engine: dict[str, str]
    """Versions of what built it."""


def megabytes(count: int, *, signed: bool = False) -> str:
    """Say how big an image or a part of it is, in powers of a thousand as registries do."""
    return f"{count / 1_000_000:{'+' if signed else ''}.1f} MB"
