"""All upstreams asked side by side and held against the pins. Fetches nothing and changes nothing."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from build.doors.aside import Aside
from build.doors.effects import Reporter
from build.doors.git import GitMirrors
from build.doors.remote import ls_remotes
from build.errors import IngotError, Unavailable, WorkFailed
from build.follow.candidates import (
    Candidate,
    Faulty,
    Nothing,
    Verdict,
    in_archives,
    in_refs,
    in_time,
    unasked,
)
from build.pin.archive import Index
from build.recipe.model import GitSource, Recipe, SdistSource

__all__ = ["Incomplete", "Question", "Report", "Watch", "by_pin"]

_PIN = re.compile(r"\b[0-9a-f]{40}\b|[A-Za-z0-9._-]+==[A-Za-z0-9._+!-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Something besides recipes that is watched, a lock for instance."""

    name: str
    ask: Callable[[], Verdict]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a look at all upstreams found; every recipe stands in one of the three."""

    candidates: tuple[Candidate, ...]
    nothing: tuple[Nothing, ...]
    failed: tuple[Faulty, ...]
    asked: int
    """Upstreams that were asked; several recipes may have one."""
    answered: int
    slowest_s: float
    """What the slowest answer took."""


class Incomplete(WorkFailed):
    """Some upstreams could not be judged. Carries what is known of the others."""

    def __init__(self, report: Report) -> None:
        names = ", ".join(one.recipe for one in report.failed)
        super().__init__(f"not known whether there is something new for: {names}", hint="the table says why")
        self.report = report
        self.answer = report
        # Somebody answered: the work as a whole failed in part. Nobody did: the network is missing.
        self.exit_code = WorkFailed.exit_code if report.answered else Unavailable.exit_code


@dataclass(kw_only=True)
class Watch:
    """One look at all upstreams."""

    mirrors: GitMirrors
    index: Index
    reporter: Reporter
    timeout_s: float
    now: datetime
    pinned_at: Callable[[], Mapping[str, datetime]]
    """When each pin came into its recipe, by commit or `package==version`; asked only if there is a candidate."""
    _slowest: float = field(default=0.0, init=False)
    _answered: int = field(default=0, init=False)

    def look(self, recipes: Sequence[Recipe], questions: Sequence[Question] = ()) -> Report:
        """Ask all upstreams.

        Raises:
            Incomplete: some could not be judged.
        """
        resting = {recipe.name: reason for recipe in recipes if (reason := unasked(recipe))}
        followed = [recipe for recipe in recipes if recipe.name not in resting]
        by_url: dict[str, list[Recipe]] = {}
        for recipe in followed:
            if isinstance(recipe.source, GitSource):
                by_url.setdefault(recipe.source.repo, []).append(recipe)
        asked = len(by_url) + len(followed) - sum(map(len, by_url.values())) + len(questions)
        with self.reporter.step(f"ask {asked} upstreams") as step:
            # What is no git repository is asked meanwhile.
            asides = {one.name: Aside(one.ask) for one in (*self._archives(followed), *questions)}
            found = {verdict.recipe: verdict for verdict in (*resting.values(), *self._gits(by_url))}
            found |= {verdict.recipe: verdict for verdict in self._joined(asides)}
            step.verdict(f"{self._answered} answered")
        found |= self._timely(followed, found)
        order = [*(recipe.name for recipe in recipes), *(question.name for question in questions)]
        report = self._report([found[name] for name in order], asked)
        self._show(report)
        if report.failed:
            raise Incomplete(report)
        return report

    def _gits(self, by_url: Mapping[str, Sequence[Recipe]]) -> Iterator[Verdict]:
        for answer in ls_remotes(self.mirrors, tuple(by_url), timeout_s=self.timeout_s):
            self._heard(answer.seconds, answered=answer.refs is not None)
            for recipe in by_url[answer.url]:
                if answer.refs is not None:
                    yield in_refs(recipe, answer.refs)
                elif answer.error is not None:
                    yield Faulty(recipe=recipe.name, message=answer.error.message, hint=answer.error.hint)

    def _archives(self, recipes: Sequence[Recipe]) -> Iterator[Question]:
        for recipe in recipes:
            if isinstance(recipe.source, SdistSource):
                yield Question(name=recipe.name, ask=partial(self._archive, recipe, recipe.source))

    def _archive(self, recipe: Recipe, source: SdistSource) -> Verdict:
        return in_archives(recipe, self.index.files(source.sdist.partition("==")[0]))

    def _joined(self, asides: "Mapping[str, Aside[Verdict]]") -> Iterator[Verdict]:
        for name, aside in asides.items():
            try:
                yield aside.result(self.timeout_s, name)
            except IngotError as error:
                yield Faulty(recipe=name, message=error.message, hint=error.hint)
            else:
                self._heard(aside.seconds, answered=True)

    def _heard(self, seconds: float, *, answered: bool) -> None:
        self._answered += answered
        self._slowest = max(self._slowest, seconds) if answered else self._slowest

    def _timely(self, recipes: Sequence[Recipe], found: Mapping[str, Verdict]) -> dict[str, Verdict]:
        if not any(isinstance(found[recipe.name], Candidate) for recipe in recipes):
            return {}
        pinned_at = self.pinned_at()
        return {
            recipe.name: in_time(found[recipe.name], recipe.watch, self._since(recipe, pinned_at))
            for recipe in recipes
        }

    def _since(self, recipe: Recipe, pinned_at: Mapping[str, datetime]) -> timedelta | None:
        match recipe.source:
            case GitSource(commit=commit):
                when = pinned_at.get(commit)
            case SdistSource(sdist=sdist):
                when = pinned_at.get(sdist)
            case _:
                when = None
        return self.now - when if when else None

    def _report(self, verdicts: Sequence[Verdict], asked: int) -> Report:
        return Report(
            candidates=tuple(one for one in verdicts if isinstance(one, Candidate)),
            nothing=tuple(one for one in verdicts if isinstance(one, Nothing)),
            failed=tuple(one for one in verdicts if isinstance(one, Faulty)),
            asked=asked,
            answered=self._answered,
            slowest_s=round(self._slowest, 3),
        )

    def _show(self, report: Report) -> None:
        rows = [(one.recipe, one.pinned, one.version, one.commit[:12], one.why) for one in report.candidates]
        rows += [(one.recipe, "", "error", "", one.message) for one in report.failed]
        rows += [(one.recipe, "", "-", "", one.reason) for one in report.nothing]
        self.reporter.summary("upstream", ("recipe", "pinned", "candidate", "commit", "why"), tuple(rows))
        for hint in dict.fromkeys(one.hint for one in report.failed if one.hint):
            self.reporter.note(f"hint: {hint}")


def by_pin(lines: Mapping[str, datetime]) -> dict[str, datetime]:
    """Find the pins in lines of recipes, each with the time of its line. Pure."""
    return {pin: when for line, when in lines.items() for pin in _PIN.findall(line)}
