"""Toolchain and base: images of their own, made once per lock, kept as OCI layouts and found again by their digest."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from build.doors import store
from build.doors.bakefile import layout_digest
from build.doors.effects import Builder, Reporter
from build.doors.platforms import TARGET, Platform, architecture
from build.errors import Unreachable, WorkFailed
from build.host.debian import Archive
from build.pin import debian
from build.pin.custody import Custody, made_name, obtained
from build.pin.locks import CudaLock, DebianLock
from build.pin.making import DRIVER_STUB, Maker
from build.pin.model import PinnedImage
from build.pin.sealed import prove_layout
from build.pin.stub import stub_source

__all__ = ["DRIVER_STUB", "RECORD", "ImageStore"]

RECORD = "pinned.json"
"""What an image is, beside its layout."""

_ORIGINS = ("registry", "bootstrap")

_Registry = Callable[[str], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageStore:
    """Makes and finds the images that builds start from."""

    cache: Path
    templates: Path
    builder: Callable[[], Builder]
    """Gives BuildKit when it is really needed: an image that is there asks no engine."""
    reporter: Reporter
    registry_has: _Registry
    """Asks the registry for `image@digest`: True or False, or raises Unreachable."""
    custody: Custody | None = None
    snapshot: str = ""
    """Address of a Debian snapshot; it decides packages, so it is part of every lock here."""
    platform: Platform = TARGET
    """What toolchains run on."""
    before_compilers: Callable[[], object] = lambda: None
    """Raises where a toolchain should be neither made nor used: its programs would be emulated."""

    def base(self, lock: DebianLock, packages: tuple[str, ...], *, mode: str) -> PinnedImage:
        """Return the base with these Debian packages, by `registry`, `bootstrap` or `auto`: the registry where it answers."""
        return self._debian("base", lock, packages, mode=mode, compression="gzip")

    def toolchain(self, cuda: CudaLock, lock: DebianLock, *, mode: str) -> PinnedImage:
        """Return the compiler image of one CUDA version."""
        if found := self.found_toolchain(cuda, lock, mode=mode):
            return found
        key = self.toolchain_lock(cuda, lock)
        title = f"toolchain for CUDA {cuda.version}"

        def made() -> PinnedImage:
            self.before_compilers()
            packages = lock.toolchain_packages if self.platform == TARGET else lock.cross_packages
            root = self._debian(
                "compilers", lock, packages, mode=mode, compression="zstd", platform=self.platform
            )
            layout = self.layout("compilers", root)

            cross = self._cross(cuda, lock)

            def make(work: Path) -> PinnedImage:
                made = self._maker.toolchain(work, cuda, key=key, root=root, layout=layout)
                return replace(made, cross=cross)

            name = self.toolchain_name(cuda.version, replace(root, cross=cross))
            return self._ensure(name, key, title, make)

        keys = dict.fromkeys(self.toolchain_names(cuda, lock, mode=mode), key)
        return obtained(self._copies, title, made, lambda custody: self._copied(custody, keys))

    def found_toolchain(self, cuda: CudaLock, lock: DebianLock, *, mode: str) -> PinnedImage | None:
        """Return the compiler image of one CUDA version if it is there; makes none."""
        key = self.toolchain_lock(cuda, lock)
        names = self.toolchain_names(cuda, lock, mode=mode)
        return next((found for name in names if (found := self._found(name, key))), None)

    @staticmethod
    def toolchain_name(cuda: str, image: PinnedImage) -> str:
        """Name a CUDA version's toolchain below the cache; what Debian came from is part of it."""
        return _toolchain_name(
            cuda, "registry" if image.origin.startswith("registry") else "bootstrap", image.cross
        )

    def toolchain_names(self, cuda: CudaLock, lock: DebianLock, *, mode: str) -> tuple[str, ...]:
        """List the names that a CUDA version's toolchain may have below the cache."""
        cross = self._cross(cuda, lock)
        return tuple(
            _toolchain_name(cuda.version, origin, cross) for origin in _ORIGINS if mode in {"auto", origin}
        )

    def _cross(self, cuda: CudaLock, lock: DebianLock) -> str:
        """Hash what a toolchain is made from beside its lock where it runs on another architecture than it compiles for.

        It is no part of the lock: it is not to decide what is compiled, and `lock` is in every fingerprint.
        """
        if self.platform == TARGET:
            return ""
        dockerfile, _ = self._maker.toolchain_files(cuda, cross=True)
        inputs = [self.platform, dockerfile, self._maker.cross_files(), list(lock.cross_packages)]
        return store.sha256_text(store.canonical_json(inputs))

    def toolchain_lock(self, cuda: CudaLock, lock: DebianLock) -> str:
        """Hash what a toolchain is made from, for every host architecture; needs nothing but the tree."""
        inputs = [
            *self._maker.toolchain_files(cuda),
            # What the generator makes of one function stands for the generator.
            stub_source("CUresult CUDAAPI cuInit(unsigned int Flags);"),
            cuda.sha256,
            lock.suite,
            lock.digest,
            list(lock.toolchain_packages),
            *([self.snapshot] if self.snapshot else []),
        ]
        return store.sha256_text(store.canonical_json(inputs))

    def debian_locks(
        self, lock: DebianLock, packages: tuple[str, ...], platform: Platform = TARGET
    ) -> dict[str, str]:
        """Hash what a Debian image is made from, for each origin; needs nothing but the tree."""
        wanted = tuple(sorted(packages))
        # The archive's address is the host's own and no input; everything else of the call is.
        nowhere = Archive(uri=self.snapshot, codename=lock.suite)
        command = debian.bootstrap_command(
            nowhere,
            lock.suite,
            wanted,
            Path("rootfs.tar"),
            snapshot=bool(self.snapshot),
            architecture=architecture(platform),
        )
        pulled = [lock.digest] if platform == TARGET else [lock.digest, platform]
        made_by = {"registry": pulled, "bootstrap": list(command)}
        return {
            origin: store.sha256_text(
                store.canonical_json(
                    [origin, list(wanted), how, self._maker.debian_file(origin, lock, wanted)]
                )
            )
            for origin, how in made_by.items()
        }

    def layout(self, name: str, image: PinnedImage) -> Path:
        """Return the OCI layout of an image that `base` or `toolchain` returned."""
        return self._place(name, image.lock) / "layout"

    def holds(self, name: str, image: PinnedImage) -> bool:
        """Say whether exactly this image is there."""
        return self._found(name, image.lock) == image

    def prove(self, name: str, image: PinnedImage) -> None:
        """Refuse an image whose layout is not the pinned one, to the last byte of its layers. Raises WorkFailed."""
        prove_layout(self._place(name, image.lock), image.digest)

    def driver_stub(self, cuda: str, image: PinnedImage) -> Path:
        """Return the stub libcuda.so.1 that was generated with a toolchain."""
        return self._place(self.toolchain_name(cuda, image), image.lock) / DRIVER_STUB

    def _place(self, name: str, key: str) -> Path:
        return self.cache / "images" / f"{name}-{key[:12]}"

    def _debian(
        self,
        name: str,
        lock: DebianLock,
        packages: tuple[str, ...],
        *,
        mode: str,
        compression: str,
        platform: Platform = TARGET,
    ) -> PinnedImage:
        wanted = tuple(sorted(packages))
        allowed = {
            origin: key
            for origin, key in self.debian_locks(lock, packages, platform).items()
            if mode in {"auto", origin}
        }
        for key in allowed.values():
            if found := self._found(name, key):
                return found

        def made() -> PinnedImage:
            origin = self._origin(lock, mode)
            key = allowed[origin]

            def make(work: Path) -> PinnedImage:
                return self._maker.debian(
                    work, lock, wanted, origin=origin, key=key, compression=compression, platform=platform
                )

            how = "from the registry" if origin == "registry" else "bootstrapped"
            return self._ensure(name, key, f"{name} image, Debian {lock.suite}, {how}", make)

        return obtained(
            self._copies,
            f"{name} image, Debian {lock.suite}",
            made,
            lambda custody: next(
                (image for key in allowed.values() if (image := self._copied(custody, {name: key}))), None
            ),
        )

    @property
    def _copies(self) -> Custody | None:
        """Where copies of images are asked for before one is made: making it anew would take other Debian packages."""
        return replace(self.custody, first=True) if self.custody else None

    @property
    def _maker(self) -> Maker:
        return Maker(
            cache=self.cache,
            templates=self.templates,
            builder=self.builder,
            reporter=self.reporter,
            custody=self.custody,
            snapshot=self.snapshot,
        )

    def _copied(self, custody: Custody, keys: dict[str, str]) -> PinnedImage | None:
        """Take the first of these images, by name and key, that there is a copy of; put it where it would have been made."""
        for name, key in keys.items():
            place = self._place(name, key)
            with store.locked(place.with_name(f"{place.name}.lock")):
                work = place.with_name(f".{place.name}.part")
                store.discard(work)
                if not custody.files(made_name(name, key), work):
                    continue
                image = store.read_artifact(work / RECORD, PinnedImage, made_by="nox -s custody")
                if image.lock != key or not custody.image(image.digest, work / "layout"):
                    message = f"the copy {made_name(name, key)} in {custody.shelf} has no image of that lock"
                    raise WorkFailed(message, hint="copy it again: nox -s custody")
                stub = work / Path(DRIVER_STUB).name
                if stub.exists():
                    (work / DRIVER_STUB).parent.mkdir()
                    stub.rename(work / DRIVER_STUB)
                prove_layout(work, image.digest)
                store.replace_dir(work, place)
                return image
        return None

    def _origin(self, lock: DebianLock, mode: str) -> str:
        if mode == "bootstrap":
            return mode
        reference = f"{lock.image}@{lock.digest}"
        try:
            if self.registry_has(reference):
                return "registry"
        except Unreachable as error:
            if mode == "registry":
                raise
            self.reporter.warning(
                f"no registry can be reached for {reference}, so Debian {lock.suite} is bootstrapped "
                f"from this host's package archive ({error.message})"
            )
            return "bootstrap"
        message = f"the registry answers and has no {reference}"
        raise WorkFailed(
            message, hint="`nox -s pins -- debian` takes the current one; INGOT_BASE=bootstrap does without"
        )

    def _found(self, name: str, key: str) -> PinnedImage | None:
        place = self._place(name, key)
        if not (place / RECORD).exists():
            return None
        image = store.read_artifact(place / RECORD, PinnedImage, made_by="nox -s build")
        found = layout_digest(place / "layout")
        if found != image.digest:
            message = f"{place} was changed after it was made: its record says {image.digest}, its layout is {found}"
            raise WorkFailed(message, hint=f"delete {place}; it is then made again")
        return image

    def _ensure(self, name: str, key: str, title: str, make: Callable[[Path], PinnedImage]) -> PinnedImage:
        place = self._place(name, key)
        if found := self._found(name, key):
            return found
        with store.locked(place.with_name(f"{place.name}.lock")):
            if found := self._found(name, key):
                return found
            with self.reporter.step(title):
                work = place.with_name(f".{place.name}.part")
                store.discard(work)
                work.mkdir(parents=True)
                image = make(work)
                store.write_artifact(work / RECORD, image)
                store.replace_dir(work, place)
        return image


def _toolchain_name(cuda: str, origin: str, cross: str) -> str:
    return f"toolchain-{cuda}-{origin}" + (f"-cross-{cross[:12]}" if cross else "")
