"""What a build's patch stage is told to do: orders.json, from recipe and pin. Pure."""

import json

from build.pin.model import PatchProof, Pin, PinnedSet
from build.recipe.model import Patch, Recipe
from build.recipe.patchsets import PatchSet

__all__ = ["orders", "patched"]


def patched(recipe: Recipe) -> bool:
    """Say whether anything of what is installed is changed."""
    return bool(recipe.patches or recipe.patch_sets)


def orders(recipe: Recipe, pin: Pin, site: str) -> str:
    """Write the orders of dockerfiles/scripts/patching, whose orders.py says what they mean."""
    patches = {patch.file: patch for patch in recipe.patches}
    pinned = {one.name: one for one in pin.sets}
    document = {
        "site": site,
        "diffs": [_diff(patches[proof.file], proof) for proof in pin.source.patches],
        "sets": [_set(one, pinned[one.name]) for one in recipe.patch_sets if one.name in pinned],
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _diff(patch: Patch, proof: PatchProof) -> dict[str, object]:
    return {
        "id": proof.file,
        "sha256": proof.sha256,
        "verdict": proof.verdict,
        "why": patch.why,
        "foundational": patch.foundational,
        "changes": [{"path": one.path, "before": one.before, "after": one.after} for one in proof.changes],
    }


def _set(one: PatchSet, pinned: PinnedSet) -> dict[str, object]:
    return {
        "name": one.name,
        "repo": one.repo,
        "commit": pinned.source.commit,
        "version": one.version,
        "place": [list(pair) for pair in one.place],
        "run": list(one.run),
        "registry": one.registry,
        "patcher": one.patcher,
        "plugin": one.plugin,
        "helper": one.helper,
        "env": [list(pair) for pair in one.env],
        "requires": list(one.requires),
        "patches": [
            {
                "id": patch.id,
                "why": patch.why,
                "files": list(patch.files),
                "markers": list(patch.markers),
                "optional": list(patch.optional),
                "build": patch.build.value,
                "start": patch.start.value,
                "foundational": patch.foundational,
            }
            for patch in one.patches
        ],
        "exclude": [
            {"id": each.id, "why": each.why, "file": each.file, "by": each.by} for each in one.exclude
        ],
    }
