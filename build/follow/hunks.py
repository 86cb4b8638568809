"""A unified diff taken apart into patches of one hunk each. Pure; text in, text out."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Hunk", "hunks"]

_HEADER = re.compile(r"@@ -([0-9]+)(?:,([0-9]+))? \+([0-9]+)(?:,([0-9]+))? @@")
_GIT = "diff --git "


@dataclass(frozen=True, slots=True, kw_only=True)
class Hunk:
    """One change of one place, as a patch of its own."""

    file: str
    line: int
    """Where it stands in the source that the patch was made for."""
    patch: str


def hunks(patch: str) -> Iterator[Hunk]:
    """Take a patch apart; mail headers and signatures are left out, and so are changes without lines (renames, modes)."""
    # Not splitlines: a form feed is a character of a line here.
    lines = [f"{line}\n" for line in patch.split("\n")]
    head: list[str] = []
    at = 0
    while at < len(lines):
        line = lines[at]
        found = _HEADER.match(line)
        if found and len(head) >= 2:  # noqa: PLR2004  (--- and +++)
            end = _end(lines, at + 1, int(found[2] or 1), int(found[4] or 1))
            yield _hunk(head, found, line, lines[at + 1 : end])
            at = end
            continue
        if line.startswith(_GIT):
            head = [line]
        elif line.startswith("--- ") and at + 1 < len(lines) and lines[at + 1].startswith("+++ "):
            head = [
                *(one for one in head if head[0].startswith(_GIT) and not one.startswith(("---", "+++"))),
                line,
            ]
        elif head:
            head.append(line)
        at += 1


def _end(lines: list[str], at: int, old: int, new: int) -> int:
    """Return where the hunk ends whose body begins at `at`: its header says how many lines it has."""
    while at < len(lines) and (old > 0 or new > 0):
        mark = lines[at][:1]
        old -= mark in {" ", "-", "\n"}
        new -= mark in {" ", "+", "\n"}
        at += 1
    if at < len(lines) and lines[at].startswith("\\"):
        at += 1
    return at


def _hunk(head: list[str], found: re.Match[str], line: str, body: list[str]) -> Hunk:
    names = [one[4:].split("\t")[0].strip() for one in head if one.startswith(("--- ", "+++ "))]
    creates, deletes = names[0] == "/dev/null", names[-1] == "/dev/null"
    file = re.sub(r"^[ab]/", "", names[0] if deletes else names[-1])
    start = found[3] if creates or deletes else found[1]
    # git looks for a hunk where the new file has it: alone, no other hunk has moved it there.
    alone = line.replace(f"+{found[3]}", f"+{start}", 1)
    return Hunk(
        file=file,
        line=int(found[1]),
        patch="".join([*head, alone, *body]),
    )
