"""The labels of an image. Pure."""

from build.pin.model import Pin
from build.recipe.model import GitSource, PackagesSource, Recipe, SdistSource, VendorSource

__all__ = ["labelled_patches", "labels"]

_OCI = "org.opencontainers.image"
"""https://github.com/opencontainers/image-spec/blob/main/annotations.md"""

MINIMUM_DRIVER = {"13": "580.65.06"}
"""Oldest Linux driver for a CUDA major version.

https://docs.nvidia.com/cuda/cuda-toolkit-release-notes/ (table "CUDA Toolkit and Corresponding Driver Versions"); within a
major version newer toolkits run on the driver of its first release (minor version compatibility).
"""


def labels(recipe: Recipe, variant: str, pin: Pin) -> dict[str, str]:
    """Return the image's labels, all but the fingerprint's own.

    `source` and `revision` are upstream's; `created` is the commit's date, so that nothing about the build host or its
    clock is in the image.
    """
    minimum_driver = MINIMUM_DRIVER.get(recipe.toolchain.cuda.partition(".")[0], "")
    values = {
        f"{_OCI}.title": recipe.title,
        f"{_OCI}.version": recipe.source.version,
        f"{_OCI}.source": _source_url(recipe),
        f"{_OCI}.revision": pin.source.commit,
        f"{_OCI}.created": pin.source.committed_at,
        f"{_OCI}.base.digest": str(pin.base.digest),
        "ingot.recipe": recipe.name,
        "ingot.variant": variant,
        "ingot.cuda": recipe.toolchain.cuda,
        "ingot.architectures": ";".join(recipe.toolchain.architectures),
        "ingot.driver": recipe.toolchain.driver.value,
        "ingot.driver.minimum": minimum_driver,
        "ingot.patches": ";".join(f"{proof.file}@{proof.sha256[:12]}" for proof in pin.source.patches),
        "ingot.patch_sets": ";".join(
            f"{one.name}@{one.commit[:12]}:{len(one.patches)}-{len(one.exclude)}" for one in recipe.patch_sets
        ),
    }
    return {key: value for key, value in values.items() if value}


def labelled_patches(label: str) -> tuple[tuple[str, str], ...]:
    """Read file and beginning of the hash of each patch back out of the label `ingot.patches`."""
    pairs = (item.rpartition("@") for item in label.split(";") if item)
    return tuple((file, digest) for file, _, digest in pairs)


def _source_url(recipe: Recipe) -> str:
    match recipe.source:
        case GitSource(repo=repo):
            return repo.removesuffix(".git")
        case (
            SdistSource(upstream=upstream)
            | PackagesSource(upstream=upstream)
            | VendorSource(upstream=upstream)
        ):
            return upstream.removesuffix(".git")
