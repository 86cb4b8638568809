"""The names of an image: its folder, the immutable tag's grammar, the moving tags, repositories that no image has. Pure."""

import re
from collections.abc import Sequence

from build.recipe.model import Recipe
from build.recipe.placeholders import fill

__all__ = [
    "BASE_REPOSITORY",
    "CUSTODY_REPOSITORY",
    "LAYER_CACHE_REPOSITORY",
    "OWN_REPOSITORIES",
    "TOOLCHAIN_REPOSITORY",
    "directory_name",
    "immutable_tag",
    "looks_immutable",
    "moving_tags",
    "tag_of",
]

LAYER_CACHE_REPOSITORY = "layer-cache"
CUSTODY_REPOSITORY = "custody"
TOOLCHAIN_REPOSITORY = "ingot-toolchain"
BASE_REPOSITORY = "ingot-base"
OWN_REPOSITORIES = (LAYER_CACHE_REPOSITORY, CUSTODY_REPOSITORY, TOOLCHAIN_REPOSITORY, BASE_REPOSITORY)
"""What lies in the user's namespace beside the images."""

_IMMUTABLE = re.compile(r".+-cu[0-9]+-sm[0-9]+[a-z]?(-[0-9]+[a-z]?)*(-[a-z0-9-]+)?-[0-9a-f]{12}")


def directory_name(recipe: str, variant: str) -> str:
    """Return the name of the folder below out/ that holds an image's artifacts."""
    return f"{recipe}+{variant}" if variant else recipe


def immutable_tag(recipe: Recipe, variant: str, fingerprint: str) -> str:
    """Return the immutable tag of an effective recipe."""
    toolchain = recipe.toolchain
    return tag_of(recipe.source.version, toolchain.cuda, toolchain.architectures, variant, fingerprint)


def tag_of(version: str, cuda: str, architectures: Sequence[str], variant: str, fingerprint: str) -> str:
    """Return `<version>-cu130-sm120a[-<variant>]-<fingerprint:12>`.

    Several architectures are joined by `-`, each number once, in the recipe's order.
    """
    numbers = dict.fromkeys(name.partition("-")[0] for name in architectures)
    parts = [
        version,
        "cu" + cuda.replace(".", ""),
        "sm" + "-".join(numbers),
        *([variant] if variant else []),
        fingerprint[:12],
    ]
    return "-".join(parts)


def looks_immutable(tag: str) -> bool:
    """Say whether a tag could be taken for one that never moves."""
    return _IMMUTABLE.fullmatch(tag) is not None


def moving_tags(recipe: Recipe, variant: str, tags: Sequence[str] | None = None) -> tuple[str, ...]:
    """Return the recipe's moving tags, filled in, as this variant bears them."""
    chosen = recipe.image.tags if tags is None else tags
    return tuple(fill(tag, recipe) + (f"-{variant}" if variant else "") for tag in chosen)
