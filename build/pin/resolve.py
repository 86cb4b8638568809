"""Recipe to pin: source, patches, toolchain and base, each asked for once and proven. Wires the others to the doors."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from build.doors import store
from build.errors import WorkFailed
from build.pin.images import ImageStore
from build.pin.locks import read_cuda_lock, read_debian_lock
from build.pin.model import Pin, PinnedImage, PinnedSource
from build.pin.packages import Packages
from build.pin.patching import Installed, Patching
from build.pin.published import PublishedFiles
from build.pin.source import Sources
from build.pin.wheelfiles import wheel_files
from build.recipe.model import PackagesSource, Recipe, VendorSource
from build.recipe.refs import Digest

__all__ = ["Resolver"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolver:
    """Turns recipes into pins."""

    sources: Sources
    packages: Packages
    images: ImageStore
    toolchains: Path
    patches: Path
    base_mode: str

    @property
    def patching(self) -> Patching:
        """What changes installed packages."""
        return Patching(sources=self.sources)

    def inputs(self, recipe: Recipe) -> str:
        """Hash what the recipe and the locks ask for."""
        debian = read_debian_lock(self.toolchains)
        asked: dict[str, object] = {
            "source": store.to_data(recipe.source),
            "patches": [
                [patch.file, store.sha256_file(self.patches / patch.file)] for patch in recipe.patches
            ],
            "base images": self.images.debian_locks(debian, recipe.runtime.packages),
            "base": self.base_mode,
        }
        if lock := self.toolchain_lock(recipe):
            asked["toolchain"] = lock
        if isinstance(recipe.source, PackagesSource):
            asked["packages"] = self.packages.inputs(recipe.source)
        if recipe.patch_sets:
            ours = [self.patching.ours(one) for one in recipe.patch_sets]
            asked["patch sets"] = [[store.to_data(one) for one in recipe.patch_sets], ours]
        return store.sha256_text(store.canonical_json(asked))

    def toolchain_lock(self, recipe: Recipe) -> str:
        """Hash what the recipe's toolchain is made from; empty where nothing is compiled."""
        if not recipe.family.compiles:
            return ""
        cuda = read_cuda_lock(self.toolchains, recipe.toolchain.cuda)
        return self.images.toolchain_lock(cuda, read_debian_lock(self.toolchains))

    def toolchain(self, recipe: Recipe) -> PinnedImage | None:
        """Return the toolchain that compiles a recipe on this platform, made if it is not there; None where nothing is compiled."""
        if not recipe.family.compiles:
            return None
        cuda = read_cuda_lock(self.toolchains, recipe.toolchain.cuda)
        return self.images.toolchain(cuda, read_debian_lock(self.toolchains), mode=self.base_mode)

    def resolve(self, recipe: Recipe, *, known: Pin | None) -> Pin:
        """Prove a recipe's pin.

        `known`, the pin of an earlier run, is taken as it is when nothing that it was made from has changed and what it
        names is still there.
        """
        inputs = self.inputs(recipe)
        if known and known.inputs == inputs and self._still_there(recipe, known):
            return known
        source = self._source(recipe)
        return Pin(
            recipe=recipe.name,
            inputs=inputs,
            source=source,
            sets=self.patching.sets(recipe, _locked(recipe, source)),
            base=self._base(recipe),
            toolchain=self.toolchain(recipe),
        )

    def prove(self, recipe: Recipe, pin: Pin) -> None:
        """Hold what a build is about to read against its pin, but for the compile cache; only before real work.

        A second; layers that were not hashed yet take longer, by the gigabyte.

        Wheels have gigabytes and take some seconds.

        Raises:
            WorkFailed: something was changed after it was pinned; with both hashes.
        """
        match recipe.source:
            case PackagesSource() as source:
                self.packages.prove(source, pin.source)
                self.patching.prove(recipe, pin.source, pin.sets, self._wheels(pin.source))
            case VendorSource() as source:
                self.patching.prove(recipe, pin.source, pin.sets, self._published(source))
                return  # BuildKit takes the image by its digest
            case _:
                self.sources.prove(recipe, pin.source)
        if pin.toolchain:
            self.images.prove(self.images.toolchain_name(recipe.toolchain.cuda, pin.toolchain), pin.toolchain)
        self.images.prove("base", pin.base)

    def contexts(self, recipe: Recipe, pin: Pin) -> tuple[tuple[str, Path], ...]:
        """Return the folders that a build reads, by the names that the Dockerfile has for them."""
        match recipe.source:
            case PackagesSource():
                return (*self.packages.folders(pin.source), *self.patching.contexts(pin.source, pin.sets))
            case VendorSource():
                return self.patching.contexts(pin.source, pin.sets)
            case _:
                return (("source", self.sources.folder(pin.source)),)

    def layouts(self, recipe: Recipe, pin: Pin) -> tuple[tuple[str, Path, Digest], ...]:
        """Return the images that a build starts from, by the names that the Dockerfile has for them."""
        found: list[tuple[str, Path, Digest]] = []
        if pin.toolchain:
            name = self.images.toolchain_name(recipe.toolchain.cuda, pin.toolchain)
            found.append(("toolchain", self.images.layout(name, pin.toolchain), pin.toolchain.digest))
        if not isinstance(recipe.source, VendorSource):
            found.append(("base", self.images.layout("base", pin.base), pin.base.digest))
        return tuple(found)

    def _source(self, recipe: Recipe) -> PinnedSource:
        match recipe.source:
            case PackagesSource() as source:
                pinned = self.packages.pin(recipe, source)
                return self.patching.diffs(recipe, pinned, self._wheels(pinned))
            case VendorSource() as source:
                self._must_be_there(recipe.name, source)
                pinned = PinnedSource(url="", commit="", committed_at="", tree="", patched_tree="", links=())
                return self.patching.diffs(recipe, pinned, self._published(source))
            case _:
                return self.sources.pin(recipe)

    def _wheels(self, pinned: PinnedSource) -> Installed:
        read = partial(wheel_files, self.packages.wheels(pinned))
        return Installed(origin=f"wheels://{pinned.archive_sha256}", read=read)

    def _published(self, source: VendorSource) -> Installed:
        files = PublishedFiles(
            cache=self.images.cache,
            templates=self.images.templates,
            builder=self.images.builder,
            reporter=self.images.reporter,
        )
        return Installed(origin=f"image://{source.image}", read=partial(files.read, source))

    def _base(self, recipe: Recipe) -> PinnedImage:
        if isinstance(recipe.source, VendorSource):
            return PinnedImage(
                lock=store.sha256_text(recipe.source.image),
                digest=Digest(recipe.source.image.partition("@")[2]),
                origin=f"registry: {recipe.source.image}",
                packages=(),
            )
        debian = read_debian_lock(self.toolchains)
        return self.images.base(debian, recipe.runtime.packages, mode=self.base_mode)

    def _must_be_there(self, name: str, source: VendorSource) -> None:
        if not self.images.registry_has(source.image):
            message = f"{name}: the registry answers and has no {source.image}"
            raise WorkFailed(
                message, hint="its publisher deleted it; name another release, or make the recipe of wheels"
            )

    def _still_there(self, recipe: Recipe, known: Pin) -> bool:
        match recipe.source:
            case VendorSource():
                return self.patching.there(known.source, known.sets)
            case PackagesSource():
                there = self.packages.there(known.source) and self.patching.there(known.source, known.sets)
            case _:
                there = self.sources.folder(known.source).is_dir()
        if there and known.toolchain:
            name = self.images.toolchain_name(recipe.toolchain.cuda, known.toolchain)
            cuda, debian = (
                read_cuda_lock(self.toolchains, recipe.toolchain.cuda),
                read_debian_lock(self.toolchains),
            )
            # Another build machine, or what only a cross toolchain is made from, gives another name.
            wanted = self.images.toolchain_names(cuda, debian, mode="auto")
            there = name in wanted and self.images.holds(name, known.toolchain)
        return there and self.images.holds("base", known.base)


def _locked(recipe: Recipe, source: PinnedSource) -> list[str] | None:
    """Return the packages that the lock brings; None for a publisher's image, which has no lock."""
    if isinstance(recipe.source, VendorSource):
        return None
    return [wheel.name for wheel in source.wheels]
