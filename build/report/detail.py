"""A check's evidence as it lies in smoke.json, asked for leniently: an older or hostile report has gaps, not errors. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

__all__ = ["Detail"]

_MOST: Final = 1 << 62


@dataclass(frozen=True, slots=True)
class Detail:
    """One JSON object. What is not there, or is of another kind, is empty."""

    data: Mapping[str, Any]

    @classmethod
    def of(cls, value: object) -> "Detail":
        """Take any JSON value; what is no object is an empty one."""
        return cls({str(key): one for key, one in value.items()} if isinstance(value, Mapping) else {})

    def has(self, key: str) -> bool:
        return key in self.data

    def text(self, key: str) -> str:
        value = self.data.get(key)
        return "" if value is None or isinstance(value, dict | list) else str(value)

    def number(self, key: str) -> int:
        value = self.data.get(key)
        return int(value) if isinstance(value, int | float) and abs(value) < _MOST else 0

    def texts(self, key: str) -> tuple[str, ...]:
        value = self.data.get(key)
        return tuple(map(str, value)) if isinstance(value, list | tuple) else ()

    def child(self, key: str) -> "Detail":
        return Detail.of(self.data.get(key))

    def children(self, key: str) -> tuple["Detail", ...]:
        value = self.data.get(key)
        return tuple(map(Detail.of, value)) if isinstance(value, list | tuple) else ()

    def items(self) -> Iterator[tuple[str, "Detail"]]:
        """Yield the objects that are named here."""
        return ((key, Detail.of(value)) for key, value in self.data.items())

    def names(self) -> tuple[str, ...]:
        return tuple(self.data)
