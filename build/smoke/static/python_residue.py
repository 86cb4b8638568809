"""What installing Python packages leaves behind: caches, addresses of the build host, tools that nothing needs. Pure."""

import re
from collections.abc import Iterator
from typing import Final

from build.image.tree import Kind, printable
from build.smoke.static.image import StaticImage

__all__ = ["python_residue"]

_LEFTOVERS: Final = tuple(
    (re.compile(pattern), why)
    for pattern, why in (
        (r"(?:.+/)?[^/]+\.dist-info/direct_url\.json", "the address that a package was installed from"),
        (
            r"(?:.+/)?[^/]+\.dist-info/(?:uv_cache\.json|uv_build\.json)",
            "uv's own note, with the time of the build",
        ),
        (r"(?:.+/)?(?:\.cache/(?:pip|uv)|pip/(?:http|http-v2|wheels|selfcheck))/.+", "an installer's cache"),
        (r"(?:.+/)?[^/]+\.whl", "a wheel"),
    )
)
_BUNDLED: Final = re.compile(r"(?:usr/share/python-wheels|.+/ensurepip/_bundled)/[^/]+\.whl")
"""Debian's and CPython's own."""
_TOOLS: Final = frozenset(
    {"build", "cmake", "cython", "flit-core", "hatchling", "meson", "ninja", "pip", "poetry-core",
     "pybind11", "scikit-build-core", "setuptools", "setuptools-scm", "uv", "virtualenv", "wheel"}
)  # fmt: skip


def python_residue(image: StaticImage) -> Iterator[str]:
    """Look for leftovers by path, and for tools that no installed package declares a need of."""
    for entry in image.rootfs:
        why = next((why for pattern, why in _LEFTOVERS if pattern.fullmatch(entry.path)), "")
        if why and entry.kind is not Kind.FOLDER and not _BUNDLED.fullmatch(entry.path):
            yield f"{printable(entry.path)} is {why}"
    required = {name for package in image.installed.packages for name in package.always}
    for package in image.installed.packages:
        if package.name in _TOOLS and package.name not in required:
            yield f"{printable(package.folder)} is a tool to build packages, and no installed package needs it"
