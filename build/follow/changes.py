"""What changed upstream, sorted by what it means for the image: kernels, arguments, build files, the rest. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from build.doors.history import LoggedCommit
from build.doors.snapshots import FileChange
from build.follow.survey import Option

__all__ = ["GROUPS", "Group", "OptionChange", "group_of", "grouped", "named_arguments", "option_changes"]

_KINDS = (
    (
        "",
        r"(^|/)(tests?|docs?|examples?|benches|\.github|\.devops|media|models)/|\.(md|png|svg|ipynb)$|^\.git",
    ),
    ("kernels", r"\.(cu|cuh)$|(^|/)(ggml-)?cuda/|\.cu\.in$"),
    ("server arguments", r"(^|/)args?\.(cpp|h|cc)$"),
    (
        "build files",
        r"(^|/)CMakeLists\.txt$|\.cmake(\.in)?$|(^|/)CMakePresets\.json$|(^|/)Makefile$|^\.gitmodules$",
    ),
)
"""The first pattern that fits a path says its group; the first of all is what no image holds."""
GROUPS = (*(name for name, _ in _KINDS if name), "other")
_ARGUMENT = re.compile(r'"(--?[A-Za-z][A-Za-z0-9-]*)"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The changes of one sort."""

    name: str
    """Of GROUPS; empty for what no image holds."""
    commits: tuple[LoggedCommit, ...]
    files: tuple[FileChange, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionChange:
    """A cmake option that came, went, or has another default."""

    name: str
    change: str
    """`added`, `removed`, `default`."""
    before: str
    after: str
    said: str
    """The recipe's value; empty where the recipe does not say the option."""


def group_of(path: str) -> str:
    """Return the group of a file."""
    return next((name for name, pattern in _KINDS if re.search(pattern, path)), "other")


def grouped(commits: Sequence[LoggedCommit], files: Sequence[FileChange]) -> tuple[Group, ...]:
    """Sort commits and files. A commit stands in the first group that one of its files belongs to."""
    order = (*GROUPS, "")
    by_commit = {
        one.commit: min(map(order.index, map(group_of, one.files)), default=order.index(""))
        for one in commits
    }
    groups = (
        Group(
            name=name,
            commits=tuple(one for one in commits if by_commit[one.commit] == number),
            files=tuple(file for file in files if group_of(file.path) == name),
        )
        for number, name in enumerate(order)
    )
    return tuple(group for group in groups if group.commits or group.files)


def option_changes(
    before: Iterable[Option], after: Iterable[Option], said: Mapping[str, str]
) -> tuple[OptionChange, ...]:
    """Compare the options of two states; those that the recipe says come first."""
    old, new = ({one.name: one.default for one in options} for options in (before, after))
    found = []
    for name in sorted({*old, *new}):
        if old.get(name) == new.get(name):
            continue
        change = "added" if name not in old else "removed" if name not in new else "default"
        found.append(
            OptionChange(
                name=name,
                change=change,
                before=old.get(name, ""),
                after=new.get(name, ""),
                said=said.get(name, ""),
            )
        )
    return tuple(sorted(found, key=lambda one: (not one.said, one.change != "removed")))


def named_arguments(texts: Iterable[str]) -> frozenset[str]:
    """Gather what the files that read the command line name as arguments."""
    return frozenset(name for text in texts for name in _ARGUMENT.findall(text))
