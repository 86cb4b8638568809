"""What runs know of each other: a record for each recipe, and who works on it now. Rules over the files of a branch."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from build.doors import store
from build.doors.statebranch import StateBranch
from build.errors import WorkFailed
from build.follow.backoff import Record

__all__ = ["BRANCH", "Lease", "Leased", "State"]

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

    def release(self, recipe: str, now: datetime, record: Record | None = None) -> None:
        """Give the lease back, and write down what became of the candidate: both, or neither.

        Raises:
            Leased: the lease ran out, and another runner has it now; nothing is written.
        """

        def edit(files: Files) -> Changes:
            self._must_be_free(files, recipe, now)
            written = {f"records/{recipe}.json": store.text_of(record)} if record else {}
            return {_lease(recipe): None, **written}

        what = f"{record.outcome}, {record.version}" if record else "given back"
        self.branch.change(edit, f"{recipe}: {what}", date=now.isoformat())

    def _must_be_free(self, files: Files, recipe: str, now: datetime) -> None:
        lease = store.parsed(files.get(_lease(recipe), ""), Lease)
        if lease and lease.holder != self.holder and datetime.fromisoformat(lease.expires) > now:
            message = f"another run works on {recipe}, until {lease.expires} at the latest"
            raise Leased(message, hint=f"wait for it; the branch {self.branch.branch} knows who it is")


def _lease(recipe: str) -> str:
    return f"leases/{recipe}.json"
