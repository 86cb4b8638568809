"""Rules about what a recipe is and where it comes from: name, title, image, source, watch, notes. Pure."""

import re
import warnings
from collections.abc import Iterator
from datetime import date
from pathlib import PurePosixPath

from build.recipe.effective import effective, variant_names
from build.recipe.model import GitSource, PackagesSource, Recipe, SdistSource, VendorSource, Watch
from build.recipe.naming import OWN_REPOSITORIES, immutable_tag, looks_immutable, moving_tags
from build.recipe.placeholders import placeholder_findings
from build.recipe.refs import TAG_MAX, ImageRef, is_tag
from build.recipe.words import (
    NAME,
    Finding,
    meant,
    path_findings,
    probe,
    prose,
    quoted,
    repeated,
    title,
    url,
    within,
)

__all__ = ["SCHEDULES", "identity_findings", "name_findings"]

SCHEDULES = ("daily", "weekly", "monthly")
_NAME_HINT = "lower-case letters, digits and -, beginning with a letter or digit"
_BRANCH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+/-]*")
_SDIST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?==[A-Za-z0-9][A-Za-z0-9._+!-]*")
_PACKAGE = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_IMAGE = re.compile(r"[a-z0-9]+([._:/-]+[a-z0-9]+)*@sha256:[0-9a-f]{64}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def name_findings(key: str, name: str, *, limit: int = 60) -> Iterator[Finding]:
    """Find what keeps a word from being a recipe's, a variant's or a step's name."""
    if not NAME.fullmatch(name):
        yield Finding(key, f"{quoted(name)} is not a name", _NAME_HINT)
    yield from within(key, name, limit)


def identity_findings(recipe: Recipe) -> Iterator[Finding]:
    """Find what is wrong with who the recipe says it is."""
    stem = PurePosixPath(recipe.origin.file).stem
    yield from name_findings("name", recipe.name)
    if recipe.name != stem and recipe.origin.file != "<memory>":
        yield Finding(
            "name", f"{quoted(recipe.name)} is not the file's name", f"write {stem}, or rename the file"
        )
    yield from title("title", recipe.title)
    yield from _source(recipe)
    yield from _image(recipe)
    yield from _watch(recipe)
    for index, note in enumerate(recipe.notes):
        yield from prose(f"notes.{index}", note)


def _image(recipe: Recipe) -> Iterator[Finding]:
    image = recipe.image
    try:
        ImageRef(registry="localhost", repository=image.repository)
    except ValueError:
        hint = "lower case and digits, joined by . _ - or /, without registry and tag"
        yield Finding("image.repository", f"{quoted(image.repository)} is not a repository name", hint)
    yield from within("image.repository", image.repository)
    if image.repository in OWN_REPOSITORIES:
        hint = f"Ingot keeps {', '.join(OWN_REPOSITORIES)} beside the images; choose another name"
        yield Finding("image.repository", f"{quoted(image.repository)} is taken", hint)
    yield from repeated("image.tags", image.tags)
    if not is_tag(recipe.source.version):
        return
    for index, tag in enumerate(image.tags):
        yield from _moving_tag(recipe, f"image.tags.{index}", tag)
    for variant in variant_names(recipe):
        final = immutable_tag(effective(recipe, variant), variant, "0" * 12)
        if len(final) > TAG_MAX:
            named = f"of variant {quoted(variant)} " if variant else ""
            message = f"the image's tag {named}would be {len(final)} characters long"
            yield Finding("source.version", message, f"a tag has at most {TAG_MAX}; shorten {quoted(final)}")


def _moving_tag(recipe: Recipe, key: str, tag: str) -> Iterator[Finding]:
    strange = list(placeholder_findings(key, tag, recipe.source))
    yield from strange
    if strange:
        return
    for variant in variant_names(recipe):
        if variant and not NAME.fullmatch(variant):
            continue
        full = moving_tags(recipe, variant, (tag,))[0]
        if not is_tag(full):
            hint = f"letters, digits and _ . -, at most {TAG_MAX} characters"
            yield Finding(key, f"{quoted(full)} is not a tag", hint)
            return
        if looks_immutable(full):
            yield Finding(key, f"{quoted(full)} looks like a tag that never moves", "choose a shorter one")
            return


def _source(recipe: Recipe) -> Iterator[Finding]:
    source = recipe.source
    if not is_tag(source.version):
        hint = "letters, digits and _ . -, not beginning with . or -"
        yield Finding("source.version", f"{quoted(source.version)} cannot be part of a tag", hint)
    match source:
        case GitSource():
            yield from url("source.repo", source.repo)
            if source.parent:
                yield from url("source.parent", source.parent)
        case SdistSource():
            yield from _sdist(source)
        case PackagesSource():
            yield from path_findings("source.packages", source.packages, absolute=False)
            yield from url("source.upstream", source.upstream)
            if not _PACKAGE.fullmatch(source.application):
                hint = "its normalised name, for example vllm"
                yield Finding("source.application", f"{quoted(source.application)} is not a package", hint)
        case VendorSource():
            yield from path_findings("source.site_packages", source.site_packages, absolute=True)
            yield from url("source.upstream", source.upstream)
            yield from _by_digest(source.image)


def _by_digest(image: str) -> Iterator[Finding]:
    if not _IMAGE.fullmatch(image):
        hint = "name@sha256:<64 hex digits>; `docker buildx imagetools inspect name:tag` prints the digest"
        yield Finding("source.image", f"{quoted(image)} is not an image by its digest", hint)


def _sdist(source: SdistSource) -> Iterator[Finding]:
    if not _SDIST.fullmatch(source.sdist):
        hint = "package==version, for example llama-cpp-python==0.3.16"
        yield Finding("source.sdist", f"{quoted(source.sdist)} does not name one version of a package", hint)
    yield from within("source.sdist", source.sdist)
    if not _SHA256.fullmatch(source.sha256):
        yield Finding(
            "source.sha256", f"{quoted(source.sha256)} is not a SHA-256", "64 lower-case hex digits"
        )
    yield from path_findings("source.subdir", source.subdir, absolute=False)
    yield from url("source.upstream", source.upstream)
    if source.committed and not _is_day(source.committed):
        yield Finding(
            "source.committed",
            f"{quoted(source.committed)} is not a day",
            "YYYY-MM-DD, for example 2026-06-01",
        )


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _watch(recipe: Recipe) -> Iterator[Finding]:
    watch = recipe.watch
    if watch.schedule not in SCHEDULES:
        hint = meant(watch.schedule, SCHEDULES) or "one of those"
        known = ", ".join(SCHEDULES)
        yield Finding("watch.schedule", f"{quoted(watch.schedule)} is not one of {known}", hint)
    if watch.branch and not _is_branch(watch.branch):
        yield Finding(
            "watch.branch", f"{quoted(watch.branch)} is not the name of a branch", "for example main"
        )
    yield from _pattern("watch.tags", watch.tags)
    for index, pattern in enumerate(watch.ignore):
        yield from _pattern(f"watch.ignore.{index}", pattern)
    if watch.reason:
        yield from prose("watch.reason", watch.reason)
    yield from _followed(watch, needed=isinstance(recipe.source, GitSource))


def _followed(watch: Watch, *, needed: bool) -> Iterator[Finding]:
    if watch.branch and watch.tags:
        yield Finding("watch.tags", "stands beside watch.branch", "follow one of the two")
    if not watch.enabled and not watch.reason:
        yield Finding("watch.reason", "is missing", "say why upstream is not followed")
    if watch.enabled and watch.reason:
        yield Finding("watch.reason", "says why upstream is not followed, but it is", "write enabled: false")
    if needed and watch.enabled and not watch.branch and not watch.tags:
        hint = "write 'branch: main', 'tags: <pattern>', or 'enabled: false' with a reason"
        yield Finding("watch", "does not say what is followed", hint)


def _is_branch(text: str) -> bool:
    parts = text.split("/")
    wrong = ".." in text or any(
        not part or part.startswith(".") or part.endswith((".", ".lock")) for part in parts
    )
    return _BRANCH.fullmatch(text) is not None and not wrong


def _pattern(key: str, pattern: str) -> Iterator[Finding]:
    yield from probe(key, pattern, backslash=True)
    yield from within(key, pattern)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            re.compile(pattern)
    except (re.error, OverflowError, RecursionError, Warning) as error:
        what = str(error)[:60]
        yield Finding(key, f"{quoted(pattern)} is not a regular expression: {what}", "for example '^v[0-9]'")
