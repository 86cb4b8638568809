"""The JSON schema of a recipe file, generated from the types for editors and `check-jsonschema`. Pure but for `write`.

It describes the YAML as a person writes it and gives names, types, defaults and documentation; what the words mean is
judged by the rules alone.
"""

import ast
import inspect
import json
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import StrEnum
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, cast, get_args, get_origin, get_type_hints

from build.recipe import model, patchsets, sources
from build.recipe.identity import SCHEDULES
from build.recipe.model import CMakeOption, Recipe, SdistSource, Toolchain, Watch
from build.recipe.refs import Commit
from build.recipe.words import NAME

__all__ = ["schema", "text", "write"]

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string", "minLength": 1}
_SIMPLE: dict[object, Schema] = {
    str: _TEXT,
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    Commit: {"type": "string", "pattern": "^[0-9a-f]{40}$"},
}
_NARROWER: dict[tuple[type, str], Schema] = {
    (Recipe, "name"): {"pattern": f"^{NAME.pattern}$"},
    (Recipe, "notes"): {"anyOf": [_TEXT, {"type": "array", "items": _TEXT}]},
    (SdistSource, "sdist"): {"pattern": "^[^=]+==[^=]+$"},
    (SdistSource, "sha256"): {"pattern": "^[0-9a-f]{64}$"},
    (SdistSource, "committed"): {"format": "date"},
    (Toolchain, "architectures"): {"minItems": 1},
    (Toolchain, "cuda"): {"pattern": r"^[0-9]+\.[0-9]+$"},
    (Watch, "schedule"): {"enum": list(SCHEDULES)},
}
"""What the types do not say about a field."""


def schema() -> Schema:
    """Return the schema (JSON Schema 2020-12)."""
    documents = _documents()
    defs: dict[str, Schema] = {}
    top = _object(Recipe, documents, defs)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Ingot recipe",
        **top,
        "$defs": dict(sorted(defs.items())),
    }


def text() -> str:
    """Return the schema as it is committed."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def write(path: Path) -> None:
    """Write the committed schema anew."""
    path.write_text(text(), encoding="utf-8")


def _documents() -> dict[str, str]:
    """Return the docstrings of the model by `Class` and `Class.field`."""
    found: dict[str, str] = {}
    modules = (model, patchsets, sources)
    for node in (node for module in modules for node in ast.parse(inspect.getsource(module)).body):
        if not isinstance(node, ast.ClassDef):
            continue
        found[node.name] = ast.get_docstring(node) or ""
        for before, after in zip(node.body, node.body[1:], strict=False):
            match before, after:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(words))):
                    found[f"{node.name}.{name}"] = " ".join(words.split())
                case _:
                    continue
    return found


def _object(cls: type, documents: dict[str, str], defs: dict[str, Schema], *, but: str = "origin") -> Schema:
    hints = get_type_hints(cls)
    known = [field for field in fields(cast("Any", cls)) if field.name != but]
    properties = {}
    for field in known:
        found = {**_value(hints[field.name], documents, defs), **_NARROWER.get((cls, field.name), {})}
        if "anyOf" in found:
            found = {"anyOf": found["anyOf"]}
        words = documents.get(f"{cls.__name__}.{field.name}", "")
        properties[field.name] = {**({"description": words} if words else {}), **found, **_default(field)}
    required = [f.name for f in known if f.default is MISSING and f.default_factory is MISSING]
    return {
        "description": " ".join(documents[cls.__name__].split()),
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def _default(field: Field[Any]) -> Schema:
    """Return the default where it is a plain, telling value."""
    value = field.default
    if isinstance(value, tuple):
        return {"default": list(value)} if value else {}
    return {"default": value} if isinstance(value, str | int) and value != "" else {}


def _value(hint: object, documents: dict[str, str], defs: dict[str, Schema]) -> Schema:
    if hint in _SIMPLE:
        return _SIMPLE[hint]
    if get_origin(hint) is tuple:
        return _many(get_args(hint)[0], documents, defs)
    if get_origin(hint) is UnionType:
        return _one_of(hint, documents, defs)
    cls = cast("type", hint)
    if issubclass(cls, StrEnum):
        return {"enum": [str(choice) for choice in cls]}
    if cls.__name__ not in defs:
        defs[cls.__name__] = {}
        defs[cls.__name__] = _object(cls, documents, defs)
    return {"$ref": f"#/$defs/{cls.__name__}"}


def _one_of(hint: object, documents: dict[str, str], defs: dict[str, Schema]) -> Schema:
    choices = [choice for choice in get_args(hint) if choice is not NoneType]
    found = [_value(choice, documents, defs) for choice in choices]
    if len(found) > 1:
        return {"oneOf": found}
    return {"anyOf": [*found, {"const": "none"}]} if is_dataclass(choices[0]) else found[0]


def _many(hint: object, documents: dict[str, str], defs: dict[str, Schema]) -> Schema:
    """Sequences are lists, but what has names of the author's own is a map by them."""
    if hint is CMakeOption:
        with_reason = _object(CMakeOption, documents, {}, but="name")
        return {"type": "object", "additionalProperties": {"anyOf": [_TEXT, with_reason]}}
    if get_origin(hint) is not tuple:
        return {"type": "array", "items": _value(hint, documents, defs)}
    return {"type": "object", "additionalProperties": _value(get_args(hint)[1], documents, defs)}
