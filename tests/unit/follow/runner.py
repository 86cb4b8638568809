"""A rebuild over real git, with stations that write down that they were reached; also a program, to be killed."""

import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from build.doors.pullrequests import PullRequests
from build.doors.statebranch import StateBranch, git_dir
from build.errors import IngotError, WorkFailed
from build.follow.outbox import Outbox
from build.follow.rebuild import Rebuild, SomeFailed
from build.follow.state import BRANCH, State
from build.follow.watch import Report, Watch
from build.follow.work import Station, Work
from build.recipe.model import Recipe
from tests.fakes import RecordingReporter
from tests.unit.follow.places import Place, Shelf

__all__ = ["NOW", "STATIONS", "broken", "made", "reached"]

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
STATIONS = ("resolve", "build and smoke", "push", "tags")


def reached(log: Path) -> list[str]:
    return log.read_text().splitlines() if log.exists() else []


def made(  # noqa: PLR0913  (each is a default that some test replaces)
    root: Path,
    *,
    home: str = "one",
    remote: str = "",
    at: Callable[[str, Work], None] = lambda _name, _work: None,
    now: Callable[[], datetime] = lambda: NOW,
    mirrors: Path | None = None,
    door: PullRequests | None = None,
) -> Rebuild:
    """Make a run of the machine `home` over the checkout `root`; each station writes to `log` beside it."""
    place = Place(root=mirrors or root, index=Shelf())

    def watch(recipes: Sequence[Recipe]) -> Report:
        return Watch(
            mirrors=place.sources.mirrors,
            index=place.index,
            reporter=RecordingReporter(),
            timeout_s=30.0,
            now=NOW,
            pinned_at=dict,
        ).look(recipes)

    def station(name: str) -> Station:
        def do(work: Work) -> None:
            at(name, work)
            with (root / "log").open("a") as log:
                log.write(f"{name} {work.recipe.name} {work.recipe.source.version}\n")

        return Station(name=name, do=do)

    repository = git_dir(root)
    reporter = RecordingReporter()
    state = State(branch=StateBranch(repository=repository, branch=BRANCH, remote=remote), holder=home)
    return Rebuild(
        repository=repository,
        place=root / home,
        watch=watch,
        bump=lambda work, wish: place.bumper(work.checkout, work.out).bump(work.recipe, wish),
        stations=tuple(map(station, STATIONS)),
        state=state,
        outbox=Outbox(state=state, door=door, closed="no pull request: nowhere", reporter=reporter),
        now=now,
        reporter=reporter,
    )


def main() -> None:
    """Run once: folder of the checkout, home, remote, then `kill STATION` or `slow SECONDS`."""
    root, home, remote, how, word = sys.argv[1:6]

    def at(name: str, _work: Work) -> None:
        if how == "kill" and name == word:
            os.kill(os.getpid(), signal.SIGKILL)
        if how == "slow":
            time.sleep(float(word))

    run = made(Path(root), home=home, remote=remote, at=at, mirrors=Path(root).parent / "world")
    try:
        outcomes = run.run([])
    except SomeFailed as failed:
        outcomes = failed.outcomes
    except IngotError as error:
        sys.exit(f"{error.message}")
    sys.stdout.writelines(f"{one.recipe}: {one.verdict}\n" for one in outcomes)


def broken(message: str) -> Callable[[str, Work], None]:
    """Make stations of which the second fails."""

    def at(name: str, _work: Work) -> None:
        if name == STATIONS[1]:
            raise WorkFailed(message)

    return at


if __name__ == "__main__":
    main()
