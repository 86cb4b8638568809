"""Recipe to pin: source, patches, toolchain and base, each asked for once and proven. Wires the others to the doors."""

from dataclasses import dataclass
from pathlib import Path

from build.doors import store
from build.pin.images import ImageStore
from build.pin.locks import read_cuda_lock, read_debian_lock
from build.pin.model import Pin
from build.pin.source import Sources
from build.recipe.model import Recipe

__all__ = ["Resolver"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolver:
    """Turns recipes into pins."""

    sources: Sources
    images: ImageStore
    toolchains: Path
    patches: Path
    base_mode: str

    def inputs(self, recipe: Recipe) -> str:
        """Hash what the recipe and the locks ask for."""
        cuda = read_cuda_lock(self.toolchains, recipe.toolchain.cuda)
        debian = read_debian_lock(self.toolchains)
        return store.sha256_text(
            store.canonical_json(
                {
                    "source": store.to_data(recipe.source),
                    "patches": [
                        [patch.file, store.sha256_file(self.patches / patch.file)] for patch in recipe.patches
                    ],
                    "toolchain": self.images.toolchain_lock(cuda, debian),
                    "base images": self.images.debian_locks(debian, recipe.runtime.packages),
                    "base": self.base_mode,
                }
            )
        )

    def resolve(self, recipe: Recipe, *, known: Pin | None) -> Pin:
        """Prove a recipe's pin.

        `known`, the pin of an earlier run, is taken as it is when nothing that it was made from has changed and what it
        names is still there.
        """
        inputs = self.inputs(recipe)
        if known and known.inputs == inputs and self._still_there(recipe, known):
            return known
        debian = read_debian_lock(self.toolchains)
        source = self.sources.pin(recipe)
        base = self.images.base(debian, recipe.runtime.packages, mode=self.base_mode)
        cuda = read_cuda_lock(self.toolchains, recipe.toolchain.cuda)
        toolchain = self.images.toolchain(cuda, debian, mode=self.base_mode)
        return Pin(recipe=recipe.name, inputs=inputs, source=source, toolchain=toolchain, base=base)

    def prove(self, recipe: Recipe, pin: Pin) -> None:
        """Hold what a build is about to read against its pin, but for the compile cache; only before real work.

        A second; layers that were not hashed yet take longer, by the gigabyte.

        Raises:
            WorkFailed: something was changed after it was pinned; with both hashes.
        """
        self.sources.prove(recipe, pin.source)
        name = self.images.toolchain_name(recipe.toolchain.cuda, pin.toolchain)
        self.images.prove(name, pin.toolchain)
        self.images.prove("base", pin.base)

    def _still_there(self, recipe: Recipe, known: Pin) -> bool:
        return (
            self.sources.folder(known.source).is_dir()
            and self.images.holds(
                self.images.toolchain_name(recipe.toolchain.cuda, known.toolchain), known.toolchain
            )
            and self.images.holds("base", known.base)
        )
