"""Recipe files to `Recipe`s: the only reader of YAML. Strings only; no anchors, tags, includes or second documents.

Reads the files it is handed and nothing else. What is wrong in a file is collected, never the first fault alone;
`rules.py` judges what the words mean.
"""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from build.errors import BadRecipes, Problem
from build.recipe.model import Origin, Recipe
from build.recipe.shape import Shaper
from build.recipe.tree import Entry, Items, Table, Text, Tree, child, kind
from build.recipe.words import printable, quoted, shown

__all__ = ["Draft", "decode", "ordered", "read", "recipe_paths"]

MAX_BYTES = 256 * 1024
MAX_DEPTH = 20

_Span = tuple[int, str, str]
"""A line, what is wrong there, and the mend."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """One file's reading: its problems, and the recipe as far as it could be made out."""

    recipe: Recipe | None
    """Fields that could not be read hold a stand-in; none when the file is no YAML map at all."""
    problems: tuple[Problem, ...]
    keys: tuple[str, ...]
    """Key paths of the problems: what stands there is not to be judged further."""


def recipe_paths(root: Path) -> tuple[Path, ...]:
    """List the recipe files of a checkout, sorted by name."""
    return tuple(sorted((root / "recipes").glob("*.yaml")))


def ordered(problems: Sequence[Problem]) -> tuple[Problem, ...]:
    """Sort problems as a person reads files: top to bottom, one after the other."""
    return tuple(sorted(problems, key=lambda problem: (problem.file, problem.line)))


def decode(paths: Sequence[Path], *, root: Path) -> tuple[Recipe, ...]:
    """Read recipes, in the order given.

    Raises:
        BadRecipes: with every problem of every file.
    """
    drafts = [read(path, root=root) for path in paths]
    problems = [problem for draft in drafts for problem in draft.problems]
    if problems:
        raise BadRecipes(ordered(problems))
    return tuple(draft.recipe for draft in drafts if draft.recipe)


def read(path: Path, *, root: Path) -> Draft:
    """Read one recipe as far as possible."""
    file = printable((path.relative_to(root) if path.is_relative_to(root) else path).as_posix())
    text, fault = _text(path)
    if fault:
        return _broken(file, fault)
    reader = _Reader(text)
    try:
        tree = reader.document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = shown(error.problem or error.context or "unreadable")
        hint = "check the indentation, the quotes and the brackets around this line"
        return _broken(file, (mark.line + 1 if mark else 1, f"is not YAML: {what}", hint))
    except (yaml.YAMLError, ValueError, OverflowError):
        # Raised for numbers that are no character or no number to Python: "\U00110000", %YAML 9999...
        hint = "check escapes such as '\\U' in double quotes"
        return _broken(file, (reader.line, "is not YAML: a number in it is out of range", hint))
    if tree is None or isinstance(tree, Text | Items):
        line, what = (tree.line, f"is {kind(tree)}, not a map of fields") if tree else (1, "is empty")
        fault = (line, what, "begin with 'name: ...'")
        return _broken(file, *reader.spans, *([] if reader.deep else [fault]))
    return _draft(path, file, tree, reader)


def _draft(path: Path, file: str, tree: Table, reader: "_Reader") -> Draft:
    shaper = Shaper()
    recipe = shaper.record(Recipe, tree, "")
    refused = {key for key, _ in reader.found}
    found = [*reader.found, *((key, span) for key, span in shaper.found if key not in refused)]
    origin = Origin(file=file, lines=tuple(shaper.lines))
    keys = (*(key for key, _ in found), *shaper.doubtful)
    if any(key == "name" or not key for key in keys):
        recipe = replace(recipe, name=path.stem)
    problems = [
        Problem(file=file, line=line, key=shown(key), message=message, hint=hint)
        for key, (line, message, hint) in found
    ]
    problems += _broken(file, *reader.spans).problems
    return Draft(recipe=replace(recipe, origin=origin), problems=tuple(problems), keys=keys)


def _broken(file: str, *faults: _Span) -> Draft:
    problems = tuple(
        Problem(file=file, line=line, key="", message=message, hint=hint) for line, message, hint in faults
    )
    return Draft(recipe=None, problems=problems, keys=())


def _text(path: Path) -> tuple[str, _Span | None]:
    """Read the file's text, or say what keeps it from being one."""
    fault = _file_fault(path)
    if fault:
        return "", fault
    try:
        data = path.read_bytes()
    except OSError as error:
        return "", (1, f"cannot be read: {error.strerror}", "check its permissions")
    if data.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        return "", (1, "begins with a byte order mark", "save it as UTF-8 without one")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return "", (line, f"is not UTF-8: byte 0x{data[error.start]:02x}", "save it as UTF-8")
    return text, _character_fault(text)


def _file_fault(path: Path) -> _Span | None:
    if path.is_symlink():
        return 1, "is a symbolic link", "put the recipe itself there"
    if path.is_dir():
        return 1, "is a directory", "a recipe is one file"
    if not path.is_file():
        what = "is not a regular file" if path.exists() else "does not exist"
        return 1, what, "a recipe is one file in recipes/"
    size = path.stat().st_size
    if size > MAX_BYTES:
        return 1, f"is {size} bytes long", f"a recipe has at most {MAX_BYTES}"
    return None


def _character_fault(text: str) -> _Span | None:
    """Find the first character that a person cannot see and a terminal or a shell might act on."""
    plain = text.replace("\r\n", "\n")
    for number, line in enumerate(plain.split("\n"), start=1):
        strange = "" if line.isprintable() else next(c for c in line if not c.isprintable())
        if strange == "\t":
            return number, "holds a tab", "indent with blanks"
        if strange:
            name = unicodedata.name(strange, "control character").lower()
            return number, f"holds U+{ord(strange):04X} ({name})", "leave it out"
    return None


class _Reader:
    """Builds one tree from YAML events, so that nothing is resolved, expanded or executed on the way."""

    def __init__(self, text: str) -> None:
        self.found: list[tuple[str, _Span]] = []
        self.spans: list[_Span] = []
        self.line = 1
        self.deep = False
        self._events: Iterator[yaml.Event] = yaml.parse(text, Loader=yaml.BaseLoader)

    def document(self) -> Tree | None:
        """Return the first document's tree, or nothing when there is none."""
        tree = None
        documents = 0
        while not isinstance(event := self._next(), yaml.StreamEndEvent):
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if event.tags or event.version:
                    self._span("has a % directive", "leave the directive out")
            elif not isinstance(event, yaml.StreamStartEvent | yaml.DocumentEndEvent):
                if documents > 1:
                    self._span("holds a second document", "one recipe a file; leave out the second '---'")
                    return tree
                tree = self._tree(event, "", 1)
                if self.deep:
                    return None
        return tree

    def _next(self) -> yaml.Event:
        event = next(self._events)
        if event.start_mark:
            self.line = event.start_mark.line + 1
        return event

    def _span(self, message: str, hint: str) -> None:
        self.spans.append((self.line, message, hint))

    def _find(self, key: str, message: str, hint: str) -> None:
        self.found.append((key, (self.line, message, hint)))

    def _tree(self, event: yaml.Event, key: str, depth: int) -> Tree:
        self._refuse_references(event, key)
        line = self.line
        if depth > MAX_DEPTH and not self.deep:
            self.deep = True
            self._span(f"is nested deeper than {MAX_DEPTH} levels", "no field of a recipe is")
        if self.deep:
            return Text(value="", line=line)
        match event:
            case yaml.ScalarEvent():
                value = event.value.removesuffix("\n") if event.style in {"|", ">"} else event.value
                return Text(value=value, line=line, plain=event.style is None)
            case yaml.SequenceStartEvent():
                return Items(items=tuple(self._items(key, depth)), line=line)
            case yaml.MappingStartEvent():
                return Table(entries=tuple(self._entries(key, depth)), line=line)
            case _:
                return Text(value="", line=line)

    def _refuse_references(self, event: yaml.Event, key: str) -> None:
        if isinstance(event, yaml.AliasEvent):
            self._find(key, f"is an alias, {quoted(f'*{event.anchor}')}", "write the value out")
        if not isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent):
            return
        if event.anchor:
            self._find(key, f"has an anchor, {quoted(f'&{event.anchor}')}", "leave the anchor out")
        if event.tag:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            hint = "leave the tag out; recipes hold plain text only"
            self._find(key, f"has a tag, {quoted(tag)}", hint)

    def _items(self, key: str, depth: int) -> Iterator[Tree]:
        number = 0
        while not self.deep and not isinstance(event := self._next(), yaml.SequenceEndEvent):
            yield self._tree(event, child(key, number), depth + 1)
            number += 1

    def _entries(self, key: str, depth: int) -> Iterator[Entry]:
        seen: dict[str, int] = {}
        while not self.deep and not isinstance(event := self._next(), yaml.MappingEndEvent):
            line = self.line
            name = self._name(event, key, depth)
            path = child(key, name)
            if name in seen:
                self._find(path, f"is there twice, first on line {seen[name]}", "keep one of the two")
            value = self._tree(self._next(), path, depth + 1)
            if name not in seen and name != "<<":
                yield Entry(name=name, line=line, value=value)
            seen.setdefault(name, line)

    def _name(self, event: yaml.Event, key: str, depth: int) -> str:
        if not isinstance(event, yaml.ScalarEvent):
            self._find(key, "has a key that is not text", "a key is one word")
            self._tree(event, key, depth + 1)
            return "<<"
        self._refuse_references(event, key)
        if event.value == "<<":
            self._find(child(key, "<<"), "is a merge key", "write the fields out")
        return str(event.value)
