"""The few placeholders that recipe text may hold, and their filling in. Pure; there is no other substitution."""

import re
from collections.abc import Iterator

from build.errors import BadRequest
from build.recipe.model import Recipe, Source
from build.recipe.sources import commit_of
from build.recipe.words import Finding, meant, names, quoted

__all__ = ["PINNED", "RUN_TIME", "fill", "placeholder_findings", "values", "without"]

PINNED = ("version", "number", "build", "commit", *(f"commit{digits}" for digits in range(7, 13)))
"""Known from the pin."""
RUN_TIME = ("model", "port")
"""Known when the image is run."""

_DOTTED = re.compile(r"v?([0-9]+(?:\.[0-9]+)+)")
_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")


def values(source: Source) -> dict[str, str]:
    """Return what the source's placeholders stand for. A version without one number has no `{build}`.

    `{number}` is a version like v0.1.2 without its letter.
    """
    found = {"version": source.version}
    dotted = _DOTTED.fullmatch(source.version)
    if dotted:
        found["number"] = dotted[1]
    numbers = re.findall(r"[0-9]+", source.version)
    if len(numbers) == 1:
        found["build"] = numbers[0]
    if commit := commit_of(source):
        found["commit"] = commit
        found |= {f"commit{digits}": commit[:digits] for digits in range(7, 13)}
    return found


def fill(text: str, recipe: Recipe, **run_time: str) -> str:
    """Fill in every placeholder.

    Raises:
        BadRequest: one is not known here.
    """
    known = {**values(recipe.source), **run_time}

    def replacement(match: re.Match[str]) -> str:
        if match[1] not in known:
            message = f"{recipe.name}: nothing is known for the placeholder {match[0]}"
            raise BadRequest(message, hint=f"known here: {names(known)}")
        return known[match[1]]

    return _PLACEHOLDER.sub(replacement, text)


def without(text: str) -> str:
    """Return the text with every placeholder replaced by a plain letter, for rules about the rest."""
    return _PLACEHOLDER.sub("x", text)


def placeholder_findings(
    key: str, text: str, source: Source, *, run_time: tuple[str, ...] = ()
) -> Iterator[Finding]:
    """Find the placeholders that nothing is known for in this field."""
    known = (*values(source), *run_time)
    for name in dict.fromkeys(_PLACEHOLDER.findall(text)):
        if name in known:
            continue
        what, hint = f"unknown placeholder {quoted('{' + name + '}')}", meant(name, known)
        if name in RUN_TIME:
            what = f"'{{{name}}}' is not known before the image runs"
            hint = "it may stand in serve.args and smoke.args"
        elif name == "build":
            what = f"version {quoted(source.version)} has no build number for '{{build}}'"
            hint = "write the number itself"
        elif name == "number":
            what = f"version {quoted(source.version)} is no dotted number for '{{number}}'"
            hint = "write {version}, or the number itself"
        elif name in PINNED:
            what, hint = (
                f"'{{{name}}}' has no value: neither wheels nor an image name a commit",
                "leave it out",
            )
        yield Finding(key, what, hint or f"known here: {names(known)}")
