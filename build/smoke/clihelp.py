"""What `<server> --help` prints, taken apart into flags. Pure: text in, values out; judges nothing.

Reads the layout of llama.cpp's `common_arg::to_string` and of its predecessors, and argparse's: a flag begins near the
line's beginning, its text stands in a column of its own and goes on below.
https://github.com/ggml-org/llama.cpp/blob/master/common/arg.cpp
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from build.recipe.refs import Digest

__all__ = ["HelpFlag", "ImageHelp", "Listed", "find_flag", "look_up", "parse_help"]

_NEAR: Final = 12
"""Blanks that may stand before a flag; what is further to the right is a flag's text."""
_SPELLING: Final = r"-{1,2}[A-Za-z][\w.+-]*"
_BEGINS: Final = re.compile(rf" {{0,{_NEAR}}}(?={_SPELLING}(?:[\s,=]|$))")
_FIRST: Final = re.compile(_SPELLING)
_AFTER: Final = re.compile(
    # A value, perhaps; then another spelling, or the text after two blanks, or the line's end.
    rf"(?:[ =](?P<value>\S.*?))?(?:(?:,\s*| (?=--))(?=(?P<more>{_SPELLING}))|\s{{2,}}(?P<text>.*)|\s*$)"
)
_ENV: Final = re.compile(r"\(env: (\w+)\)")
_DEFAULT: Final = re.compile(r"\bdefault: ?")
_REMOVED: Final = re.compile(r"\b(?:argument|option|flag) has been removed\b")
_BULLET: Final = re.compile(r"- ([\w.+-]+)( \(default\))?:(?: |$)")
_WORD: Final = r"['\"`]?[\w.+-]+['\"`]?"
_SEVERAL: Final = rf"{_WORD}(?:(?:, (?:or |and )?| or ){_WORD})+"
_SAID: Final = re.compile(
    rf"(?:(?:allowed|possible|valid|accepted) values|choices|one of)(?: are)?:? ({_SEVERAL})"
)
_SHOWN: Final = re.compile(rf": ({_WORD}(?:, {_WORD})+) \(default: ({_WORD})\)")
_CHOICE: Final = re.compile(r"[\w.+:-]+")
_PLAIN_CHOICE: Final = re.compile(r"[a-z0-9][a-z0-9_.+-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class HelpFlag:
    """One flag as the help lists it."""

    spellings: tuple[str, ...]
    """Every way to write it, in the help's order, negations too."""
    value: str = ""
    """The value's placeholder, as `N` or `[on|off|auto]`; empty for a switch."""
    values: tuple[str, ...] = ()
    """The values that it takes, where the help enumerates them."""
    default: str | None = None
    """Without the explanation that follows it; None where the help says none."""
    env: str = ""
    """The environment variable that sets it too."""
    removed: bool = False
    """Listed only to say that it is not there any more."""
    text: str = ""

    @property
    def name(self) -> str:
        """The first long spelling."""
        return next((one for one in self.spellings if one.startswith("--")), self.spellings[0])

    @property
    def head(self) -> str:
        """Render as the help begins it: `-c, --ctx-size N`."""
        return f"{', '.join(self.spellings)} {self.value}".rstrip()


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageHelp:
    """The command line of one image: the content of help.json."""

    digest: Digest
    """Of the image that printed it."""
    flags: tuple[HelpFlag, ...]


def find_flag(flags: tuple[HelpFlag, ...], spelling: str) -> HelpFlag | None:
    """Return the flag that is written so."""
    return next((flag for flag in flags if spelling in flag.spellings), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """How a flag of a command line stands in the help."""

    spelling: str
    flag: HelpFlag | None
    """None: it is not listed."""
    unlisted: tuple[str, ...]
    """The values given to it that the help does not enumerate, where it enumerates any."""


def look_up(flags: tuple[HelpFlag, ...], words: tuple[str, ...]) -> Listed:
    """Look a flag up that is written with its value: `--split-mode row`, `--tools=a,b`."""
    spelling, _, value = words[0].partition("=")
    flag = find_flag(flags, spelling)
    given = (value or " ".join(words[1:])).split(",")
    unlisted = tuple(part for part in given if part not in flag.values) if flag and flag.values else ()
    return Listed(spelling=spelling, flag=flag, unlisted=unlisted)


def parse_help(text: str) -> tuple[HelpFlag, ...]:
    """Read every flag of a help text, in its order; none where it lists none."""
    return tuple(_flag(spellings, value, lines) for spellings, value, lines in _entries(text))


def _entries(text: str) -> Iterator[tuple[tuple[str, ...], str, list[str]]]:
    """Yield the spellings, the placeholder and the lines of text of each flag."""
    current: tuple[tuple[str, ...], str, list[str]] | None = None
    for line in text.expandtabs().splitlines():
        if not line.strip():
            continue
        begun = _begin(line)
        if begun is None and current and len(line) - len(line.lstrip()) > _NEAR:
            current[2].append(line.strip())
            continue
        if current:
            yield current
        current = begun
    if current:
        yield current


def _begin(line: str) -> tuple[tuple[str, ...], str, list[str]] | None:
    """Read the line that begins a flag; None where it begins none."""
    begins = _BEGINS.match(line)
    if not begins:
        return None
    spellings, value, at = [], "", begins.end()
    while spelled := _FIRST.match(line, at):
        spellings.append(spelled[0])
        after = _AFTER.match(line, spelled.end())
        if not after or _is_example(after["value"] or "", value):
            return None
        value, at = after["value"] or value, after.end()
        if not after["more"]:
            return tuple(spellings), value, [after["text"].strip()] if after["text"] else []
    return None


def _is_example(value: str, before: str) -> bool:
    """Say whether a value is one that somebody would type: vLLM's help tells how to, in lines that begin as flags do.

    argparse writes one placeholder behind every spelling; two that differ are values.
    """
    return (
        value[:1] in {"'", '"'}
        or value.count("(") != value.count(")")
        or bool(before and value not in {"", before})
    )


def _flag(spellings: tuple[str, ...], value: str, lines: list[str]) -> HelpFlag:
    whole = " ".join(lines)
    env = _ENV.search(whole)
    text = " ".join(_ENV.sub("", whole).split())
    bullets = [bullet for line in lines if (bullet := _BULLET.match(line))]
    return HelpFlag(
        spellings=spellings,
        value=value,
        values=_in_placeholder(value)
        or (_in_text(text, tuple(bullet[1] for bullet in bullets)) if value else ()),
        default=_default(text, next((bullet[1] for bullet in bullets if bullet[2]), None)),
        env=env[1] if env else "",
        removed=_REMOVED.search(text) is not None,
        text=text,
    )


def _in_placeholder(value: str) -> tuple[str, ...]:
    """Read `[a|b]`, `<a|b>`, `{a,b}` and llama.cpp's plain `a,b,c`."""
    pairs = {"[": "]", "<": ">", "{": "}", "(": ")"}
    closing = pairs.get(value[:1])
    inner = value[1:-1] if closing and value.endswith(closing) else value
    if "|" in inner:
        found, shape = inner.split("|"), _CHOICE
    elif value.startswith("{") and inner != value:
        found, shape = [part.strip() for part in inner.split(",")], _CHOICE
    elif inner == value and "," in value:
        found, shape = value.split(","), _PLAIN_CHOICE
    else:
        return ()
    return tuple(found) if all(shape.fullmatch(part) for part in found) else ()


def _in_text(text: str, bullets: tuple[str, ...]) -> tuple[str, ...]:
    """Read `allowed values: a, b`, a list with one line for each value, and `: a, b (default: a)`."""
    if len(bullets) > 1:
        return bullets
    if said := _SAID.search(text):
        return _words(said[1])
    shown = _SHOWN.search(text)
    if shown and _words(shown[2])[0] in _words(shown[1]):
        return _words(shown[1])
    return ()


def _words(text: str) -> tuple[str, ...]:
    return tuple(part.strip("'\"`") for part in re.split(r", (?:or |and )?| or ", text))


def _default(text: str, bullet: str | None) -> str | None:
    """Read what follows `default: ` up to the end of its bracket, or to the explanation after it."""
    said = _DEFAULT.search(text)
    if not said:
        return bullet
    rest = text[said.end() :]
    value = rest[: _end(rest)].strip()
    # `'auto' (detect from template)`, `0 = model training context size`: the remark is no part of it.
    value = re.sub(r"(?<=\S) (?:\(.*\)|= .*)$", "", value)
    if value[:1] in {"'", '"'} and len(value) > 1 and value[-1] == value[0]:
        return value[1:-1]
    return value


def _end(text: str) -> int:
    """Find where a value ends: at `, `, `; ` or a closing bracket that it did not open itself, outside quotes."""
    depth, quote = 0, ""
    for at, char in enumerate(text):
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"" and (at == 0 or text[at - 1] in " [("):
            quote = char
        elif char in "([{":
            depth += 1
        elif char in ")]}":
            if depth == 0:
                return at
            depth -= 1
        elif depth == 0 and char in ",;" and text[at + 1 : at + 2] == " ":
            return at
    return len(text)
