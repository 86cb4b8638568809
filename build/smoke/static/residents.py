"""Libraries that a Python process has loaded before it comes to an extension module, so that the loader need not find them.

An extension module such as vLLM's names libtorch.so and libcudart.so.13 and says nowhere where they are: it is imported
after torch, and the loader takes what is in the process already by its SONAME. Which packages come first is what a
package declares as its requirements; what they bring in is what their own libraries find by their own run paths. A
library that lies in the image but belongs to no such package is as good as missing.
"""

import fnmatch
import re
from collections.abc import Mapping
from typing import Final

from build.smoke.static.elf import ElfKind
from build.smoke.static.image import StaticImage
from build.smoke.static.loader import Loaded, Loader

__all__ = ["Residents", "is_for_another_python", "tolerated"]

_UNDECLARED: Final = {"torchaudio": ("torch",)}
"""What a package imports before its own libraries and does not declare: seen in 2.11."""

_NO_FABRIC: Final = "that network is not used; the others are"
_TOLERATED: Final = (
    ("*/numba/np/ufunc/tbbpool.*.so", "libtbb.so.*", "numba takes another threading layer"),
    ("*/nvidia/*/lib/libcufile_rdma.so.*", "lib*", "cuFile goes without RDMA"),
    ("*/nvidia/nvshmem/lib/nvshmem_bootstrap_*.so.*", "lib*", "NVSHMEM is started another way"),
    ("*/nvidia/nvshmem/lib/nvshmem_transport_*.so.*", "lib*", _NO_FABRIC),
)
"""Libraries that their own package tries to load, and does without: file, what it misses, and what happens then."""


def tolerated(path: str, name: str) -> str:
    """Say what happens where a file misses a library that it can do without; empty where it cannot."""
    return next(
        (
            why
            for files, names, why in _TOLERATED
            if fnmatch.fnmatchcase(path, files) and fnmatch.fnmatchcase(name, names)
        ),
        "",
    )


_TAGGED: Final = re.compile(
    r"(?:.+/)?python3\.(?P<here>\d+)/(?:.+/)?[^/]+\.cpython-3(?P<built>\d+[a-z]*)-[^/]+\.so"
)
"""An extension module in the folder of one Python, with the tag of the Python that it is built for (PEP 3149)."""


def is_for_another_python(path: str) -> bool:
    """Say whether a file is an extension module that the Python of its folder never loads: wheels may bring several."""
    found = _TAGGED.fullmatch(path)
    return found is not None and found["built"] != found["here"]


class Residents:
    """What is loaded before each file of an image, found once for each package."""

    def __init__(self, image: StaticImage, loader: Loader) -> None:
        self._image = image
        self._loader = loader
        self._owned: dict[str, list[str]] = {}
        for path, owner in image.installed.owners.items():
            if path in image.elves and image.elves[path].kind is ElfKind.LIBRARY:
                self._owned.setdefault(owner, []).append(path)
        self._brought: dict[str, dict[str, Loaded]] = {}
        self._before: dict[str, dict[str, Loaded]] = {}

    def of(self, path: str) -> Mapping[str, Loaded]:
        """Return what is in the process when a file is loaded, by SONAME; nothing for what belongs to no package."""
        owner = self._image.installed.owners.get(path, "")
        if owner and owner not in self._before:
            # Its own come last: what it loads itself, before the plugins that it brings.
            first = (
                *_UNDECLARED.get(owner, ()),
                *(one.name for one in self._image.installed.needs(owner)),
                owner,
            )
            self._before[owner] = {
                name: one for package in reversed(first) for name, one in self._brings(package).items()
            }
        return self._before.get(owner, {})

    def _brings(self, package: str) -> dict[str, Loaded]:
        """Return what a package's own libraries load, those that find all they need by themselves."""
        if package not in self._brought:
            roots = (self._loader.load(path) for path in sorted(self._owned.get(package, ())))
            self._brought[package] = {
                one.elf.soname: one for root in roots for one in root.everything() if one.elf.soname
            }
        return self._brought[package]
