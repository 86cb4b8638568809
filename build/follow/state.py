"""What runs know of each other: a record for each recipe, and who works on it now. Rules over the files of a branch."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from build.doors import store
from build.doors.statebranch import StateBranch
from build.errors import WorkFailed
from build.follow.backoff import Record
from build.follow.offer import Offer

__all__ = ["BRANCH", "Lease", "Leased", "Run", "State"]

BRANCH = "ingot-state"
_LEASE = timedelta(hours=6)
"""Longer than any station: a lease is renewed before each. Who is killed keeps others waiting this long at most."""

Files = Mapping[str, str]
Changes = Mapping[str, str | None]


class Leased(WorkFailed):
    """Another run works on the recipe."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """Who works on a recipe, and until when that is believed."""

    holder: str
    expires: str
    """RFC 3339."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """When a run over a recipe last did all that there was to do, also where that was nothing."""

    recipe: str
    last_success: str
    """RFC 3339."""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """The state as one runner sees it."""

    branch: StateBranch
    holder: str
    """Names this runner: the same one after it was killed, another on another machine."""

    def records(self) -> dict[str, Record]:
        """Return what is remembered, by recipe. What another version wrote is forgotten."""
        found = (
            store.parsed(text, Record)
            for path, text in self.branch.read().items()
            if path.startswith("records/")
        )
        return {record.recipe: record for record in found if record}

    def offer(self, recipe: str) -> Offer | None:
        """Return what is yet to be offered for review."""
        return store.parsed(self.branch.read().get(_offer(recipe), ""), Offer)

    def last_successes(self) -> dict[str, str]:
        """Return when a run over each recipe last succeeded."""
        files = self.branch.read().items()
        found = (store.parsed(text, Run) for path, text in files if path.startswith("runs/"))
        return {run.recipe: run.last_success for run in found if run}

    def hold(self, recipe: str, now: datetime) -> None:
        """Take the recipe's lease, or renew it.

        Raises:
            Leased: another runner has it.
        """
        mine = store.text_of(Lease(holder=self.holder, expires=(now + _LEASE).isoformat()))

        def edit(files: Files) -> Changes:
            self._must_be_free(files, recipe, now)
            return {_lease(recipe): mine}

        self.branch.change(edit, f"{recipe}: taken", date=now.isoformat())

    def release(
        self, recipe: str, now: datetime, record: Record | None = None, offer: Offer | None = None
    ) -> None:
        """Give the lease back, and write down what became of the candidate and what is to be offered: all, or nothing.

        Raises:
            Leased: the lease ran out, and another runner has it now; nothing is written.
        """

        def edit(files: Files) -> Changes:
            self._must_be_free(files, recipe, now)
            written = {f"records/{recipe}.json": store.text_of(record)} if record else {}
            offered = {_offer(recipe): store.text_of(offer)} if offer else {}
            return {_lease(recipe): None, **written, **offered}

        what = f"{record.outcome}, {record.version}" if record else "given back"
        self.branch.change(edit, f"{recipe}: {what}", date=now.isoformat())

    def offered(self, offer: Offer, now: datetime, request: str = "") -> None:
        """Take an offer off the list, with the address of its pull request. Another one in its place stays."""

        def edit(files: Files) -> Changes:
            if store.parsed(files.get(_offer(offer.recipe), ""), Offer) != offer:
                return {}
            path = f"records/{offer.recipe}.json"
            record = store.parsed(files.get(path, ""), Record)
            named: Changes = {}
            if record and record.outcome == "done" and request:
                named = {path: store.text_of(replace(record, request=request))}
            return {_offer(offer.recipe): None, **named}

        self.branch.change(edit, f"{offer.recipe}: offered", date=now.isoformat())

    def succeeded(self, recipes: Iterable[str], now: datetime) -> None:
        """Write down that a run over recipes succeeded."""
        runs = [Run(recipe=recipe, last_success=now.isoformat()) for recipe in recipes]
        written = {f"runs/{run.recipe}.json": store.text_of(run) for run in runs}
        names = ", ".join(run.recipe for run in runs)
        self.branch.change(lambda _files: written, f"succeeded: {names}", date=now.isoformat())

    def _must_be_free(self, files: Files, recipe: str, now: datetime) -> None:
        lease = store.parsed(files.get(_lease(recipe), ""), Lease)
        if lease and lease.holder != self.holder and datetime.fromisoformat(lease.expires) > now:
            message = f"another run works on {recipe}, until {lease.expires} at the latest"
            raise Leased(message, hint=f"wait for it; the branch {self.branch.branch} knows who it is")


def _lease(recipe: str) -> str:
    return f"leases/{recipe}.json"


def _offer(recipe: str) -> str:
    return f"offers/{recipe}.json"
