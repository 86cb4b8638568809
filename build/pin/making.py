"""How toolchain and base are made: Debian's packages, CUDA's wheels, one bake each. Where they are kept is decided elsewhere."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from build.doors import store
from build.doors.bakefile import BakeTarget, bake_json, layout_digest
from build.doors.effects import Builder, Reporter
from build.doors.platforms import TARGET, Platform, architecture, machine
from build.doors.templates import render
from build.host.debian import Archive, ensure_installed, read_archive
from build.pin import debian
from build.pin.custody import Custody
from build.pin.locks import CudaLock, DebianLock
from build.pin.model import PinnedImage
from build.pin.stub import stub_source
from build.pin.wheels import cuda_header, fetch_wheels, package_name

__all__ = ["DRIVER_STUB", "Maker"]

DRIVER_STUB = "driver-stub/libcuda.so.1"
"""The stub beside a toolchain's layout."""


_PROGRAMS = frozenset({"nvidia-cuda-nvcc", "nvidia-nvvm"})
"""Wheels whose programs run while compiling. The headers that they also have are the same for every architecture."""

_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
_NO_CA = ("Acquire::https::Verify-Peer=false", "Acquire::https::Verify-Host=false")


@dataclass(frozen=True, slots=True, kw_only=True)
class Maker:
    """Makes the images that builds start from, each in an empty folder."""

    cache: Path
    templates: Path
    builder: Callable[[], Builder]
    reporter: Reporter
    custody: Custody | None
    snapshot: str
    """Address of the Debian snapshot that packages come from; empty: the machine's own archive, or the base's."""

    def debian(  # noqa: PLR0913  (what the image is)
        self,
        work: Path,
        lock: DebianLock,
        packages: tuple[str, ...],
        *,
        origin: str,
        key: str,
        compression: str,
        platform: Platform = TARGET,
    ) -> PinnedImage:
        """Make a Debian image with these packages below `work`."""
        reference = f"{lock.image}@{lock.digest}"
        contexts: tuple[tuple[str, str], ...] = ()
        if origin == "registry":
            contexts = (("debian-registry", f"docker-image://{reference}"),)
        else:
            ensure_installed((("mmdebstrap", "mmdebstrap"),), self.reporter)
            archive = read_archive()
            if self.snapshot:
                archive = replace(archive, uri=self.snapshot)
            tar = work / "context" / "rootfs.tar"
            command = debian.bootstrap_command(
                archive,
                lock.suite,
                packages,
                tar,
                snapshot=bool(self.snapshot),
                architecture=architecture(platform),
            )
            debian.bootstrap(command, tar)
        (work / "context").mkdir(exist_ok=True)
        store.write_text(work / "Dockerfile", self.debian_file(origin, lock, packages))
        self._bake(
            work,
            contexts,
            stage="debian",
            compression=compression,
            platform=platform,
            beside=("dpkg-status", "dpkg"),
        )
        store.discard(work / "context")
        return PinnedImage(
            lock=key,
            digest=layout_digest(work / "layout"),
            origin=(
                f"registry: {reference}" if origin == "registry" else f"bootstrapped: debian/{lock.suite}"
            )
            + (f", packages of {self.snapshot}" if self.snapshot else ""),
            packages=debian.installed((work / "dpkg" / "status").read_text(encoding="utf-8")),
            platform=platform,
        )

    def toolchain(
        self, work: Path, cuda: CudaLock, *, key: str, root: PinnedImage, layout: Path
    ) -> PinnedImage:
        """Make a CUDA version's toolchain below `work`, from the Debian image in `layout`."""
        dockerfile, unpack = self.toolchain_files(cuda, cross=root.platform != TARGET)
        wheels = self._wheels(work, cuda, root.platform)
        store.write_text(work / "Dockerfile", dockerfile)
        store.write_text(work / "context" / "unpack-cuda.sh", unpack)
        store.write_text(work / "context" / "driver-stub.c", stub_source(cuda_header(wheels)))
        if root.platform != TARGET:
            for name, text in self.cross_files().items():
                store.write_text(work / "context" / name, text)
        contexts = (
            ("debian", f"oci-layout://{layout}@{root.digest}"),
            ("wheels", str(wheels)),
        )
        stub, _, _ = DRIVER_STUB.partition("/")
        self._bake(
            work,
            contexts,
            stage="toolchain",
            compression="zstd",
            platform=root.platform,
            beside=("driver-stub", stub),
        )
        if root.platform != TARGET:
            store.discard(wheels)
        return replace(root, lock=key, digest=layout_digest(work / "layout"))

    def debian_file(self, origin: str, lock: DebianLock, packages: tuple[str, ...]) -> str:
        """Render the Dockerfile of a Debian image."""
        lines: tuple[str, ...] = ()
        check = options = ""
        if self.snapshot:
            # The base's own keyring; it knows no CA yet, and a snapshot's server sends http to https. Signatures decide.
            archive = Archive(uri=self.snapshot, codename=lock.suite, signed_by=_KEYRING)
            lines = debian.sources(archive, lock.suite)
            check = debian.lists_check(archive, lock.suite, "/var/lib/apt/lists")
            options = " ".join(f"-o {one}" for one in (*debian.SNAPSHOT_OPTIONS, *_NO_CA))
        return render(
            self.templates, "debian.Dockerfile.j2", origin=origin, packages=packages, sources=lines, check=check,
            options=options, foreign=debian.foreign(packages),
        )  # fmt: skip

    def toolchain_files(self, cuda: CudaLock, *, cross: bool = False) -> tuple[str, str]:
        """Render the toolchain's Dockerfile; return it with the script that it runs.

        `cross`: for a toolchain that runs on another architecture than it compiles for.
        """
        dockerfile = render(self.templates, "toolchain.Dockerfile.j2", cuda=cuda.version, cross=cross)
        return dockerfile, (self.templates / "scripts" / "unpack-cuda.sh").read_text(encoding="utf-8")

    def cross_files(self) -> dict[str, str]:
        """Return what a toolchain that runs on another architecture is also made from."""
        files = (self.templates / "scripts" / "cross.sh", self.templates / "cross.cmake")
        return {path.name: path.read_text(encoding="utf-8") for path in files}

    def _wheels(self, work: Path, cuda: CudaLock, platform: Platform) -> Path:
        """Return a folder with the wheels of a toolchain: its programs run on `platform`, the rest is for the target."""
        wheels = fetch_wheels(cuda, machine(TARGET), self.cache, self.reporter, custody=self.custody)
        if platform == TARGET:
            return wheels
        native = fetch_wheels(cuda, machine(platform), self.cache, self.reporter, custody=self.custody)
        both = work / "wheels"
        both.mkdir()
        for folder, programs in ((wheels, False), (native, True)):
            for wheel in folder.iterdir():
                if (package_name(wheel) in _PROGRAMS) is programs:
                    (both / wheel.name).hardlink_to(wheel)
        return both

    def _bake(
        self,
        work: Path,
        contexts: tuple[tuple[str, str], ...],
        *,
        stage: str,
        compression: str,
        platform: Platform,
        beside: tuple[str, str],
    ) -> None:
        """Build a stage as a layout, and the files of another into a folder of their own: `beside` is its name and theirs."""
        files, folder = beside
        image = BakeTarget(
            name=stage,
            context=str(work / "context"),
            dockerfile="../Dockerfile",
            stage=stage,
            contexts=contexts,
            output=str(work / "layout"),
            compression=compression,
            platform=platform,
        )
        local = replace(image, name=files, stage=files, output=str(work / folder), kind="local")
        store.write_text(work / "docker-bake.json", bake_json(image, local))
        self.builder().bake(
            work / "docker-bake.json",
            (image.name, local.name),
            cwd=work,
            log=work / "build.log",
            on_event=lambda _event: None,
        )
