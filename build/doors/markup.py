"""Foreign text made safe to stand in a page: control characters, Markdown, code. Pure.

Versions, paths, labels and logs come from upstream; none of it may become a heading, a link or a tag of ours.
"""

import re
from typing import Final

__all__ = ["Markdown", "clean", "code", "code_cell", "fence", "markdown"]

_UNSEEN: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"
    "\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff"  # change the order or hide letters
    "\ud800-\udfff\ufffe\uffff]"
)
_SPECIAL: Final = re.compile(r"[\\`*\[\]|~$]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
_ENTITIES: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_BEGINS_A_BLOCK: Final = re.compile(r"[#+\-=]|\d+[.)](?=\s|$)")


class Markdown(str):
    """Text that is Markdown already."""

    __slots__ = ()


def clean(text: str) -> str:
    """Show what cannot be seen, or what no file can hold, as U+FFFD; line ends become one newline."""
    return _UNSEEN.sub("\ufffd", text.replace("\r\n", "\n"))


def markdown(value: object) -> Markdown:
    """Escape text for a line, a list item or a table's cell; what is Markdown already stays."""
    if isinstance(value, Markdown):
        return value
    text = _SPECIAL.sub(r"\\\g<0>", " ".join(clean(str(value)).split())).translate(_ENTITIES)
    if begins := _BEGINS_A_BLOCK.match(text):
        # The last character of the mark is escaped: in `1.` that is the full stop.
        text = f"{text[: begins.end() - 1]}\\{text[begins.end() - 1 :]}"
    return Markdown(text)


def code(value: object) -> Markdown:
    """Render text as a code span, whatever backticks it holds; nothing for no text."""
    text = " ".join(clean(str(value)).split())
    if not text:
        return Markdown("")
    marks = "`" * (_longest_run(text) + 1)
    blank = " " if text.startswith("`") or text.endswith("`") else ""
    return Markdown(f"{marks}{blank}{text}{blank}{marks}")


def code_cell(value: object) -> Markdown:
    """Render text as a code span inside a table, where a bar ends the cell even in code."""
    return Markdown(code(value).replace("|", "\\|"))


def fence(value: object, language: str = "") -> Markdown:
    """Render text as a block of code that no line of it can close."""
    text = clean(str(value)).strip("\n")
    marks = "`" * max(3, _longest_run(text) + 1)
    return Markdown(f"{marks}{language}\n{text}\n{marks}")


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall(r"`+", text)), default=0)
