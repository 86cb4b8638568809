"""A tree of text to the recipe's types, driven by the types themselves. Pure; judges shape, never meaning.

A field that cannot be read is reported and gets a stand-in, so that the rest of the recipe is judged in the same run.
Five fields are written otherwise than they are typed: options and environment and variants as maps by name, `notes`
also as one text, `healthcheck: none`, and `source` by the key that names its kind.
"""

import re
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import StrEnum
from types import NoneType, UnionType
from typing import Any, TypeVar, cast, get_args, get_origin, get_type_hints

from build.recipe.model import CMakeOption, GitSource, PackagesSource, SdistSource, Variant, VendorSource
from build.recipe.refs import Commit
from build.recipe.tree import Entry, Items, Table, Text, Tree, child, kind
from build.recipe.words import meant, names, nearest, quoted, shown

__all__ = ["EXAMPLES", "SOURCES", "Shaper"]

T = TypeVar("T")

SOURCES: dict[str, type] = {
    "repo": GitSource,
    "sdist": SdistSource,
    "packages": PackagesSource,
    "image": VendorSource,
}
"""The key that says which kind a source is."""

EXAMPLES = {
    "application": "vllm",
    "architectures": "[120a-real]",
    "commit": "af6528e6df5d798f7f1363ec1141699be0f638e2",
    "cuda": "'13.0'",
    "dir": "tools",
    "entrypoint": "[/app/llama-server]",
    "expect": "'b{build}-{commit7}'",
    "family": "llama-cpp",
    "file": "my-fork/0001-what-it-does.patch",
    "healthcheck": "{path: /health}, or none",
    "image": "{repository: my-fork, tags: [latest]}",
    "name": "my-fork",
    "path": "/health",
    "repo": "https://github.com/owner/project.git",
    "repository": "my-fork",
    "runtime": "{entrypoint: [/app/llama-server]}",
    "sdist": "llama-cpp-python==0.3.16",
    "sha256": "<64 hex digits>",
    "packages": "packages/vllm-0.21.0.txt",
    "smoke": "{version: 'version: {build} ({commit7})'}",
    "source": "{repo: https://..., commit: ..., version: ...}",
    "subdir": "vendor/llama.cpp",
    "title": "My fork of llama.cpp",
    "toolchain": "{cuda: '13.0', architectures: [120a-real]}",
    "upstream": "https://github.com/ggml-org/llama.cpp",
    "value": "ON",
    "smoke.version": "'version: {build} ({commit7})'",
    "version": "b9261",
    "why": "one line that says what would be wrong without it",
}
"""What a field that is missing could look like."""

_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,8})")
_SPELLINGS = {"yes": "true", "on": "true", "1": "true", "no": "false", "off": "false", "0": "false"}


def _required(field: Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def _example(path: str) -> str:
    return EXAMPLES.get(path) or EXAMPLES.get(path.rpartition(".")[2], "...")


def _stand_in(hint: object) -> object:
    """Return a value of the type that no rule objects to more than once."""
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return next(iter(hint))
    if isinstance(hint, type) and is_dataclass(hint):
        hints = get_type_hints(hint)
        return hint(**{f.name: _stand_in(hints[f.name]) for f in fields(hint) if _required(f)})
    if get_origin(hint) is UnionType:
        return _stand_in(get_args(hint)[0])
    if get_origin(hint) is tuple:
        return ()
    simple: dict[object, object] = {Commit: Commit("0" * 40), bool: False, int: 0}
    return simple.get(hint, "x")


class Shaper:
    """Reads trees into values; gathers what is wrong and on which line every key stands."""

    def __init__(self) -> None:
        self.found: list[tuple[str, tuple[int, str, str]]] = []
        self.lines: list[tuple[str, int]] = []
        self.doubtful: list[str] = []
        """Key paths that hold a stand-in because their name was misspelt."""

    def _find(self, tree: Tree, key: str, message: str, hint: str) -> None:
        self.found.append((key, (tree.line, message, hint)))

    def record(self, cls: type[T], tree: Tree, key: str, *, given: dict[str, str] | None = None) -> T:
        """Read a map into a dataclass. `given` fields come from elsewhere and are no keys."""
        values: dict[str, object] = dict(given or {})
        if not isinstance(tree, Table):
            return cast("T", self._not_a(tree, key, cls, "a map"))
        hints = get_type_hints(cls)
        known = {f.name: f for f in fields(cast("Any", cls)) if f.name not in values and f.name != "origin"}
        written = {entry.name for entry in tree.entries}
        misspelt = set()
        for entry in tree.entries:
            path = child(key, entry.name)
            self.lines.append((path, entry.line))
            if entry.name in known:
                values[entry.name] = self._value(hints[entry.name], entry.value, path)
            else:
                misspelt.add(self._unknown(entry, key, [name for name in known if name not in written]))
        for name, field in known.items():
            if name not in values and _required(field):
                values[name] = _stand_in(hints[name])
                if name not in misspelt:
                    self._missing(tree, child(key, name), name)
        return cls(**values)

    def _missing(self, tree: Tree, path: str, name: str) -> None:
        self._find(tree, path, "is missing", f"for example `{name}: {_example(path)}`")

    def _unknown(self, entry: Entry, key: str, free: list[str]) -> str:
        """Report an unknown key; return the known one that was meant, or nothing."""
        word = nearest(entry.name, free)
        others = f"the keys that may still be set here are {names(free)}" if free else "leave it out"
        hint = f"did you mean '{word}'?" if word else others
        self.found.append((child(key, entry.name), (entry.line, "unknown key", hint)))
        if word:
            self.doubtful.append(child(key, word))
        return word

    def _not_a(self, tree: Tree, key: str, hint: object, wanted: str) -> object:
        if isinstance(tree, Text) and self._is_empty(tree):
            self._find(tree, key, "is empty", "write a value, or leave the key out if it has a default")
        else:
            self._find(tree, key, f"is {kind(tree)}, not {wanted}", self._mend(tree, key, wanted))
        return _stand_in(hint)

    @staticmethod
    def _mend(tree: Tree, key: str, wanted: str) -> str:
        match tree, wanted:
            case Table(), "text":
                return "put quotes around it: an open brace begins a map"
            case Text(), "a list":
                return f"write [{shown(tree.value)}]"
            case Items(), "a map":
                return "write lines of `key: value`, without dashes"
            case _:
                pass
        name = key.rpartition(".")[2]
        return f"for example `{name}: {_example(key)}`" if name in EXAMPLES else f"write {wanted}"

    @staticmethod
    def _is_empty(tree: Text) -> bool:
        return not tree.value.strip() or (tree.plain and tree.value in {"~", "null", "Null", "NULL"})

    def _value(self, hint: object, tree: Tree, key: str) -> object:
        if get_origin(hint) is tuple:
            return self._tuple(get_args(hint)[0], tree, key)
        if get_origin(hint) is UnionType:
            return self._union(hint, tree, key)
        if isinstance(hint, type) and is_dataclass(hint):
            return self.record(hint, tree, key)
        if not isinstance(tree, Text) or self._is_empty(tree):
            return self._not_a(tree, key, hint, "text")
        return self._scalar(hint, tree, key)

    def _scalar(self, hint: object, tree: Text, key: str) -> object:
        strange = next((c for c in tree.value if not c.isprintable()), "")
        if strange:
            what = (
                "has more than one line" if strange == "\n" else f"holds the character U+{ord(strange):04X}"
            )
            self._find(tree, key, what, "write one line of printable text; '>' folds several into one")
            return _stand_in(hint)
        if isinstance(hint, type) and issubclass(hint, StrEnum):
            return self._choice(hint, tree, key)
        readers = {Commit: self._commit, bool: self._flag, int: self._number}
        reader = readers.get(cast("Any", hint))
        return reader(tree, key) if reader else tree.value

    def _choice(self, cls: type[StrEnum], tree: Text, key: str) -> object:
        known = [str(choice) for choice in cls]
        if tree.value in known:
            return cls(tree.value)
        hint = meant(tree.value, known) or "one of those"
        self._find(tree, key, f"{quoted(tree.value)} is not one of {names(known)}", hint)
        return _stand_in(cls)

    def _flag(self, tree: Text, key: str) -> bool:
        if tree.value not in {"true", "false"}:
            lower = tree.value.lower()
            hint = _SPELLINGS.get(lower) or (lower if lower in {"true", "false"} else "true or false")
            self._find(tree, key, f"{quoted(tree.value)} is neither true nor false", f"write {hint}")
        return tree.value == "true"

    def _number(self, tree: Text, key: str) -> int:
        if _NUMBER.fullmatch(tree.value):
            return int(tree.value)
        self._find(tree, key, f"{quoted(tree.value)} is not a whole number", "digits only")
        return 0

    def _commit(self, tree: Text, key: str) -> Commit:
        text = tree.value
        try:
            return Commit(text)
        except ValueError:
            pass
        what, hint = "is not a commit id", "40 lower-case hex digits; `git ls-remote <repo>` prints them"
        if re.fullmatch(r"[0-9a-fA-F]{40}", text):
            what, hint = "is not in lower case", f"write {text.lower()}"
        elif re.fullmatch(r"[0-9a-fA-F]{4,39}", text):
            what = f"is a commit cut to {len(text)} digits"
        elif re.fullmatch(r"[0-9a-fA-F]{41,}", text):
            what = f"has {len(text)} digits, a commit has 40"
        elif re.fullmatch(r"[A-Za-z][A-Za-z0-9._/-]*", text):
            what = "is the name of a branch or tag, which moves"
        self._find(tree, key, f"{quoted(text)} {what}", hint)
        return Commit("0" * 40)

    def _union(self, hint: object, tree: Tree, key: str) -> object:
        choices = [choice for choice in get_args(hint) if choice is not NoneType]
        if len(choices) > 1:
            return self._source(hint, tree, key)
        if is_dataclass(choices[0]) and isinstance(tree, Text) and tree.value == "none":
            return None
        return self._value(choices[0], tree, key)

    def _source(self, hint: object, tree: Tree, key: str) -> object:
        if not isinstance(tree, Table):
            return self._not_a(tree, key, hint, "a map")
        written = [entry.name for entry in tree.entries]
        kinds = [name for name in SOURCES if name in written]
        if len(kinds) == 1:
            return self.record(SOURCES[kinds[0]], tree, key)
        if kinds:
            self._find(tree, key, f"is of more than one kind: {names(kinds)}", "keep one of them")
            return _stand_in(hint)
        near = next((name for name in SOURCES for word in written if nearest(word, [name])), "")
        if near:
            return self.record(SOURCES[near], tree, key)
        self._find(tree, key, f"has none of {names(SOURCES)}", "one of them says what kind of source it is")
        return _stand_in(hint)

    def _tuple(self, hint: object, tree: Tree, key: str) -> tuple[object, ...]:
        if hint is CMakeOption or get_origin(hint) is tuple:
            return self._by_name(hint, tree, key)
        if key == "notes" and isinstance(tree, Text) and not self._is_empty(tree):
            return (self._value(hint, tree, key),)
        if not isinstance(tree, Items):
            self._not_a(tree, key, hint, "a list")
            return ()
        self.lines += [(child(key, number), item.line) for number, item in enumerate(tree.items)]
        return tuple(self._value(hint, item, child(key, number)) for number, item in enumerate(tree.items))

    def _by_name(self, hint: object, tree: Tree, key: str) -> tuple[object, ...]:
        """Read a map whose names are the author's own: options, variants, environment."""
        if not isinstance(tree, Table):
            self._not_a(tree, key, (), "a map")
            return ()
        self.lines += [(child(key, entry.name), entry.line) for entry in tree.entries]
        return tuple(self._named(hint, entry, child(key, entry.name)) for entry in tree.entries)

    def _named(self, hint: object, entry: Entry, key: str) -> object:
        if hint is CMakeOption:
            if isinstance(entry.value, Table):
                return self.record(CMakeOption, entry.value, key, given={"name": entry.name})
            return CMakeOption(name=entry.name, value=cast("str", self._value(str, entry.value, key)))
        value = get_args(hint)[1]
        if value is Variant:
            return entry.name, self.record(Variant, entry.value, key)
        return entry.name, self._value(value, entry.value, key)
