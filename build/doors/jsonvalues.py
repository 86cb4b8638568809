"""JSON that others wrote, read value by value: each is what it should be, or the error names its key. Pure."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from build.recipe.refs import Digest

__all__ = ["MalformedError", "digest", "items", "json_document", "mapping", "text", "whole"]


class MalformedError(ValueError):
    """A JSON document is not what its media type says. The message names the key."""


def json_document(data: bytes, what: str) -> Mapping[str, Any]:
    """Parse a JSON object. Raises MalformedError."""
    try:
        return mapping(json.loads(data), what)
    except (ValueError, RecursionError) as error:
        message = f"{what} is not a JSON object"
        raise MalformedError(message) from error


def mapping(value: object, key: str) -> Mapping[str, Any]:
    """Return the value if it is a JSON object. Raises MalformedError."""
    if not isinstance(value, dict):
        message = f"{key} is not an object"
        raise MalformedError(message)
    return value


def items(value: object, key: str) -> Sequence[Any]:
    """Return the value if it is a JSON array. Raises MalformedError."""
    if not isinstance(value, list):
        message = f"{key} is not a list"
        raise MalformedError(message)
    return value


def text(value: object, key: str) -> str:
    """Return the value if it is a string. Raises MalformedError."""
    if not isinstance(value, str):
        message = f"{key} is not a string"
        raise MalformedError(message)
    if not value.isascii() and any("\ud800" <= char <= "\udfff" for char in value):
        message = f"{key} is not valid Unicode"
        raise MalformedError(message)
    return value


def whole(value: object, key: str) -> int:
    """Return the value if it is a whole number that is not negative. Raises MalformedError."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        message = f"{key} is not a size"
        raise MalformedError(message)
    return value


def digest(value: object, key: str) -> Digest:
    """Return the value if it is a sha256 digest. Raises MalformedError."""
    try:
        return Digest(text(value, key))
    except ValueError as error:
        message = f"{key}: {error}"
        raise MalformedError(message) from error
