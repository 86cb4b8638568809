"""Points the moving tags back at an image that was published before. Never builds, sends nothing but the manifest that is there.

A tag is moved to a `ProvenImage` only: one that an immutable tag of this recipe and variant means (push writes that tag
after smoke and never again), whose labels give exactly that tag, and of which every blob is still there.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from build.doors.effects import Reporter
from build.errors import BadRequest, NothingSelected, WorkFailed
from build.publish.history import History, history, repository_of
from build.publish.model import Manifest, Registry
from build.publish.published import PublishedImage, contents_of
from build.publish.tags import move
from build.recipe.model import PackagesSource, Recipe, VendorSource
from build.recipe.naming import moving_tags
from build.recipe.refs import Commit, Digest, ImageRef
from build.settings import Namespace

__all__ = [
    "MovedTag",
    "ProvenImage",
    "Rollback",
    "RollbackReceipt",
    "carry_out",
    "choose",
    "plan_rollback",
    "tags_of",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvenImage:
    """An image that a tag may be moved to; `_prove` alone makes one."""

    image: PublishedImage
    manifest: Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class MovedTag:
    """One moving tag, before and after."""

    ref: str
    before: Digest | None
    """None: there was no such tag."""
    after: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackReceipt:
    """A rollback: the content of rollback.json. Tags that were right already are not in it."""

    recipe: str
    variant: str
    repository: str
    tag: str
    """The immutable tag of the image that the moving tags are to mean."""
    digest: Digest
    version: str
    commit: str
    replaced: Digest | None
    """What the leading tag meant before."""
    tags: tuple[MovedTag, ...]
    done: bool
    """False: it is only planned, or was cut short."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollback:
    """A rollback that may be carried out: its target is proven."""

    proven: ProvenImage
    planned: RollbackReceipt


def plan_rollback(  # noqa: PLR0913  (a recipe, a variant, a target and the doors)
    recipe: Recipe,
    variant: str,
    namespace: Namespace,
    registry: Registry,
    reporter: Reporter,
    *,
    to: str = "",
    last: RollbackReceipt | None = None,
) -> Rollback:
    """Find the image before the current one, or `to`, a digest or an immutable tag, and prove it. Changes nothing.

    Where the `last` rollback was cut short, and nobody has moved the tags since, the same image is meant again.

    Raises:
        NothingSelected: the image, or one before the current, is not in the registry.
        BadRequest: which image is the one before is not known, or `to` is another recipe's or variant's.
        WorkFailed: the image is not whole.
        Unavailable: the registry cannot be reached or refuses access.
    """
    there = history(recipe, namespace, registry, reporter)
    leading = _leading(recipe, variant)
    current = next((there.moving[tag] for tag in leading if tag in there.moving), None)
    if not to and last and not last.done and current in {last.replaced, last.digest}:
        reporter.note(f"completing the rollback to {last.tag} that was cut short")
        to = last.digest
    target = choose(there, variant, current, to)
    repository = repository_of(recipe, namespace)
    changes = tuple(
        MovedTag(ref=str(replace(repository, tag=tag)), before=there.moving.get(tag), after=target.digest)
        for tag in _leading_last(tags_of(recipe, target), leading)
        if there.moving.get(tag) != target.digest
    )
    planned = RollbackReceipt(
        recipe=recipe.name, variant=variant, repository=str(repository), tag=target.tag, digest=target.digest,
        version=target.version, commit=target.commit, replaced=current, tags=changes, done=False,
    )  # fmt: skip
    return Rollback(proven=_prove(target, repository, registry), planned=planned)


def carry_out(rollback: Rollback, registry: Registry, reporter: Reporter) -> RollbackReceipt:
    """Move the tags, each read back and compared; the leading one last, so that what is cut short is found unfinished.

    Raises:
        WorkFailed: the registry does not keep what it is told.
        Unavailable: the registry cannot be reached or refuses access.
    """
    for change in rollback.planned.tags:
        with reporter.step(f"tag {change.ref} back to {rollback.planned.tag}"):
            move(registry, ImageRef.parse(change.ref), rollback.proven.manifest)
    return replace(rollback.planned, done=True)


def tags_of(recipe: Recipe, image: PublishedImage) -> tuple[str, ...]:
    """Return the moving tags that a push of this image would set today: `latest` and its own version's, no newer one's. Pure."""
    source = recipe.source
    if isinstance(source, PackagesSource | VendorSource):
        then: Recipe = replace(recipe, source=replace(source, version=image.version))
    else:
        commit = Commit(image.commit) if image.commit else source.commit
        then = replace(recipe, source=replace(source, version=image.version, commit=commit))
    found: list[str] = []
    for tag in recipe.image.tags:
        try:
            found += moving_tags(then, image.variant, (tag,))
        except BadRequest:
            continue  # a placeholder that this version has no value for: it never bore the tag
    return tuple(dict.fromkeys(found))


def choose(there: History, variant: str, current: Digest | None, to: str) -> PublishedImage:
    """Choose the image to go back to. Pure."""
    mine = [image for image in there.images if image.variant == variant]
    if to:
        return _named(there, mine, variant, to)
    if not mine:
        raise _nothing(there, variant)
    now = next((image for image in mine if image.digest == current), None)
    if now is None:
        what = (
            f"its moving tags point at {current}, which is none of its images"
            if current
            else "it is tagged by no moving tag"
        )
        message = f"{there.recipe}: which image is the current one is not known: {what}"
        raise BadRequest(message, hint=f"name the image: --to {mine[0].digest}")
    return _before(there.recipe, mine, now)


def _before(recipe: str, mine: Sequence[PublishedImage], now: PublishedImage) -> PublishedImage:
    """Choose the image of the commit before. A registry keeps no dates: of two images of one commit the order is not known."""
    others = [image for image in mine if image.digest != now.digest and image.dated]
    if same := [image for image in others if image.moment == now.moment]:
        message = f"{recipe}: {now.tag} has siblings of the same commit, and which was before is not known"
        raise BadRequest(message, hint=_name_one(same))
    older = [image for image in others if now.dated and image.moment < now.moment]
    if not older:
        message = f"{recipe}: nothing in the registry is older than {now.tag}"
        hint = _name_one(others) if others else "`nox -s history` shows what is there"
        raise NothingSelected(message, hint=hint)
    latest = [image for image in older if image.moment == older[0].moment]
    if len(latest) > 1:
        message = f"{recipe}: before {now.tag} there are {len(latest)} images of one commit"
        raise BadRequest(message, hint=_name_one(latest))
    return latest[0]


def _name_one(images: Sequence[PublishedImage]) -> str:
    return "name it: " + " or ".join(f"--to {image.tag}" for image in images[:3])


def _named(there: History, mine: Sequence[PublishedImage], variant: str, to: str) -> PublishedImage:
    for image in mine:
        if to in {image.tag, image.digest}:
            return image
    for image in there.images:
        if to in {image.tag, image.digest}:
            message = f"{to} is {_called(there.recipe, image.variant)}, not {_called(there.recipe, variant)}"
            raise BadRequest(
                message, hint=f"--variant {image.variant}" if image.variant else "leave --variant out"
            )
    for one in there.passed_over:
        if to == one.tag:
            message = f"{there.repository}:{to} is no image of {there.recipe}: {one.reason}"
            raise BadRequest(message, hint="only an image that push has put there can be rolled back to")
    if not mine:
        raise _nothing(there, variant)
    message = f"no immutable tag of {_called(there.recipe, variant)} in {there.repository} means {to}"
    raise NothingSelected(message, hint=f"`nox -s history -- {there.recipe}` shows those that there are")


def _nothing(there: History, variant: str) -> NothingSelected:
    message = (
        f"{_called(there.recipe, variant)} is not in the registry: {there.repository} holds no image of it"
    )
    return NothingSelected(message, hint=f"`nox -s push -- {there.recipe}` puts one there")


def _called(recipe: str, variant: str) -> str:
    return f"{recipe}, variant {variant}" if variant else recipe


def _prove(image: PublishedImage, repository: ImageRef, registry: Registry) -> ProvenImage:
    """See that the image is whole: its tag still means it, and the registry has every blob that it names."""
    ref = replace(repository, tag=image.tag)
    manifest = registry.manifest(ref)
    if manifest is None or manifest.digest != image.digest:
        message = f"{ref} has changed since it was read a moment ago"
        raise WorkFailed(message, hint="run it again; an immutable tag is never pushed twice")
    contents = contents_of(manifest)
    gone = [
        blob
        for blob in dict.fromkeys((contents.config, *contents.layers))
        if not registry.has_blob(repository, blob)
    ]
    if gone:
        message = f"{ref} is not whole: the registry lacks {', '.join(gone)}"
        raise WorkFailed(message, hint="choose another with --to, or build and push this one again")
    return ProvenImage(image=image, manifest=manifest)


def _leading(recipe: Recipe, variant: str) -> tuple[str, ...]:
    """Return the tags that say which image is the current one: those that every version bears first."""
    by_use = sorted(recipe.image.tags, key=lambda tag: "{" in tag)
    return moving_tags(recipe, variant, by_use)


def _leading_last(tags: Sequence[str], leading: Sequence[str]) -> tuple[str, ...]:
    """Order tags so that a rollback that is cut short leaves the leading one where it was."""
    return tuple(sorted(tags, key=lambda tag: -leading.index(tag) if tag in leading else -len(leading)))
