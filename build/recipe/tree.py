"""A parsed document before it has types: text, list or table, each with its line. Pure, knows no YAML."""

from dataclasses import dataclass

__all__ = ["Entry", "Items", "Table", "Text", "Tree", "child", "kind"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """One scalar. Never anything but text: the types come from the recipe's own."""

    value: str
    line: int
    plain: bool = False
    """Written without quotes, so `~` and `null` say "nothing"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Items:
    """A list."""

    items: tuple["Tree", ...]
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One `name: value` of a table."""

    name: str
    line: int
    value: "Tree"


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A map in the order it was written, each name once."""

    entries: tuple[Entry, ...]
    line: int


Tree = Text | Items | Table


def child(key: str, name: str | int) -> str:
    """Return the key path one level further down."""
    return f"{key}.{name}" if key else str(name)


def kind(tree: Tree) -> str:
    """Name the sort of a node as a person would."""
    match tree:
        case Text():
            return "text"
        case Items():
            return "a list"
        case Table():
            return "a map"
