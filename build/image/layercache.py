"""The layer cache in a registry: what a build asks of BuildKit to read and write it, and what became of that.

Another machine's layers are taken on its word, as those of a builder are: nothing that proves an image may read this.
https://docs.docker.com/build/cache/backends/registry/
"""

import re
from dataclasses import dataclass

from build.doors.buildx import CACHE_EXPORT, CACHE_IMPORT
from build.doors.effects import Reporter
from build.doors.progress import BuildEvent
from build.namespaces import Namespace
from build.plan.model import ImagePlan
from build.recipe.naming import LAYER_CACHE_REPOSITORY

__all__ = ["LayerCache"]

_LOST = re.compile(r"\b(?:httpReadSeeker|content descriptor|failed to copy)\b")
"""Layers are fetched when they are needed, long after their list was: by then the registry may be gone, or have dropped one."""


@dataclass(kw_only=True)
class LayerCache:
    """The cache of one image, for one build."""

    place: Namespace
    write: bool
    reporter: Reporter
    read: bool = False
    """BuildKit has found the cache and read what it holds."""
    lost: str = ""
    """What BuildKit said when a layer that the cache promises could not be had; the cache is not read again then."""

    def reference(self, plan: ImagePlan) -> str:
        """Name the cache; each image has a tag in one repository: what they share, the toolchain first, is stored once."""
        return f"{self.place}/{LAYER_CACHE_REPOSITORY}:{plan.target}"

    def options(self, plan: ImagePlan) -> tuple[str, ...]:
        """Return bake's options.

        Every stage is written (`mode=max`): a new commit finds the probe, a new flag the sources. The compression is the
        image's, else layers of the cache would be packed otherwise in the image too. Writing may fail without failing the build,
        which may have taken an hour.
        """
        reference = self.reference(plan)
        words = () if self.lost else ("--set", f"{plan.target}.cache-from=type=registry,ref={reference}")
        if not self.write:
            return words
        how = f"mode=max,image-manifest=true,oci-mediatypes=true,ignore-error=true,compression={plan.compression}"
        return (*words, "--set", f"{plan.target}.cache-to=type=registry,ref={reference},{how}")

    def see(self, event: BuildEvent) -> None:
        """Take one event of the build; say what a person should know of it."""
        if event.name.startswith(CACHE_IMPORT):
            self.read = self.read or event.kind == "done"
            if event.kind == "error" and event.text.endswith(": not found"):
                self.reporter.note(f"nothing in the layer cache yet: {_reference(event)}")
            elif event.kind == "error":
                self.reporter.warning(f"the layer cache cannot be read, so all is built here: {event.text}")
        elif event.name.startswith(CACHE_EXPORT) and event.kind == "error":
            self.reporter.warning(
                f"the layer cache was not written, other machines find nothing new: {event.text}"
            )
        elif event.kind == "error" and self.read and _LOST.search(event.text):
            self.lost, self.read = event.text, False


def _reference(event: BuildEvent) -> str:
    return event.name.removeprefix(CACHE_IMPORT).removeprefix(" from ")
