"""What a bump found out, as its page and its JSON show it. Frozen, pure."""

from dataclasses import dataclass

from build.follow.changes import Group, OptionChange
from build.follow.edit import Mention
from build.follow.lineage import Relation
from build.follow.verdicts import PatchVerdict

__all__ = ["Bump", "Move"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """From one state of upstream to another."""

    url: str
    ref: str
    """What was asked for, or found by the recipe's rule; empty for a bare commit."""
    old_commit: str
    new_commit: str
    old_version: str
    new_version: str
    archive: str = ""
    """`package==version`, of a source archive."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bump:
    """A recipe's way to a candidate."""

    recipe: str
    file: str
    move: Move | None
    """None: there is nothing to do, and `reason` says why."""
    reason: str = ""
    patches: tuple[PatchVerdict, ...] = ()
    forward: bool | None = None
    """The new commit builds on the old one; None where that is not known."""
    rewritten: str = ""
    """Said where upstream's branches and tags do not lead to the pinned commit any more."""
    groups: tuple[Group, ...] = ()
    options: tuple[OptionChange, ...] = ()
    arguments_added: tuple[str, ...] = ()
    arguments_removed: tuple[str, ...] = ()
    promised_gone: tuple[str, ...] = ()
    """Arguments that the recipe promises and the files that read the command line named, and do not name any more."""
    relations: tuple[Relation, ...] = ()
    literal_tags: tuple[str, ...] = ()
    mentions: tuple[Mention, ...] = ()
    page: str = ""

    @property
    def drift(self) -> tuple[str, ...]:
        """The patches that do not fit."""
        return tuple(one.file for one in self.patches if not one.fits)
