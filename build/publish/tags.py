"""Points tags of a registry at manifests, and reads back that they do. Decides neither which nor where."""

from build.errors import WorkFailed
from build.publish.model import Manifest, Registry
from build.recipe.refs import ImageRef

__all__ = ["move", "put"]


def put(registry: Registry, ref: ImageRef, manifest: Manifest) -> None:
    """Store the manifest under a tag, read it back and compare."""
    registry.put_manifest(ref, manifest.data, manifest.media_type)
    there = registry.manifest(ref)
    if there is None or there.digest != manifest.digest:
        found = there.digest if there else "nothing"
        message = f"{ref} was pushed as {manifest.digest} and reads back as {found}"
        raise WorkFailed(
            message, hint="somebody else pushes this tag, or the registry changes what it stores"
        )


def move(registry: Registry, ref: ImageRef, manifest: Manifest) -> bool:
    """Point a moving tag to the image; say whether it had to move."""
    there = registry.manifest(ref)
    if there is not None and there.digest == manifest.digest:
        return False
    put(registry, ref, manifest)
    return True
