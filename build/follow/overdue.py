"""Which recipes have not had a successful run for too long: a watcher that stopped looks like an upstream at rest. Pure.

The state and the clock are handed in; where the state is kept is not known here.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from build.errors import BadRequest, WorkFailed

__all__ = ["Overdue", "Standing", "parse_state", "refuse_overdue", "standings"]

_KEY = "last_success"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How long ago a recipe's last successful run was."""

    recipe: str
    last_success: str
    """ISO 8601; empty where no run has succeeded yet."""
    days: float | None
    """None where no run has succeeded yet: a new recipe is not overdue, each of its failures speaks for itself."""
    overdue: bool


class Overdue(WorkFailed):
    """Runs have not succeeded for longer than they may."""

    def __init__(self, late: Sequence[Standing], days: int) -> None:
        told = ", ".join(f"{one.recipe} since {one.last_success} ({one.days:.0f} days)" for one in late)
        super().__init__(
            f"no successful run within {days} days: {told}",
            hint="look at the runs that failed, or did not start, since then; `nox -s rebuild -- <recipe>` tries again",
        )
        self.late = tuple(late)


def parse_state(text: str, where: str) -> dict[str, str]:
    """Read `{recipe: {"last_success": iso, ...}}`; other keys are other people's.

    Raises:
        BadRequest: it is something else; the message names file and key.
    """
    try:
        document = json.loads(text)
    except ValueError as error:
        message = f"{where} is not JSON: {error}"
        raise BadRequest(
            message, hint="it is the state that runs leave: {recipe: {last_success: time}}"
        ) from error
    if not isinstance(document, dict):
        message = f"{where} holds no object of recipes"
        raise BadRequest(message, hint="it is the state that runs leave: {recipe: {last_success: time}}")
    found: dict[str, str] = {}
    for recipe, entry in document.items():
        value = entry.get(_KEY, "") if isinstance(entry, dict) else None
        if not isinstance(value, str):
            message = f"{where}  {recipe}.{_KEY}  is no text"
            raise BadRequest(message, hint="a time as 2026-11-20T04:30:00+00:00, or leave it out")
        found[recipe] = value
    return found


def standings(
    recipes: Sequence[str], state: Mapping[str, str], *, now: datetime, days: int
) -> tuple[Standing, ...]:
    """Say for each recipe how long ago it succeeded.

    Raises:
        BadRequest: a time in the state cannot be understood, or lies in the future.
    """
    return tuple(_standing(recipe, state.get(recipe, ""), now, timedelta(days=days)) for recipe in recipes)


def refuse_overdue(found: Sequence[Standing], *, days: int) -> None:
    """Raise Overdue where a recipe is."""
    if late := [one for one in found if one.overdue]:
        raise Overdue(late, days)


def _standing(recipe: str, last: str, now: datetime, limit: timedelta) -> Standing:
    if not last:
        return Standing(recipe=recipe, last_success="", days=None, overdue=False)
    try:
        then = datetime.fromisoformat(last)
    except ValueError as error:
        message = f"{recipe}.{_KEY} is '{last}', which is no time"
        raise BadRequest(message, hint="a time as 2026-11-20T04:30:00+00:00") from error
    if then.tzinfo is None:
        message = f"{recipe}.{_KEY} is '{last}', which has no time zone"
        raise BadRequest(message, hint="a time as 2026-11-20T04:30:00+00:00")
    if then > now:
        message = f"{recipe}.{_KEY} is '{last}', which is yet to come"
        raise BadRequest(message, hint="this machine's clock is wrong, or was when the state was written")
    return Standing(
        recipe=recipe, last_success=last, days=(now - then) / timedelta(days=1), overdue=now - then > limit
    )
