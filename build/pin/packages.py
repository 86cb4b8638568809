"""Locked wheels as a source: fetched by hash, sorted into the image's layers, and proven again before each build."""

import fnmatch
import os
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from build.doors import process, store
from build.doors.effects import Reporter
from build.errors import WorkFailed
from build.pin.custody import Custody, obtained, packages_name
from build.pin.locks import WheelLock, read_package_lock
from build.pin.model import PinnedSource, PinnedWheel
from build.pin.samplewheel import ensure_sample_wheel
from build.pin.wheels import Pip, download, package_name, proven
from build.recipe.model import PackagesSource, Recipe

__all__ = ["INSTALLER", "LAYERS", "Packages", "layer_of"]

LAYERS = ("cuda", "dependencies", "application")
"""The image's layers of packages, from what changes most rarely to what changes most often."""

INSTALLER = "installer"
"""The folder of pip's own wheel, which installs the others and is not installed."""

_INSTALLER_LOCK = "packages/pip.txt"

_CUDA = ("cuda-", "nvidia-", "torch", "triton", "flashinfer-cubin")
"""How the names of packages begin that bring CUDA's libraries and kernels: four fifths of the bytes, moved by torch alone."""

_GLIBC_MINOR = 36
"""Of Debian 12."""


def layer_of(package: str, application: str) -> str:
    """Say which layer a package goes into. Pure."""
    if package == application:
        return "application"
    return "cuda" if package.startswith(_CUDA) else "dependencies"


def _target() -> tuple[str, ...]:
    """Say for what wheels are chosen: CPython 3.11 of Debian 12 on x86_64, whatever machine this is. Pure."""
    minors = range(_GLIBC_MINOR, 4, -1)
    names = (*(f"_2_{minor}" for minor in minors), "2014", "2010", "1")
    return (
        *("--implementation=cp", "--python-version=3.11", "--abi=cp311", "--abi=abi3", "--abi=none"),
        *(f"--platform=manylinux{name}_x86_64" for name in names),
        *("--platform=linux_x86_64", "--platform=any"),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Packages:
    """Fetches and proves the wheels of locks below the cache."""

    recipes: Path
    samples: Path
    cache: Path
    reporter: Reporter
    pip: Pip = process.run
    custody: Custody | None = None

    def pin(self, recipe: Recipe, source: PackagesSource) -> PinnedSource:
        """Fetch a recipe's wheels and say what they are.

        Raises:
            Unreachable: the package index did not answer.
            WorkFailed: a wheel's bytes are not those of the lock.
        """
        lock, installer = self.locks(source)
        pinned = PinnedSource(
            url="",
            commit="",
            committed_at="",
            tree="",
            patched_tree="",
            links=(),
            archive_sha256=_both(lock, installer),
        )
        folder = self._folder(pinned)
        with store.locked(folder.with_name(f"{folder.name}.lock")):
            if not folder.is_dir():
                self._fetch(source, lock, installer, folder)
        self._prove(source, lock, installer, folder)
        return self._described(recipe, source, lock, folder, pinned)

    def folders(self, pinned: PinnedSource) -> tuple[tuple[str, Path], ...]:
        """Return the build contexts of pinned wheels: name and folder."""
        folder = self._folder(pinned)
        return tuple((f"wheels-{name}", folder / name) for name in (INSTALLER, *LAYERS))

    def wheels(self, pinned: PinnedSource) -> tuple[Path, ...]:
        """Return the files of pinned wheels, those of the image alone."""
        folder = self._folder(pinned)
        return tuple(folder / wheel.layer / wheel.file for wheel in pinned.wheels)

    def locked(
        self, source: PackagesSource, pinned: PinnedSource
    ) -> tuple[tuple[WheelLock, tuple[Path, ...]], ...]:
        """Return the locks of pinned wheels, each with the files that were taken by it."""
        lock, installer = self.locks(source)
        return (lock, self.wheels(pinned)), (
            installer,
            tuple(sorted((self._folder(pinned) / INSTALLER).iterdir())),
        )

    def there(self, pinned: PinnedSource) -> bool:
        """Say whether pinned wheels lie below the cache."""
        return self._folder(pinned).is_dir()

    def inputs(self, source: PackagesSource) -> str:
        """Hash what the locks ask for."""
        return _both(*self.locks(source))

    def prove(self, source: PackagesSource, pinned: PinnedSource) -> None:
        """Refuse wheels that are not those of the lock. Raises WorkFailed, with both hashes."""
        self._prove(source, *self.locks(source), self._folder(pinned))

    def locks(self, source: PackagesSource) -> tuple[WheelLock, WheelLock]:
        """Return what a source's wheels are taken by: its own lock, and the installer's."""
        return read_package_lock(self.recipes, source.packages), read_package_lock(
            self.recipes, _INSTALLER_LOCK
        )

    def _folder(self, pinned: PinnedSource) -> Path:
        return self.cache / "wheels" / f"packages-{pinned.archive_sha256[:12]}"

    def _fetch(self, source: PackagesSource, lock: WheelLock, installer: WheelLock, folder: Path) -> None:
        part = folder.with_name(f".{folder.name}.part")
        flat = part / "download"
        for name in (INSTALLER, *LAYERS):
            store.discard(part / name)
            (part / name).mkdir(parents=True)
        flat.mkdir(exist_ok=True)
        made = ensure_sample_wheel(source.application, self.samples, self.cache)
        # What earlier locks share with this one is copied, not fetched: torch and CUDA's libraries, mostly.
        near = sorted(folder.parent.glob("packages-*/*/"))
        links = [f"--find-links={place}" for place in (*([made.parent] if made else []), *near)]
        with self.reporter.step(f"wheels of {lock.title}"):
            self._obtain(lock, flat, links)
            self._obtain(installer, part / INSTALLER, links)
        twins = {(path.name, path.stat().st_size): path for place in near for path in place.glob("*.whl")}
        for wheel in sorted(flat.iterdir()):
            place = part / layer_of(package_name(wheel), source.application) / wheel.name
            twin = twins.get((wheel.name, wheel.stat().st_size))
            same = twin is not None and store.sha256_file(twin) == store.sha256_file(wheel)
            os.link(twin if twin and same else wheel, place)
        store.discard(flat)
        store.replace_dir(part, folder)

    def _obtain(self, lock: WheelLock, folder: Path, links: list[str]) -> None:
        def copied(custody: Custody) -> bool | None:
            store.discard(folder)
            if not custody.files(packages_name(lock), folder):
                folder.mkdir()
                return None
            proven(lock, folder, sorted(folder.iterdir()))
            return True

        def downloaded() -> bool:
            download(lock, folder, (*_target(), *links), pip=self.pip)
            return True

        obtained(self.custody, f"wheels of {lock.title}", downloaded, copied)

    @staticmethod
    def _prove(source: PackagesSource, lock: WheelLock, installer: WheelLock, folder: Path) -> None:
        files = [path for name in LAYERS for path in sorted((folder / name).iterdir())]
        proven(lock, folder, files)
        proven(installer, folder, sorted((folder / INSTALLER).iterdir()))
        for path in files:
            if path.parent.name != (right := layer_of(package_name(path), source.application)):
                message = f"{path} belongs into {right}"
                raise WorkFailed(message, hint=f"delete {folder}; it is then sorted anew")

    def _described(
        self, recipe: Recipe, source: PackagesSource, lock: WheelLock, folder: Path, pinned: PinnedSource
    ) -> PinnedSource:
        versions = dict(lock.wheels)
        wheels = tuple(_wheels(folder, versions))
        application = [wheel for wheel in wheels if wheel.name == source.application]
        if [wheel.version for wheel in application] != [source.version]:
            found = ", ".join(wheel.version for wheel in application) or "none"
            message = f"{recipe.name}: {lock.path.name} locks {source.application} {found}, the recipe says {source.version}"
            raise WorkFailed(message, hint=f"nox -s pins -- {lock.path.stem}")
        _has_what_is_left_out(source, folder)
        released = _newest(folder / "application" / application[0].file)
        return PinnedSource(
            url="",
            commit="",
            committed_at=released,
            tree="",
            patched_tree="",
            links=(),
            archive_sha256=pinned.archive_sha256,
            wheels=wheels,
        )


def _has_what_is_left_out(source: PackagesSource, folder: Path) -> None:
    """Refuse a pattern that no file of the wheels fits: upstream moved what it was about."""
    patterns = [one.files for one in source.leave_out]
    for wheel in sorted(folder.glob("*/*.whl")) if patterns else ():
        with zipfile.ZipFile(wheel) as archive:
            found = archive.namelist()
        patterns = [pattern for pattern in patterns if not fnmatch.filter(found, pattern)]
    if patterns:
        message = f"no wheel has a file {' or '.join(patterns)} that could be left out"
        raise WorkFailed(message, hint="correct source.leave_out")


def _both(lock: WheelLock, installer: WheelLock) -> str:
    return store.sha256_text(store.canonical_json([lock.sha256, installer.sha256]))


def _wheels(folder: Path, versions: dict[str, str]) -> Iterator[PinnedWheel]:
    for layer in LAYERS:
        for path in sorted((folder / layer).iterdir()):
            name = package_name(path)
            yield PinnedWheel(
                name=name,
                version=versions[name],
                file=path.name,
                sha256=store.sha256_file(path),
                layer=layer,
            )


def _newest(wheel: Path) -> str:
    """Return the newest file time inside a wheel, RFC 3339: an index's upload time is not part of what is locked."""
    with zipfile.ZipFile(wheel) as archive:
        newest = max(entry.date_time for entry in archive.infolist())
    return "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z".format(*newest)
