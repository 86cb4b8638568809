"""Watch, bump, build, smoke, push, commit: every candidate down the whole road, in a copy of the checkout.

The stations are handed in. What failed is remembered on the state branch and tried again later; what is done is not done again.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

from build.doors import store
from build.doors.effects import Reporter
from build.doors.git import TreeIndex, git_output
from build.doors.statebranch import commit_file, push_branch
from build.errors import IngotError, Unavailable, WorkFailed
from build.follow.backoff import Record, decide, due, failed, succeeded
from build.follow.bump import Wish
from build.follow.bumped import Bump, Move
from build.follow.candidates import Candidate
from build.follow.outbox import Outbox
from build.follow.state import Leased, State
from build.follow.watch import Incomplete, Report
from build.follow.work import Outcome, Station, Work
from build.host.platforms import Emulated
from build.recipe.check import check
from build.recipe.model import Recipe
from build.recipe.select import select
from build.recipe.words import printable

__all__ = ["Rebuild", "SomeFailed", "fingerprint"]

T = TypeVar("T")

_WHY_MAX = 400
_GOOD = {"rebuilt", "done already", "a person's"}
"""Nothing is left to do that a run can do."""


class SomeFailed(WorkFailed):
    """At least one recipe failed; carries what became of all."""

    def __init__(self, outcomes: tuple[Outcome, ...]) -> None:
        names = ", ".join(one.recipe for one in outcomes if one.verdict == "failed")
        super().__init__(
            f"failed: {names}", hint="the table says where, the state branch when it is tried again"
        )
        self.outcomes = outcomes
        self.answer = {"outcomes": outcomes}


class _StationFailed(Exception):
    """A station's error, with its name."""

    def __init__(self, station: str, error: IngotError) -> None:
        super().__init__(station)
        self.station, self.error = station, error


def fingerprint(recipe: Recipe, commit: str, checkout: Path) -> str:
    """Name a candidate for a recipe as a person wrote it: its file and its patches."""
    files = [f"recipes/{recipe.name}.yaml", *(f"patches/{patch.file}" for patch in recipe.patches)]
    hashes = [[file, store.sha256_file(checkout / file)] for file in files]
    return store.sha256_text(store.canonical_json([recipe.name, commit, hashes]))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Try:
    """A candidate that is to be tried."""

    recipe: Recipe
    candidate: Candidate
    base: str
    """The commit of our own checkout."""
    mark: str = ""
    """Its fingerprint."""


@dataclass(frozen=True, kw_only=True)
class Rebuild:
    """One run over all candidates."""

    repository: Path
    """The git directory of the checkout: its HEAD is what is rebuilt from, and it gets the branches."""
    place: Path
    """A folder for copies of the checkout and for artifacts; what is there from an earlier run is used."""
    watch: Callable[[Sequence[Recipe]], Report]
    bump: Callable[[Work, Wish], Bump]
    stations: tuple[Station, ...]
    state: State
    outbox: Outbox
    now: Callable[[], datetime]
    reporter: Reporter

    def run(self, names: Sequence[str], *, dry_run: bool = False) -> tuple[Outcome, ...]:
        """Rebuild what moved; a failure does not stop the others.

        Raises:
            SomeFailed: at least one recipe failed.
        """
        # One run at a time on one machine; the lock dies with its holder. A look need not wait.
        base = self.place / ("look" if dry_run else "base")
        with store.locked(base.with_name(f"{base.name}.lock")):
            commit = git_output(self.repository, "rev-parse", "--verify", "HEAD^{commit}").strip()
            recipes = select(check(self._copied(commit, base)), names)
            report, lost = self._watched(recipes)
            by_name = {recipe.name: recipe for recipe in recipes}
            tries = (
                _Try(recipe=by_name[one.recipe], candidate=one, base=commit) for one in report.candidates
            )
            outcomes = (*lost, *(self._sent(one, base, dry_run=dry_run) for one in tries))
        rows = tuple((one.recipe, one.verdict, one.detail) for one in outcomes)
        if rows:
            self.reporter.summary("rebuild", ("recipe", "verdict", ""), rows)
        else:
            self.reporter.note("rebuild: nothing to do, no recipe has a candidate")
        self.outbox.explain(outcomes)
        failed = SomeFailed(outcomes) if any(one.verdict == "failed" for one in outcomes) else None
        done = {one.recipe for one in report.nothing} | {
            one.recipe for one in outcomes if one.verdict in _GOOD
        }
        if not dry_run:
            self._write_down([one.name for one in recipes if one.watch.enabled and one.name in done], failed)
        if failed:
            raise failed
        return outcomes

    def _write_down(self, succeeded: Sequence[str], failed: SomeFailed | None) -> None:
        """Remember who succeeded. That this could not be done must not hide what failed."""
        try:
            if succeeded:
                self.state.succeeded(succeeded, self.now())
        except IngotError as error:
            if failed is None:
                raise
            self.reporter.error(
                f"{', '.join(succeeded)}: not written down as done: {error.message}", error.hint
            )

    def _sent(self, one: _Try, base: Path, *, dry_run: bool) -> Outcome:
        """Do the work, then see to the pull request."""
        if not one.candidate.commit:
            return Outcome(recipe=one.recipe.name, verdict="a person's", detail=one.candidate.why)
        marked = replace(one, mark=fingerprint(one.recipe, one.candidate.commit, base))
        outcome = self._outcome(marked, dry_run=dry_run)
        return outcome if dry_run else self.outbox.sent(outcome, one.recipe, self.now())

    def _watched(self, recipes: Sequence[Recipe]) -> tuple[Report, list[Outcome]]:
        """Look at upstream; who could not be judged has failed, and the others go on."""
        try:
            return self.watch(recipes), []
        except Incomplete as error:
            report = error.report
            return report, [
                Outcome(recipe=one.recipe, verdict="failed", detail=f"watch: {one.message}")
                for one in report.failed
            ]

    def _outcome(self, one: _Try, *, dry_run: bool) -> Outcome:
        name = one.recipe.name
        try:
            settled = self._settled(one)
            if settled or dry_run:
                detail = f"{one.candidate.pinned} to {one.candidate.version}"
                return settled or Outcome(recipe=name, verdict="would try", detail=detail)
            with self._mine(one.recipe):
                # Another run may have done it before the lease was ours.
                return self._settled(one) or self._tried(one)
        except Leased as error:
            return Outcome(recipe=name, verdict="elsewhere", detail=error.message)
        except IngotError as error:
            self.reporter.error(f"{name}: {error.message}", error.hint)
            return Outcome(recipe=name, verdict="failed", detail=error.message)

    def _settled(self, one: _Try) -> Outcome | None:
        name = one.recipe.name
        record = self.state.records().get(name)
        decision = decide(record, one.mark, self.now())
        if record is None or decision == "try":
            return None
        if decision == "done":
            detail = f"{record.version} is on {record.branch}, to be merged"
            return Outcome(
                recipe=name,
                verdict="done already",
                detail=detail,
                branch=record.branch,
                pin=record.pin,
                request=record.request,
            )
        until = due(record).isoformat(timespec="minutes")
        detail = f"failed {record.failures} times, the last time at {record.station}; next try {until}"
        return Outcome(recipe=name, verdict="waits", detail=detail)

    @contextmanager
    def _mine(self, recipe: Recipe) -> Iterator[None]:
        """Hold the recipe for the block, against runs on other machines."""
        self.state.hold(recipe.name, self.now())
        try:
            yield
        finally:
            # Done already where there was something to write down; whose remote is gone has a lease that runs out.
            with suppress(IngotError):
                self.state.release(recipe.name, self.now())

    def _tried(self, one: _Try) -> Outcome:
        recipe = one.recipe
        try:
            work, move = self._road(one)
        except _StationFailed as failure:
            return self._remembered(one, failure)
        branch, file = f"bump/{recipe.name}", f"recipes/{recipe.name}.yaml"
        pin = commit_file(
            self.repository,
            one.base,
            (file, (work.checkout / file).read_bytes().decode()),
            branch=branch,
            message=f"{recipe.name}: {move.old_version} to {move.new_version}",
            date=self.now().isoformat(),
        )
        if self.state.branch.remote:
            push_branch(self.repository, self.state.branch.remote, branch)
        record = replace(self._record(one), version=move.new_version, commit=move.new_commit)
        done = succeeded(record, branch=branch, pin=pin)
        self.state.release(recipe.name, self.now(), done, self.outbox.written(work, move, branch))
        detail = f"{move.old_version} to {move.new_version}, on {branch}"
        return Outcome(recipe=recipe.name, verdict="rebuilt", detail=detail, branch=branch, pin=pin)

    def _record(self, one: _Try) -> Record:
        return Record(
            recipe=one.recipe.name,
            fingerprint=one.mark,
            version=one.candidate.version,
            commit=one.candidate.commit,
            outcome="failed",
            at=self.now().isoformat(),
        )

    def _road(self, one: _Try) -> tuple[Work, Move]:
        recipe, candidate = one.recipe, one.candidate
        home = self.place / recipe.name
        work = Work(checkout=self._copied(one.base, home / "checkout"), out=home / "out", recipe=recipe)
        found = self._at("bump", lambda: self._bumped(work, candidate))
        (bumped,) = (one for one in check(work.checkout) if one.name == recipe.name)
        work = Work(checkout=work.checkout, out=work.out, recipe=bumped)
        for station in self.stations:
            self.state.hold(recipe.name, self.now())
            self._at(station.name, partial(station.do, work))
        return work, found

    def _bumped(self, work: Work, candidate: Candidate) -> Move:
        # A branch whose commits are passed over by subject is looked at again; all else is exactly the candidate.
        by_subject = work.recipe.watch.branch and work.recipe.watch.ignore
        found = self.bump(work, Wish() if by_subject else Wish(to=candidate.commit))
        if found.move is None:
            raise WorkFailed(found.reason)
        return found.move

    def _at(self, station: str, do: Callable[[], T]) -> T:
        try:
            return do()
        except IngotError as error:
            raise _StationFailed(station, error) from error

    def _remembered(self, one: _Try, failure: _StationFailed) -> Outcome:
        """Count a failure. A missing network or engine, or a machine that emulates, is not the candidate's: not counted."""
        recipe, error = one.recipe, failure.error
        before = self.state.records().get(recipe.name)
        said = replace(self._record(one), station=failure.station, message=_why(error))
        counted = None if isinstance(error, Unavailable | Emulated) else failed(before, said)
        self.state.release(recipe.name, self.now(), counted)
        self.reporter.error(f"{recipe.name}: {failure.station}: {error.message}", error.hint)
        detail = f"{failure.station}: {said.message}"
        return Outcome(recipe=recipe.name, verdict="failed", detail=detail)

    def _copied(self, base: str, folder: Path) -> Path:
        """Write the files of a commit into a folder of their own."""
        store.discard(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        index = TreeIndex(mirror=self.repository, index=folder.with_name(f"{folder.name}.index"))
        index.read(base)
        index.export(folder)
        index.discard()
        return folder


def _why(error: IngotError) -> str:
    """Say in one line what is wrong; upstream may have had a hand in the words."""
    line = printable(error.reason or error.message.splitlines()[0])
    return line if len(line) <= _WHY_MAX else f"{line[: _WHY_MAX - 3]}..."
