"""The Python packages of an image, as their own metadata tells: what each needs, owns and announces. Pure.

https://packaging.python.org/en/latest/specifications/recording-installed-packages/
"""

import configparser
import csv
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from build.image.tree import Entry

__all__ = ["METADATA", "EntryPoint", "Installed", "Package", "read_installed"]

METADATA: Final = re.compile(
    r"(?:.+/)?(?:site|dist)-packages/[^/]+\.(?:dist-info|egg-info)"
    r"/(?:METADATA|PKG-INFO|RECORD|entry_points\.txt|direct_url\.json)"
)
"""Paths of the files that tell of installed packages."""

_FOLDER: Final = re.compile(r"(?P<stem>[^/]+)\.(?:dist|egg)-info")
_EXTRA: Final = re.compile(r"\bextra\s*==")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryPoint:
    """Something that a package announces to others."""

    group: str
    name: str
    value: str
    """`module:attribute`."""

    @property
    def package(self) -> str:
        """The importable package that it leads into."""
        return self.value.partition(":")[0].partition(".")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One installed package."""

    name: str
    """As PEP 503 normalises it."""
    folder: str
    """Path of its .dist-info."""
    requires: frozenset[str] = frozenset()
    """Names of the packages that it declares, whatever the condition."""
    always: frozenset[str] = frozenset()
    """Those of them that are no part of an extra."""
    entry_points: tuple[EntryPoint, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """All of them."""

    packages: tuple[Package, ...] = ()
    """Sorted by name; one that lies there twice is there twice."""
    owners: Mapping[str, str] = field(default_factory=dict)
    """Path of each file of interest to the name of its package."""

    def needs(self, name: str) -> tuple[Package, ...]:
        """Return the packages that one needs, directly or not, itself left out, sorted by name."""
        by_name = {package.name: package for package in self.packages}
        found: set[str] = set()
        queue = [name]
        while queue:
            package = by_name.get(queue.pop())
            fresh = (package.requires if package else frozenset()) & by_name.keys() - found
            found |= fresh
            queue += fresh
        return tuple(by_name[one] for one in sorted(found - {name}))

    def announced(self, group: str) -> Iterator[tuple[Package, EntryPoint]]:
        """Yield the entry points of a group and the packages that announce them."""
        for package in self.packages:
            yield from ((package, point) for point in package.entry_points if point.group == group)

    def server(self, entrypoint: tuple[str, ...]) -> Package | None:
        """Return the package whose console script a container of the image starts."""
        script = entrypoint[0].rpartition("/")[2] if entrypoint else ""
        return next(
            (package for package, point in self.announced("console_scripts") if point.name == script), None
        )


def read_installed(entries: Iterable[Entry], interesting: Iterable[str]) -> Installed:
    """Read the metadata among the kept files; `interesting` are the paths whose owner is asked for."""
    wanted = frozenset(interesting)
    texts: dict[str, dict[str, str]] = {}
    for entry in entries:
        if entry.content is not None and METADATA.fullmatch(entry.path):
            folder, _, name = entry.path.rpartition("/")
            texts.setdefault(folder, {})[name] = entry.read_text()
    packages: list[Package] = []
    owners: dict[str, str] = {}
    for folder, files in texts.items():
        package = _package(folder, files)
        packages.append(package)
        for path in _recorded(posixpath.dirname(folder), files.get("RECORD", "")):
            if path in wanted:
                owners[path] = package.name
    return Installed(packages=tuple(sorted(packages, key=lambda one: (one.name, one.folder))), owners=owners)


def _package(folder: str, files: Mapping[str, str]) -> Package:
    headers = files.get("METADATA", files.get("PKG-INFO", "")).partition("\n\n")[0].splitlines()
    fields = [
        (key, value.strip()) for key, colon, value in (line.partition(":") for line in headers) if colon
    ]
    stem = _FOLDER.fullmatch(folder.rpartition("/")[2])
    guessed = stem["stem"].partition("-")[0] if stem else ""
    wanted = [value for key, value in fields if key == "Requires-Dist"]
    return Package(
        name=_normal(next((value for key, value in fields if key == "Name"), guessed)),
        folder=folder,
        requires=_names(wanted),
        always=_names(value for value in wanted if not _EXTRA.search(value)),
        entry_points=tuple(_entry_points(files.get("entry_points.txt", ""))),
    )


def _names(requirements: Iterable[str]) -> frozenset[str]:
    return frozenset(_normal(found[0]) for value in requirements if (found := _NAME.match(value)))


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _entry_points(text: str) -> Iterator[EntryPoint]:
    parser = configparser.RawConfigParser(delimiters=("=",), strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # names keep their case
    try:
        parser.read_string(text)
    except configparser.Error:
        return
    for group in parser.sections():
        for name, value in parser.items(group):
            yield EntryPoint(group=group, name=name, value=value)


def _recorded(site: str, record: str) -> Iterator[str]:
    for row in csv.reader(record.splitlines()):
        if row and row[0]:
            yield posixpath.normpath(posixpath.join(site, row[0])).lstrip("/")
