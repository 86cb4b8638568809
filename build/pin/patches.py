"""Patches against the pinned source: exact context, fuzz 0, in order, each with a verdict. Judges; writes only the index."""

import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from build.doors import store
from build.doors.git import TreeIndex, git_output
from build.errors import WorkFailed
from build.pin.model import PatchedFile, PatchProof, PinnedSource

__all__ = ["PatchRefused", "apply_patch", "compiled", "prove_patches", "touched"]

_COMPILED_SUFFIXES = frozenset(
    [
        ".c",
        ".cc",
        ".cpp",
        ".cxx",
        ".cu",
        ".cuh",
        ".h",
        ".hh",
        ".hpp",
        ".hxx",
        ".inc",
        ".inl",
        ".in",
        ".cmake",
        ".s",
        ".S",
        ".comp",
        ".metal",
        ".proto",
        ".py",
        ".def",
        ".map",
        ".ld",
        ".html",
        ".js",
        ".css",
    ]
)
_COMPILED_NAMES = frozenset({"CMakeLists.txt", "Makefile", "VERSION"})
_BROKEN = re.compile(
    r"corrupt patch at line \d+|patch fragment without header at line \d+.*|patch with only garbage.*"
)
_OFFSET = re.compile(r"succeeded at \d+ \(offset (-?\d+) lines?\)")


class PatchRefused(WorkFailed):
    """A patch does not apply exactly, or would change nothing that is built."""


def touched(patch: str) -> tuple[str, ...]:
    """List the files that a unified diff changes, without git's a/ and b/. Pure."""
    names: dict[str, None] = {}
    for old, new in re.findall(r"^--- (\S+).*\n\+\+\+ (\S+)", patch, re.MULTILINE):
        name = old if new == "/dev/null" else new
        names[re.sub(r"^[ab]/", "", name)] = None
    return tuple(names)


def compiled(path: str) -> bool:
    """Say whether a file of the source takes part in a build, by its name. Pure."""
    name = PurePosixPath(path)
    return name.suffix in _COMPILED_SUFFIXES or name.name in _COMPILED_NAMES


def apply_patch(index: TreeIndex, patch: Path, *, file: str) -> PatchProof:
    """Apply one patch to the index and say how it went. `file` is the patch as the recipe names it, for messages.

    Raises:
        PatchRefused: it needs fuzz, conflicts, is in the source already, its target is gone, or nothing it touches is
            compiled.
    """
    text = patch.read_text(encoding="utf-8", errors="replace")
    files = touched(text)
    if not files:
        message = f"patches/{file} is not a unified diff: it names no file"
        raise PatchRefused(message, hint="make it with `git format-patch` or `git diff`")
    if outside := [name for name in files if name.startswith("/") or ".." in name.split("/")]:
        message = f"patches/{file} leads out of the source: {', '.join(outside)}"
        raise PatchRefused(message, hint="make it with `git format-patch` inside the source")
    if not any(compiled(name) for name in files):
        message = (
            f"patches/{file} touches no compiled file, only {', '.join(files)}: the image would be the same"
        )
        raise PatchRefused(message, hint="drop it, or name the file that was meant")
    before = index.entries()
    applied, words = index.apply(patch)
    if not applied:
        raise _refusal(index, patch, file, words)
    offsets = [int(offset) for offset in _OFFSET.findall(words)]
    verdict = f"offset {max(offsets, key=abs)}" if offsets else "clean"
    return PatchProof(
        file=file,
        sha256=store.sha256_file(patch),
        verdict=verdict,
        touches=files,
        changes=_changes(before, index.entries()),
    )


def _changes(
    before: Mapping[str, tuple[str, str]], after: Mapping[str, tuple[str, str]]
) -> tuple[PatchedFile, ...]:
    nothing = ("", "")
    return tuple(
        PatchedFile(path=path, before=before.get(path, nothing)[1], after=after.get(path, nothing)[1])
        for path in sorted({**before, **after})
        if before.get(path) != after.get(path)
    )


def _refusal(index: TreeIndex, patch: Path, file: str, words: str) -> PatchRefused:
    if broken := _BROKEN.search(words):
        return PatchRefused(
            f"patches/{file} is not a whole diff: {broken[0]}",
            hint="make it with `git format-patch` or `git diff`",
        )
    # First: a deletion that upstream made too has no target either.
    if index.apply(patch, "--check", "--reverse")[0]:
        return PatchRefused(
            f"patches/{file} is already applied: the source has this change",
            hint="upstream took it? Remove it from the recipe's patches",
        )
    gone = re.findall(r"error: (\S+): does not exist in index", words)
    if gone:
        return PatchRefused(
            f"patches/{file}: its target is gone: the source has no {', '.join(gone)}",
            hint="upstream moved or removed it: write the patch anew, or drop it",
        )
    where = ", ".join(
        f"{name}:{line}" for name, line in re.findall(r"error: patch failed: (\S+):(\d+)", words)
    )
    for context in ("-C2", "-C1"):
        if index.apply(patch, "--check", context)[0]:
            return PatchRefused(
                f"patches/{file} needs fuzz: at {where} the lines around the change differ from the source",
                hint="refresh the patch against the pinned commit; it is applied exactly or not at all",
            )
    said = where or words.strip().splitlines()[-1].removeprefix("error: ")
    message = f"patches/{file} conflicts with the source at {said}"
    if vanished := _vanished(index, patch.read_text(encoding="utf-8", errors="replace")):
        message += f": its target is gone, {', '.join(vanished)} has none of the lines that it changes"
    return PatchRefused(
        message, hint="write the patch anew against the pinned commit, or pin a commit that it fits"
    )


def _vanished(index: TreeIndex, text: str) -> tuple[str, ...]:
    """List the files that a patch changes and that have not one of the lines it takes away; empty unless all are so."""
    entries = index.entries()
    found = []
    for part in re.split(r"^(?=--- \S)", text, flags=re.MULTILINE)[1:]:
        names, removed = touched(part), re.findall(r"^-(?!--)[ \t]*(\S.*?)[ \t]*$", part, re.MULTILINE)
        if not removed or len(names) != 1 or names[0] not in entries:
            return ()
        there = git_output(index.mirror, "cat-file", "blob", entries[names[0]][1])
        if {line.strip() for line in there.splitlines()}.intersection(removed):
            return ()
        found.append(names[0])
    return tuple(found)


def prove_patches(patches: Path, pinned: PinnedSource) -> None:
    """Refuse patches that were edited after they were applied.

    Raises:
        WorkFailed: with the hash of the pin and that of the file.
    """
    for proof in pinned.patches:
        path = patches / proof.file
        found = store.sha256_file(path) if path.is_file() else "none, it is gone"
        if found != proof.sha256:
            message = f"patches/{proof.file} was changed after it was pinned: its hash is {found}, the pin says {proof.sha256}"
            raise WorkFailed(message, hint="build again: the patch is then pinned as it is now")
