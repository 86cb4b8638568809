"""Patch sets as types: other people's programs that change installed packages. Frozen, pure; part of the recipe's model."""

from dataclasses import dataclass
from enum import StrEnum

from build.recipe.refs import Commit

__all__ = ["BuildOutcome", "Exclusion", "PatchSet", "SetPatch", "StartEffect"]


class BuildOutcome(StrEnum):
    """What a patch is expected to do to the installed files while the image is built, where there is no GPU."""

    APPLIED = "applied"
    """Every file that it is to change is changed, by every anchor."""
    UPSTREAM = "already upstream"
    """The package has the change; the patch finds that out itself."""
    SKIPPED = "skipped"
    """It declines, with a reason, and changes nothing."""
    NO_OP = "no-op"
    """It says that it applied and changes no file: it only checks, reports, or works in the running process."""
    HALF = "half"
    """Some files or anchors, and not all."""
    FAILED = "failed"
    """It says itself that it failed; no file is changed."""
    UNKNOWN = "unknown"
    """Not established: anything is taken and written down, but a half or an empty application of a text patch."""


class StartEffect(StrEnum):
    """How a patch is in force once a server starts."""

    TEXT = "text"
    """By the changed file."""
    REBIND = "rebind"
    """By what its plugin does in each process, which a build without a GPU cannot prove."""
    NONE = "none"
    """Not at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetPatch:
    """One patch of a set, and what it is expected to do."""

    id: str
    """As its title in the set begins."""
    why: str
    files: tuple[str, ...] = ()
    """Files below site-packages that it must change, all of them."""
    markers: tuple[str, ...] = ()
    """Texts that stand in each of these files afterwards; needed where the set only runs as a whole."""
    optional: tuple[str, ...] = ()
    """Names of anchors that may be missing: why it is whole without them belongs into `why`."""
    build: BuildOutcome = BuildOutcome.APPLIED
    start: StartEffect = StartEffect.TEXT
    foundational: bool = False
    """Without its effect the image is not what it promises to be: any outcome but an effect ends the build."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exclusion:
    """A patch of the set that must not run, although the set has no switch for it: its file is replaced by ours."""

    id: str
    why: str
    file: str
    """The file below site-packages that would apply it."""
    by: str
    """Our file below patches/ that takes its place, in the build and in every process that starts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchSet:
    """A program of others that changes installed packages, run while the image is built. The ledger says what it did."""

    name: str
    repo: str
    """https URL of its repository."""
    commit: Commit
    version: str
    """Its own name of this state."""
    place: tuple[tuple[str, str], ...]
    """Folders of the repository, and where below site-packages each goes."""
    run: tuple[str, ...]
    """The command that applies it, as `python -m package.module`; the image's Python is meant."""
    registry: str = ""
    """`module:NAME` of its list of (title, function), where it has one: each patch is then observed alone."""
    patcher: str = ""
    """`module:Class` that edits one file by anchors, where it has one: it is then known which anchors were found."""
    plugin: str = ""
    """Folder of the repository with a pure Python package and its entry points, installed without running its build."""
    helper: str = ""
    """Our folder below patches/ that is importable while the set runs, and is not in the image."""
    env: tuple[tuple[str, str], ...] = ()
    """Environment of the run; what the set also needs when it starts belongs into runtime.env too."""
    requires: tuple[str, ...] = ()
    """Packages that it needs; the lock must have them."""
    patches: tuple[SetPatch, ...] = ()
    exclude: tuple[Exclusion, ...] = ()
