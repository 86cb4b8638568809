"""Toolchain and base: images of their own, made once per lock, kept as OCI layouts and found again by their digest."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from build.doors import store
from build.doors.bakefile import BakeTarget, bake_json, layout_digest
from build.doors.effects import Builder, Reporter
from build.doors.templates import render
from build.errors import Unreachable, WorkFailed
from build.host.debian import Archive, ensure_installed, read_archive
from build.pin import debian
from build.pin.locks import CudaLock, DebianLock
from build.pin.model import PinnedImage
from build.pin.sealed import prove_layout
from build.pin.stub import stub_source
from build.pin.wheels import cuda_header, fetch_wheels

__all__ = ["DRIVER_STUB", "ImageStore"]

DRIVER_STUB = "driver-stub/libcuda.so.1"
"""The stub beside a toolchain's layout."""

_RECORD = "pinned.json"

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

    def base(self, lock: DebianLock, packages: tuple[str, ...], *, mode: str) -> PinnedImage:
        """Return the base with these Debian packages, by `registry`, `bootstrap` or `auto`: the registry where it answers."""
        return self._debian("base", lock, packages, mode=mode, compression="gzip")

    def toolchain(self, cuda: CudaLock, lock: DebianLock, *, mode: str) -> PinnedImage:
        """Return the compiler image of one CUDA version."""
        if found := self.found_toolchain(cuda, lock, mode=mode):
            return found
        dockerfile, unpack = self._toolchain_files(cuda)
        key = self.toolchain_lock(cuda, lock)
        root = self._debian("compilers", lock, lock.toolchain_packages, mode=mode, compression="zstd")

        def make(work: Path) -> PinnedImage:
            wheels = fetch_wheels(cuda, "x86_64", self.cache, self.reporter)
            store.write_text(work / "Dockerfile", dockerfile)
            store.write_text(work / "context" / "unpack-cuda.sh", unpack)
            store.write_text(work / "context" / "driver-stub.c", stub_source(cuda_header(wheels)))
            contexts = (
                ("debian", f"oci-layout://{self.layout('compilers', root)}@{root.digest}"),
                ("wheels", str(wheels)),
            )
            context = str(work / "context")
            layout = BakeTarget(
                name="toolchain",
                context=context,
                dockerfile="../Dockerfile",
                stage="toolchain",
                contexts=contexts,
                output=str(work / "layout"),
                compression="zstd",
            )
            stub = BakeTarget(
                name="driver-stub",
                context=context,
                dockerfile="../Dockerfile",
                stage="driver-stub",
                contexts=contexts,
                output=str((work / DRIVER_STUB).parent),
                kind="local",
            )
            self._bake(work, layout, stub)
            return PinnedImage(
                lock=key, digest=layout_digest(work / "layout"), origin=root.origin, packages=root.packages
            )

        return self._ensure(
            self.toolchain_name(cuda.version, root), key, f"toolchain for CUDA {cuda.version}", make
        )

    def found_toolchain(self, cuda: CudaLock, lock: DebianLock, *, mode: str) -> PinnedImage | None:
        """Return the compiler image of one CUDA version if it is there; makes none."""
        key = self.toolchain_lock(cuda, lock)
        for origin in _ORIGINS:
            if mode in {"auto", origin} and (found := self._found(f"toolchain-{cuda.version}-{origin}", key)):
                return found
        return None

    @staticmethod
    def toolchain_name(cuda: str, image: PinnedImage) -> str:
        """Name a CUDA version's toolchain below the cache; what Debian came from is part of it."""
        return f"toolchain-{cuda}-{'registry' if image.origin.startswith('registry') else 'bootstrap'}"

    def toolchain_lock(self, cuda: CudaLock, lock: DebianLock) -> str:
        """Hash what a toolchain is made from, for every host architecture; needs nothing but the tree."""
        inputs = [
            *self._toolchain_files(cuda),
            # What the generator makes of one function stands for the generator.
            stub_source("CUresult CUDAAPI cuInit(unsigned int Flags);"),
            cuda.sha256,
            lock.suite,
            lock.digest,
            list(lock.toolchain_packages),
        ]
        return store.sha256_text(store.canonical_json(inputs))

    def debian_locks(self, lock: DebianLock, packages: tuple[str, ...]) -> dict[str, str]:
        """Hash what a Debian image is made from, for each origin; needs nothing but the tree."""
        wanted = tuple(sorted(packages))
        # The archive's address is the host's own and no input; everything else of the call is.
        nowhere = Archive(uri="", codename=lock.suite)
        made_by = {
            "registry": [lock.digest],
            "bootstrap": list(debian.bootstrap_command(nowhere, lock.suite, wanted, Path("rootfs.tar"))),
        }
        return {
            origin: store.sha256_text(
                store.canonical_json([origin, list(wanted), how, self._debian_file(origin, wanted)])
            )
            for origin, how in made_by.items()
        }

    def _debian_file(self, origin: str, packages: tuple[str, ...]) -> str:
        return render(self.templates, "debian.Dockerfile.j2", origin=origin, packages=packages)

    def _toolchain_files(self, cuda: CudaLock) -> tuple[str, str]:
        dockerfile = render(self.templates, "toolchain.Dockerfile.j2", cuda=cuda.version)
        return dockerfile, (self.templates / "scripts" / "unpack-cuda.sh").read_text(encoding="utf-8")

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
        self, name: str, lock: DebianLock, packages: tuple[str, ...], *, mode: str, compression: str
    ) -> PinnedImage:
        wanted = tuple(sorted(packages))
        keys = self.debian_locks(lock, packages)
        for origin, key in keys.items():
            if mode in {"auto", origin} and (found := self._found(name, key)):
                return found
        origin = self._origin(lock, mode)
        title = f"{name} image, Debian {lock.suite}, " + (
            "from the registry" if origin == "registry" else "bootstrapped"
        )

        def make(work: Path) -> PinnedImage:
            return self._make_debian(
                work, lock, wanted, origin=origin, key=keys[origin], compression=compression
            )

        return self._ensure(name, keys[origin], title, make)

    def _make_debian(
        self,
        work: Path,
        lock: DebianLock,
        packages: tuple[str, ...],
        *,
        origin: str,
        key: str,
        compression: str,
    ) -> PinnedImage:
        reference = f"{lock.image}@{lock.digest}"
        contexts: tuple[tuple[str, str], ...] = ()
        if origin == "registry":
            contexts = (("debian-registry", f"docker-image://{reference}"),)
        else:
            ensure_installed((("mmdebstrap", "mmdebstrap"),), self.reporter)
            debian.bootstrap(read_archive(), lock.suite, packages, work / "context" / "rootfs.tar")
        (work / "context").mkdir(exist_ok=True)
        store.write_text(work / "Dockerfile", self._debian_file(origin, packages))
        context = str(work / "context")
        layout = BakeTarget(
            name="debian",
            context=context,
            dockerfile="../Dockerfile",
            stage="debian",
            contexts=contexts,
            output=str(work / "layout"),
            compression=compression,
        )
        status = BakeTarget(
            name="dpkg-status",
            context=context,
            dockerfile="../Dockerfile",
            stage="dpkg-status",
            contexts=contexts,
            output=str(work / "dpkg"),
            kind="local",
        )
        self._bake(work, layout, status)
        store.discard(work / "context")
        return PinnedImage(
            lock=key,
            digest=layout_digest(work / "layout"),
            origin=f"registry: {reference}" if origin == "registry" else f"bootstrapped: debian/{lock.suite}",
            packages=debian.installed((work / "dpkg" / "status").read_text(encoding="utf-8")),
        )

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
        if not (place / _RECORD).exists():
            return None
        image = store.read_artifact(place / _RECORD, PinnedImage, made_by="nox -s build")
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
                store.write_artifact(work / _RECORD, image)
                store.replace_dir(work, place)
        return image

    def _bake(self, work: Path, *targets: BakeTarget) -> None:
        store.write_text(work / "docker-bake.json", bake_json(*targets))
        self.builder().bake(
            work / "docker-bake.json",
            tuple(target.name for target in targets),
            cwd=work,
            log=work / "build.log",
            on_event=lambda _event: None,
        )
