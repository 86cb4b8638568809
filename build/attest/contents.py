"""What lies in an image, read from its layers: Debian's packages and licences, Python's, and the binaries that a build added.

Only what the image itself says: a licence that nobody wrote down is not known.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.parser import HeaderParser
from pathlib import Path
from typing import Final

from build.doors import store
from build.image.layout import Layout
from build.image.rootfs import ELF_MAGIC, open_rootfs
from build.image.tree import Entry, Kind, Rootfs, printable
from build.pin.debian import DebianPackage, packages_in

__all__ = ["Contents", "ImageFile", "LicensedPackage", "PythonPackage", "read_contents"]

_STATUS: Final = "var/lib/dpkg/status"
_RELEASE: Final = ("etc/os-release", "usr/lib/os-release")
_COPYRIGHT: Final = re.compile(r"usr/share/doc/[^/]+/copyright")
_LICENCE: Final = re.compile(r".*/licenses/.*")
_METADATA: Final = re.compile(r"(?:.+/)?(?:site|dist)-packages/[^/]+\.dist-info/METADATA")
"""Of what is installed; copies that a package vendors lie deeper."""
_FORMAT: Final = re.compile(r"(?i)\A(?:\ufeff)?format(?:-specification)?:")
"""How a copyright file begins that machines can read.

https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
"""
_SHORT_NAME: Final = re.compile(r"(?im)^license:[ \t]*(\S.*?)[ \t]*$")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFile:
    """A file that the build added to its base."""

    path: str
    """Absolute, fit to be printed."""
    sha256: str
    text: bytes | None = None
    """The bytes of a licence; None for a binary."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LicensedPackage:
    """A Debian package, and the short names of the licences that its copyright file lists."""

    package: DebianPackage
    licences: tuple[str, ...]
    """Empty: it has no copyright file, or none that machines can read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonPackage:
    """An installed Python distribution, by its own metadata."""

    name: str
    version: str
    licence: str
    """SPDX expression; empty where it gives none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """An image's contents, each part sorted."""

    os: str
    """`debian-12`; empty where the image does not say."""
    packages: tuple[LicensedPackage, ...]
    python: tuple[PythonPackage, ...]
    binaries: tuple[ImageFile, ...]
    """ELF files beyond the base."""
    licences: tuple[ImageFile, ...]
    """Licence files beyond the base."""


def read_contents(layout: Layout, scratch: Path) -> Contents:
    """Read all layers once; `scratch` takes what is looked at meanwhile.

    Raises:
        BrokenLayout: a layer is not what its digest says.
    """
    with store.scratch(scratch) as folder, open_rootfs(layout, keep=_wanted, scratch=folder) as rootfs:
        status = rootfs.resolve(f"/{_STATUS}")
        based = status.layer if status else -1
        added = [one for one in rootfs if one.kind is Kind.FILE and one.content and one.layer > based]
        return Contents(
            os=_os(rootfs),
            packages=tuple(_packages(rootfs, status.read_text() if status else "")),
            python=tuple(_python(added)),
            binaries=tuple(_file(one) for one in added if one.head == ELF_MAGIC),
            licences=tuple(
                _file(one, text=True)
                for one in added
                if _LICENCE.fullmatch(one.path) and one.head != ELF_MAGIC
            ),
        )


def _wanted(path: str, _size: int, head: bytes) -> bool:
    return (
        head.startswith(ELF_MAGIC)
        or path == _STATUS
        or path in _RELEASE
        or any(pattern.fullmatch(path) for pattern in (_COPYRIGHT, _LICENCE, _METADATA))
    )


def _file(entry: Entry, *, text: bool = False) -> ImageFile:
    assert entry.content is not None
    data = entry.content.read_bytes() if text else None
    return ImageFile(path=printable(entry.path), sha256=store.sha256_file(entry.content), text=data)


def _os(rootfs: Rootfs) -> str:
    entry = next(filter(None, (rootfs.resolve(f"/{path}") for path in _RELEASE)), None)
    lines = entry.read_text().splitlines() if entry else []
    fields = dict(line.split("=", 1) for line in lines if "=" in line)
    name, version = (fields.get(key, "").strip("\"'") for key in ("ID", "VERSION_ID"))
    return f"{name}-{version}" if version else name


def _packages(rootfs: Rootfs, status: str) -> Iterator[LicensedPackage]:
    for package in packages_in(status):
        copyright_file = rootfs.resolve(f"/usr/share/doc/{package.name}/copyright")
        text = copyright_file.read_text() if copyright_file else ""
        names = _SHORT_NAME.findall(text) if _FORMAT.match(text) else []
        yield LicensedPackage(package=package, licences=tuple(sorted(set(names))))


def _python(added: list[Entry]) -> Iterator[PythonPackage]:
    for entry in added:
        if _METADATA.fullmatch(entry.path):
            said = HeaderParser().parsestr(entry.read_text())
            yield PythonPackage(
                name=str(said["Name"]),
                version=str(said["Version"]),
                licence=str(said["License-Expression"] or ""),
            )
