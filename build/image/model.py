"""What a build leaves: the image of record as types, the content of image.json. Pure."""

from dataclasses import dataclass
from typing import Final

from build.recipe.refs import Digest

__all__ = ["BUILD_PLATFORM", "BuildRun", "BuiltImage", "Layer", "megabytes"]

BUILD_PLATFORM: Final = "build platform"
"""What compilers ran on, among the versions of what built an image; an image that is not compiled has none."""


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
class BuildRun:
    """When an image was built, and what this repository was then. Told beside the image, never in it."""

    started: str
    """RFC 3339 in UTC."""
    finished: str
    commit: str = ""
    """Of the checkout that the pipeline ran in; empty where that is none."""
    changed: bool = False
    """Files of the checkout differed from the commit."""
    repository: str = ""
    """Where the checkout came from, without a login; empty where it does not say, or says a path."""


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
    layer_cache: str = ""
    """The registry's layer cache that the build read; empty where it read none."""
    run: BuildRun | None = None
    """None in image.json of earlier versions."""


def megabytes(count: int, *, signed: bool = False) -> str:
    """Say how big an image or a part of it is, in powers of a thousand as registries do."""
    return f"{count / 1_000_000:{'+' if signed else ''}.1f} MB"
