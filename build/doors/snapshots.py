"""Two states of a source compared, file by file. Reads only."""

import re
from dataclasses import dataclass
from pathlib import Path

from build.doors.git import git_output

__all__ = ["FileChange", "Snapshot", "changes_between"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A tree, and the mirror that holds it whole."""

    mirror: Path
    tree: str

    def paths(self) -> tuple[str, ...]:
        """List the files; links and submodules are not among them."""
        entries = git_output(self.mirror, "ls-tree", "-r", "--full-tree", "-z", self.tree).split("\0")
        return tuple(entry.partition("\t")[2] for entry in entries if entry.startswith("100"))

    def text(self, path: str) -> str:
        return git_output(self.mirror, "show", f"{self.tree}:{path}")


@dataclass(frozen=True, slots=True, kw_only=True)
class FileChange:
    """What became of one file."""

    path: str
    was: str
    """Its path before, where it was moved."""
    added: int
    removed: int


def changes_between(old: Snapshot, new: Snapshot) -> tuple[FileChange, ...]:
    """List the files that differ, with the numbers of lines; binary files have none."""
    # Archives have a mirror each: git is told where the other one's objects are.
    env = {"GIT_ALTERNATE_OBJECT_DIRECTORIES": str((old.mirror / "objects").absolute())}
    out = git_output(
        new.mirror, "diff", "--numstat", "-z", "--find-renames", "--no-ext-diff", old.tree, new.tree, env=env
    )
    fields = out.split("\0")
    found = []
    while fields and fields[0]:
        added, removed, path = fields.pop(0).split("\t", 2)
        was = ""
        if not path:
            was, path = fields.pop(0), fields.pop(0)
        numbers = (int(number) if re.fullmatch("[0-9]+", number) else 0 for number in (added, removed))
        found.append(FileChange(path=path, was=was, **dict(zip(("added", "removed"), numbers, strict=True))))
    return tuple(found)
