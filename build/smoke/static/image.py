"""What every static check looks at, and the shape of a check. Pure: the files were read by the suite."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from build.image.config import ImageConfig
from build.image.tree import Entry, Kind, Rootfs
from build.recipe.model import Family
from build.smoke.model import Expectations
from build.smoke.static.elf import Elf, Symbols, read_symbols
from build.smoke.static.installed import Installed

__all__ = ["StaticCheck", "StaticImage", "Verdict", "is_vendor"]

_VENDOR = (
    "libcublas", "libcublasLt", "libcudart", "libcudnn", "libcufft", "libcufile", "libcupti", "libcurand", "libcusolver",
    "libcusparse", "libcusparseLt", "libnccl", "libnppc", "libnvJitLink", "libnvblas", "libnvjpeg", "libnvrtc",
    "libnvrtc-builtins", "libnvshmem_host", "libnvvm", "libcutensor", "libcuobjclient", "libnvToolsExt",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a check found: nothing wrong, or one finding for each thing that is."""

    findings: tuple[str, ...]
    detail: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticImage:
    """An image as it lies on disk: its configuration, its files, its ELF files read."""

    config: ImageConfig
    rootfs: Rootfs
    elves: Mapping[str, Elf]
    """Readable ELF files by path."""
    broken: Mapping[str, str]
    """Files that begin as ELF files and cannot be read, and why."""
    installed: Installed = field(default_factory=Installed)
    """Python packages."""
    host_words: tuple[str, ...] = ()
    """Words that name the build host: its name, its user's home, the checkout."""

    def built(self, expect: Expectations) -> Iterator[Entry]:
        """Yield the ELF files that the image is about, each content once, sorted by path.

        Those that the recipe compiled; of an image of Python packages those of the server's own package.
        """
        seen = set()
        for entry in self.rootfs:
            if entry.kind is Kind.FILE and entry.path in self.elves and self._is_built(entry.path, expect):
                assert entry.content is not None
                if entry.content not in seen:
                    yield entry
                seen.add(entry.content)

    def _is_built(self, path: str, expect: Expectations) -> bool:
        if expect.family is Family.PYTHON:
            server = self.installed.server(expect.entrypoint)
            return server is not None and self.installed.owners.get(path) == server.name
        return path.startswith(expect.app.strip("/") + "/") and not is_vendor(self.elves[path].soname or path)

    def symbols(self, path: str) -> Symbols:
        """Return the dynamic symbols of an ELF file of the image. Raises BrokenElfError."""
        entry = self.rootfs.get(path)
        assert entry is not None
        assert entry.content is not None
        return read_symbols(entry.content)

    def below(self, folder: str) -> Iterator[Entry]:
        """Yield the files below a folder, sorted by path."""
        root = folder.strip("/") + "/"
        return (entry for entry in self.rootfs if entry.kind is Kind.FILE and entry.path.startswith(root))


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticCheck:
    """A proof that needs the layout alone."""

    name: str
    protects: str
    """What would have gone wrong for the user, in one sentence."""
    run: Callable[[StaticImage, Expectations], Verdict]


def is_vendor(path: str) -> bool:
    """Say whether a library is NVIDIA's own, by its name."""
    return path.rpartition("/")[2].partition(".so")[0] in _VENDOR
