"""One pull request for each recipe: what is to be offered waits on the state branch until it was, whoever does it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from build.doors.effects import Reporter
from build.doors.pullrequests import LONGEST, PullRequests
from build.errors import IngotError
from build.follow.bumped import Move
from build.follow.offer import Offer, body, read_pages
from build.follow.state import State
from build.follow.work import Outcome, Work
from build.recipe.model import Recipe
from build.recipe.sources import commit_of

__all__ = ["Outbox"]


@dataclass(frozen=True, kw_only=True)
class Outbox:
    """Offers, on their way to where they are reviewed."""

    state: State
    door: PullRequests | None
    """None: nothing is offered, and `closed` says why."""
    closed: str = ""
    reporter: Reporter

    def written(self, work: Work, move: Move, branch: str) -> Offer | None:
        """Write what the pull request will say. It is not asked for yet."""
        if self.door is None:
            return None
        name = work.recipe.name
        return Offer(
            recipe=name,
            branch=branch,
            pinned=move.old_commit,
            title=f"{name}: {move.old_version} to {move.new_version}",
            body=body(read_pages(work.out, work.recipe), longest=LONGEST),
        )

    def sent(self, outcome: Outcome, recipe: Recipe, now: datetime) -> Outcome:
        """Open or update the recipe's pull request where one is due, of this run or of one that did not get so far."""
        if self.door is None or outcome.verdict == "elsewhere":
            return outcome
        try:
            if (offer := self.state.offer(recipe.name)) is None:
                return outcome
            if commit_of(recipe.source) != offer.pinned:
                self.state.offered(offer, now)  # merged, or another pin by hand: there is nothing to review
                return outcome
            request = self.door.open_or_update(offer.branch, offer.title, offer.body)
            self.state.offered(offer, now, request)
        except IngotError as error:
            self.reporter.error(f"{recipe.name}: pull request: {error.message}", error.hint)
            said = f"pull request: {error.message}"
            before = f"{outcome.detail}; " if outcome.verdict == "failed" else ""
            return replace(outcome, verdict="failed", detail=f"{before}{said}")
        return replace(outcome, detail=f"{outcome.detail}; {request}", request=request)

    def explain(self, outcomes: Sequence[Outcome]) -> None:
        """Say once why nothing was offered, where there was something."""
        if self.door is None and any(one.verdict == "rebuilt" for one in outcomes):
            self.reporter.note(self.closed)
