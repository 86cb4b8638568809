"""The pinned state and a candidate beside each other: patches, files, options, arguments. Asks mirrors; writes nothing."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from build.doors.effects import Reporter
from build.doors.snapshots import Snapshot, changes_between
from build.errors import WorkFailed
from build.follow.bumped import Bump, Move
from build.follow.changes import grouped, named_arguments, option_changes
from build.follow.survey import Option, is_cmake, is_parser, survey
from build.follow.verdicts import PatchVerdict, judge
from build.pin.source import Sources
from build.recipe.model import GitSource, Recipe, SdistSource

__all__ = ["compared"]

_FILES_MAX = 600
"""CMake files that are read at most; llama.cpp has about 150."""


def compared(
    recipe: Recipe,
    after: GitSource | SdistSource,
    ref: str,
    *,
    sources: Sources,
    patches: Path,
    reporter: Reporter,
) -> Bump:
    """Say what it means to move a recipe to another state of its source."""
    before = recipe.source
    assert isinstance(before, GitSource | SdistSource)
    new = _snapshot(after, sources)
    old = _pinned(before, sources, reporter)
    found = Bump(
        recipe=recipe.name,
        file=recipe.origin.file,
        move=Move(
            url=after.repo if isinstance(after, GitSource) else after.upstream,
            ref=ref,
            old_commit=before.commit,
            new_commit=after.commit,
            old_version=before.version,
            new_version=after.version,
            archive=after.sdist if isinstance(after, SdistSource) else "",
        ),
        patches=_judged(recipe, new, sources, patches),
    )
    return _beside(recipe, found, old, new) if old else found


def _snapshot(source: GitSource | SdistSource, sources: Sources) -> Snapshot:
    mirror, tree = sources.tree(source)
    return Snapshot(mirror=mirror, tree=tree)


def _pinned(before: GitSource | SdistSource, sources: Sources, reporter: Reporter) -> Snapshot | None:
    """Return the pinned state. Asking for it gives it a ref of its own in the mirror, so that it stays."""
    try:
        return _snapshot(before, sources)
    except WorkFailed as error:
        reporter.warning(f"the pinned state cannot be compared: {error.message}")
        return None


def _judged(recipe: Recipe, new: Snapshot, sources: Sources, patches: Path) -> tuple[PatchVerdict, ...]:
    index = sources.mirrors.index(new.mirror, new.mirror / f"index.bump.{os.getpid()}")
    try:
        index.read(new.tree)
        return judge(index, recipe.patches, patches)
    finally:
        index.discard()


def _beside(recipe: Recipe, found: Bump, old: Snapshot, new: Snapshot) -> Bump:
    steps = (recipe.cmake, *(step.cmake for step in recipe.steps))
    said = {option.name: option.value for options in steps for option in options}
    (old_options, old_names), (new_options, new_names) = (_declared(one) for one in (old, new))
    gone = old_names - new_names
    return replace(
        found,
        groups=grouped((), changes_between(old, new)),
        options=option_changes(old_options, new_options, said),
        arguments_added=tuple(sorted(new_names - old_names)),
        arguments_removed=tuple(sorted(gone)),
        promised_gone=tuple(sorted(gone.intersection(_promised(recipe)))),
    )


def _declared(state: Snapshot) -> tuple[tuple[Option, ...], frozenset[str]]:
    """Return the cmake options that a state declares, and the arguments that its parser names."""
    paths = state.paths()
    wanted = sorted((path for path in paths if is_cmake(path)), key=lambda path: (path.count("/"), path))
    texts = {path: state.text(path) for path in wanted[:_FILES_MAX]}
    parsers = [state.text(path) for path in paths if is_parser(path)]
    return survey(paths, texts).options, named_arguments(parsers)


def _promised(recipe: Recipe) -> Iterator[str]:
    for group in (*recipe.serve.args, *recipe.smoke.args, *recipe.smoke.flags):
        yield from (word.partition("=")[0] for word in group.split())
