"""What a registry holds of a recipe: every immutable image, newest first, and the tags that point at it. Reads only.

"Not there" is an answer (an empty history); no answer is an error that passes through.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from build.doors.effects import Reporter
from build.doors.jsonvalues import MalformedError
from build.publish.model import Manifest, Registry
from build.publish.published import PassedOver, PublishedImage, contents_of, describe
from build.recipe.model import Recipe
from build.recipe.naming import looks_immutable
from build.recipe.refs import Digest, ImageRef
from build.settings import Namespace

__all__ = ["History", "history", "newest_first", "repository_of"]

_REFERRERS = "sha256-"
"""How tags begin that clients make where a registry has no referrers API: not a name that anybody pulls by.
https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md#referrers-tag-schema"""


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """A repository, as far as one recipe is concerned."""

    recipe: str
    repository: str
    images: tuple[PublishedImage, ...]
    """Newest first."""
    passed_over: tuple[PassedOver, ...]
    moving: dict[str, Digest]
    """Every tag that may move, and what it points at, whoever's it is."""


def repository_of(recipe: Recipe, namespace: Namespace) -> ImageRef:
    """Return the repository that a recipe is pushed to."""
    return ImageRef(registry=namespace.host, repository=f"{namespace.path}/{recipe.image.repository}")


def history(recipe: Recipe, namespace: Namespace, registry: Registry, reporter: Reporter) -> History:
    """Read what is there of a recipe, all its variants.

    Raises:
        Unavailable: the registry cannot be reached or refuses access; what is there is not known.
    """
    repository = repository_of(recipe, namespace)
    moving: dict[str, Digest] = {}
    found: list[PublishedImage] = []
    passed_over: list[PassedOver] = []
    with reporter.step(f"history of {repository}") as step:
        tags = registry.tags(repository)
        for number, (tag, manifest) in enumerate(_manifests(registry, repository, tags), start=1):
            step.update(f"[{number}/{len(tags)}]")
            if not looks_immutable(tag):
                moving[tag] = manifest.digest
                continue
            one = _read(recipe.name, tag, manifest, repository, registry)
            if isinstance(one, PublishedImage):
                found.append(one)
            else:
                passed_over.append(one)
        step.verdict(f"{len(found)} image{'s' if len(found) != 1 else ''}")
    images = (
        replace(image, moving_tags=tuple(sorted(tag for tag, to in moving.items() if to == image.digest)))
        for image in found
    )
    return History(
        recipe=recipe.name,
        repository=str(repository),
        images=newest_first(images),
        passed_over=tuple(passed_over),
        moving=moving,
    )


def newest_first(images: Iterator[PublishedImage]) -> tuple[PublishedImage, ...]:
    """Order by the date of the upstream commit. Of images of one commit those come first that a tag points at. Pure."""
    by_name = sorted(images, key=lambda image: image.tag)
    return tuple(sorted(by_name, key=lambda image: (image.moment, len(image.moving_tags) > 0), reverse=True))


def _manifests(
    registry: Registry, repository: ImageRef, tags: tuple[str, ...]
) -> Iterator[tuple[str, Manifest]]:
    for tag in tags:
        if tag.startswith(_REFERRERS):
            continue
        manifest = registry.manifest(replace(repository, tag=tag))
        if manifest is not None:  # else it was deleted after it was listed
            yield tag, manifest


def _read(
    recipe: str, tag: str, manifest: Manifest, repository: ImageRef, registry: Registry
) -> PublishedImage | PassedOver:
    try:
        contents = contents_of(manifest)
    except MalformedError as error:
        return PassedOver(tag=tag, reason=str(error))
    config = registry.read_blob(repository, contents.config)
    if config is None:
        return PassedOver(tag=tag, reason=f"its configuration {contents.config} is not in the registry")
    return describe(tag, recipe, manifest, contents, config)
