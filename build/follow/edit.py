"""A new pin written into a recipe's text: the values of the pin and not one byte more. Pure."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from build.errors import BadRequest
from build.recipe.model import GitSource, PackagesSource, Recipe, SdistSource, Source, VendorSource
from build.recipe.places import places
from build.recipe.sources import commit_of

__all__ = ["Mention", "edited", "literal_tags", "mentions", "pin_values"]

_AMBIGUOUS = re.compile(
    r"[-+]?(0[xob])?[0-9][0-9_.,:]*([eE][-+]?[0-9]+)?|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}|true|false|null|yes|no|on|off|y|n",
    re.IGNORECASE,
)
"""What other readers of YAML take for a number, a date or a truth value when it has no quotes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mention:
    """A line outside of the pin that names the old state of upstream, for a person to look at."""

    line: int
    text: str
    holds: str


def pin_values(source: Source) -> dict[str, str]:
    """Return what the pin consists of, by key path."""
    match source:
        case GitSource():
            return {"source.commit": source.commit, "source.version": source.version}
        case SdistSource():
            return {
                "source.sdist": source.sdist,
                "source.sha256": source.sha256,
                "source.commit": source.commit,
                "source.version": source.version,
            }
        case PackagesSource() | VendorSource():
            return {"source.version": source.version}


def edited(text: str, values: Mapping[str, str]) -> str:
    """Replace values; their quotes stay as they are, and come where a new value needs them.

    Raises:
        BadRequest: a value is not written down as one word in the text.
    """
    known = places(text)
    for key in values:
        if key not in known:
            message = f"{key} is not written as one value"
            raise BadRequest(message, hint="write source as a map of key: value")
    for key, value in sorted(values.items(), key=lambda pair: known[pair[0]].start, reverse=True):
        place = known[key]
        before = text[place.start : place.end]
        quote = place.quote or ('"' if _AMBIGUOUS.fullmatch(value) else "")
        # A block (`>` or `|`) holds the end of its line.
        end = before[len(before.rstrip("\r\n")) :]
        text = f"{text[: place.start]}{quote}{value}{quote}{end}{text[place.end :]}"
    return text


def mentions(text: str, source: Source) -> tuple[Mention, ...]:
    """Find the lines that still name the state of upstream that `source` was pinned to. `text` has the new pin."""
    pinned = {place.line for key, place in places(text).items() if key in pin_values(source)}
    words = tuple(_words(source))
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        held = next(
            (word for word in words if re.search(rf"(?<![\w.]){re.escape(word)}(?![\w]|\.[0-9])", line)), ""
        )
        if held and number not in pinned:
            found.append(Mention(line=number, text=line.strip(), holds=held))
    return tuple(found)


def _words(source: Source) -> Iterator[str]:
    yield source.version
    yield source.version.lstrip("v")
    if isinstance(source, SdistSource):
        yield source.sdist.partition("==")[2]
    if commit := commit_of(source):
        yield from (commit[:digits] for digits in range(40, 6, -1))


def literal_tags(recipe: Recipe) -> tuple[str, ...]:
    """List the moving tags that hold a number and no placeholder: they would come to mean the new pin."""
    return tuple(tag for tag in recipe.image.tags if re.search(r"[0-9]", tag) and "{" not in tag)
