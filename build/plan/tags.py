"""Tags and labels of an image. Pure."""

from build.pin.model import Pin
from build.recipe.model import GitSource, PackagesSource, Recipe, SdistSource

__all__ = ["TITLE_PREFIX", "immutable_tag", "labels", "moving_tags"]

TITLE_PREFIX = "org.opencontainers.image"

MINIMUM_DRIVER = {"13": "580.65.06"}
"""Oldest Linux driver for a CUDA major version.

https://docs.nvidia.com/cuda/cuda-toolkit-release-notes/ (table "CUDA Toolkit and Corresponding Driver Versions"); within a
major version newer toolkits run on the driver of its first release (minor version compatibility).
"""


def immutable_tag(recipe: Recipe, variant: str, fingerprint: str) -> str:
    """Return `<version>-cu130-sm120a[-<variant>]-<fingerprint:12>`, a tag that never means anything else."""
    cuda = "cu" + recipe.toolchain.cuda.replace(".", "")
    suffixes = dict.fromkeys(arch.removesuffix("-real").removesuffix("-virtual") for arch in recipe.toolchain.architectures)
    architectures = "sm" + "-".join(suffixes)
    parts = (recipe.source.version, cuda, architectures, variant, fingerprint[:12])
    return "-".join(part for part in parts if part)


def moving_tags(recipe: Recipe, variant: str) -> tuple[str, ...]:
    """Return the moving tags; a variant's carry its name."""
    return tuple(f"{tag}-{variant}" if variant else tag for tag in recipe.image.tags)


def labels(recipe: Recipe, variant: str, pin: Pin) -> dict[str, str]:
    """Return the image's labels, all but the fingerprint's own.

    `source` and `revision` are upstream's; `created` is the commit's date, so that nothing about the build host or its
    clock is in the image.
    """
    minimum_driver = MINIMUM_DRIVER.get(recipe.toolchain.cuda.partition(".")[0], "")
    values = {
        f"{TITLE_PREFIX}.title": recipe.title,
        f"{TITLE_PREFIX}.version": recipe.source.version,
        f"{TITLE_PREFIX}.source": _source_url(recipe),
        f"{TITLE_PREFIX}.revision": pin.source.commit,
        f"{TITLE_PREFIX}.created": pin.source.committed_at,
        f"{TITLE_PREFIX}.base.digest": str(pin.base.digest),
        "ingot.recipe": recipe.name,
        "ingot.variant": variant,
        "ingot.cuda": recipe.toolchain.cuda,
        "ingot.architectures": ";".join(recipe.toolchain.architectures),
        "ingot.driver": recipe.toolchain.driver.value,
        "ingot.driver.minimum": minimum_driver,
        "ingot.patches": ";".join(f"{proof.file}@{proof.sha256[:12]}" for proof in pin.source.patches),
    }
    return {key: value for key, value in values.items() if value}


def _source_url(recipe: Recipe) -> str:
    match recipe.source:
        case GitSource(repo=repo):
            return repo.removesuffix(".git")
        case SdistSource(upstream=upstream):
            return upstream.removesuffix(".git")
        case PackagesSource():
            return ""
