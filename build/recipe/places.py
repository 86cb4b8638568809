"""Where each value stands in a recipe's text, so that one can be replaced and every other byte stays. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

import yaml

__all__ = ["Place", "places"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A value's own characters, quotes included."""

    start: int
    end: int
    quote: str
    """`'`, `"`, or empty where it is written plainly or as a block."""
    line: int


def places(text: str) -> dict[str, Place]:
    """Return the place of every single value of a recipe that decodes, by key path (`source.commit`)."""
    root = yaml.compose(text, Loader=yaml.BaseLoader)
    return dict(_walk(root, "")) if root else {}


def _walk(node: yaml.Node, key: str) -> Iterator[tuple[str, Place]]:
    match node:
        case yaml.MappingNode():
            for name, value in node.value:
                yield from _walk(value, f"{key}.{name.value}" if key else str(name.value))
        case yaml.SequenceNode():
            for number, value in enumerate(node.value):
                yield from _walk(value, f"{key}.{number}")
        case yaml.ScalarNode():
            begin, end = node.start_mark, node.end_mark
            quote = node.style if node.style in {"'", '"'} else ""
            yield key, Place(start=begin.index, end=end.index, quote=quote, line=begin.line + 1)
        case _:
            pass
