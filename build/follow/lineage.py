"""Where a fork stands among its kin: since when, how far ahead, how far behind. Asks a history that was fetched."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from build.doors.history import History
from build.errors import IngotError
from build.recipe.model import GitSource, Recipe
from build.recipe.refs import Commit

__all__ = ["Relation", "ancestors", "relations", "same_repository"]

_DEPTH = 8
"""Nobody forks deeper; two recipes may name each other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """A fork beside a project that it descends from."""

    url: str
    head: str = ""
    """The newest commit of the other one's default branch."""
    base: str = ""
    """The newest commit that both have."""
    synced: str = ""
    """That commit's date: how old what the fork has of the other one is."""
    ahead: int = 0
    behind: int = 0
    unknown: str = ""
    """Why nothing is known; empty otherwise."""


def same_repository(one: str, other: str) -> bool:
    """Say whether two addresses mean one repository. Pure."""
    return _plain(one) == _plain(other)


def _plain(url: str) -> str:
    return url.rstrip("/").removesuffix(".git").lower()


def ancestors(recipe: Recipe, recipes: Sequence[Recipe]) -> tuple[str, ...]:
    """List what a recipe's source descends from, the parent first, the root last: recipes know their own parents. Pure."""
    parents = [one.source for one in recipes if isinstance(one.source, GitSource) and one.source.parent]
    found: list[str] = []
    url = recipe.source.parent if isinstance(recipe.source, GitSource) else ""
    while url and len(found) < _DEPTH and not any(same_repository(url, one) for one in found):
        found.append(url)
        url = next((one.parent for one in parents if same_repository(one.repo, url)), "")
    return tuple(found)


def relations(
    history: History, commit: Commit, heads: Mapping[str, Commit | IngotError]
) -> tuple[Relation, ...]:
    """Compare a commit with the heads of what it descends from."""
    return tuple(_relation(history, commit, url, head) for url, head in heads.items())


def _relation(history: History, commit: Commit, url: str, head: Commit | IngotError) -> Relation:
    if isinstance(head, IngotError):
        return Relation(url=url, unknown=head.message)
    base = history.merge_base(commit, head)
    if base is None:
        return Relation(url=url, head=head, unknown="no commit is in both")
    return Relation(
        url=url,
        head=head,
        base=base,
        synced=history.date(base),
        ahead=history.count(commit, without=base),
        behind=history.count(head, without=base),
    )
