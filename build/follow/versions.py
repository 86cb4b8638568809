"""What a new pin is called: upstream's own name, in the manner of the name before. Pure."""

import re
from collections.abc import Sequence

from build.errors import BadRequest
from build.follow.draft import version_of
from build.recipe.model import GitSource, Watch
from build.recipe.refs import Commit, is_tag

__all__ = ["next_version"]

_BUILD = re.compile(r"b([0-9]+)")


def next_version(
    source: GitSource, watch: Watch, commit: Commit, tags: Sequence[str], *, more: int | None
) -> str:
    """Name a commit. `tags` are those on it, `more` how many commits more it has than the pin, if that is known.

    Raises:
        BadRequest: the pin is a build number, the commit has no tag, and nobody knows how many commits lie between.
    """
    followed = [tag for tag in tags if watch.tags and re.search(watch.tags, tag)]
    alike = [tag for tag in tags if _BUILD.fullmatch(tag) and _BUILD.fullmatch(source.version)]
    if chosen := next(filter(is_tag, (*followed, *alike)), ""):
        return chosen
    number = _BUILD.fullmatch(source.version)
    if not number:
        return version_of(commit, tuple(tags))
    if more is None:
        message = (
            f"{commit[:12]} has no tag, and how many commits lie between it and {source.version} is not known"
        )
        raise BadRequest(message, hint="name it: --version b<number>")
    return f"b{int(number[1]) + more}"
