"""Rules about the patches a recipe lists and the ones that lie in its folder. Pure: the files are told, not looked up."""

import re
from collections.abc import Collection, Iterator

from build.recipe.model import Recipe
from build.recipe.words import Finding, meant, path_findings, prose, quoted, url

__all__ = ["patch_findings"]

_FILE = re.compile(r"[A-Za-z0-9._-]+/[A-Za-z0-9._-]+\.patch")


def patch_findings(recipe: Recipe, on_disk: Collection[str]) -> Iterator[Finding]:
    """Find what is wrong with a recipe's patches. `on_disk` are the regular files below patches/."""
    seen: set[str] = set()
    for index, patch in enumerate(recipe.patches):
        key = f"patches.{index}"
        yield from _file(f"{key}.file", patch.file, on_disk)
        if patch.file in seen:
            yield Finding(f"{key}.file", f"{quoted(patch.file)} is listed twice", "apply it once")
        seen.add(patch.file)
        yield from prose(f"{key}.why", patch.why)
        yield from prose(f"{key}.drop_when", patch.drop_when)
        if patch.upstream:
            yield from url(f"{key}.upstream", patch.upstream, link=True)
    for file in sorted(on_disk):
        if file.startswith(f"{recipe.name}/") and file.endswith(".patch") and file not in seen:
            message = f"patches/{file} lies there and is not listed"
            yield Finding("patches", message, "list it, or delete the file")


def _file(key: str, file: str, on_disk: Collection[str]) -> Iterator[Finding]:
    faults = list(path_findings(key, file, absolute=False))
    if faults or ".." in file.split("/"):
        yield from faults
        return
    if not _FILE.fullmatch(file):
        hint = "<recipe>/NNNN-title.patch, as it lies below patches/"
        yield Finding(key, f"{quoted(file)} is not the path of a patch", hint)
    elif file not in on_disk:
        hint = meant(file, on_disk) or "put the file there; a link does not count"
        yield Finding(key, f"patches/{file} does not exist", hint)
