"""Candidates down the whole road, over real git: once, again, killed, and by two at once."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from build.doors.git import git_output
from build.errors import IngotError, Unreachable
from build.follow.rebuild import Rebuild, SomeFailed
from build.follow.work import Work
from build.host.platforms import Emulated
from tests.unit.follow.making import commit_files
from tests.unit.follow.places import FORK, Place
from tests.unit.follow.runner import NOW, STATIONS, broken, made, reached
from tests.upstream.machines import ROOT, git, here, outcomes

pytestmark = pytest.mark.processes

ALL = [f"{name} fork b8" for name in STATIONS]


def start(world: Place, **more: Callable[[str, Work], None]) -> Rebuild:
    return made(here(world), mirrors=world.root, **more)  # type: ignore[arg-type]


def test_a_candidate_goes_the_whole_road(world: Place) -> None:
    root = here(world)
    head = git(world.upstream, "rev-parse", "main")
    (found,) = outcomes(start(world))
    assert (found.verdict, found.detail, found.branch) == ("rebuilt", "b7 to b8, on bump/fork", "bump/fork")
    assert reached(root / "log") == ALL
    assert git(root, "log", "--format=%s", "main..bump/fork") == "fork: b7 to b8"
    assert git(root, "diff", "--stat", "main", "bump/fork").splitlines()[0].split()[0] == "recipes/fork.yaml"
    assert f"commit: {head}" in git(root, "show", "bump/fork:recipes/fork.yaml")
    assert git(root, "status", "--porcelain", "--untracked-files=no") == "", "the working tree is not touched"
    assert git(root, "symbolic-ref", "HEAD") == "refs/heads/main"


def test_twice_does_it_once(world: Place) -> None:
    outcomes(start(world))
    tips = git(here(world), "for-each-ref", "--format=%(refname) %(objectname)")
    (again,) = outcomes(start(world))
    assert (again.verdict, again.detail) == ("done already", "b8 is on bump/fork, to be merged")
    assert reached(here(world) / "log") == ALL
    assert git(here(world), "for-each-ref", "--format=%(refname) %(objectname)") == tips


def test_once_merged_there_is_nothing(world: Place) -> None:
    outcomes(start(world))
    git(here(world), "merge", "-q", "bump/fork")
    assert outcomes(start(world)) == ()


def test_a_dry_run_does_nothing(world: Place) -> None:
    refs = git(here(world), "for-each-ref")
    (found,) = outcomes(start(world), dry_run=True)
    assert (found.verdict, found.detail[:6]) == ("would try", "b7 to ")
    assert reached(here(world) / "log") == []
    assert git(here(world), "for-each-ref") == refs


def test_failures_are_counted_and_waited_for(world: Place) -> None:
    now = NOW
    verdicts = []

    def at_night(at: Callable[[str, Work], None]) -> str:
        run = made(here(world), mirrors=world.root, at=at, now=lambda: now)
        (found,) = outcomes(run)
        return f"{found.verdict}: {found.detail}"

    for hours in (0, 0, 0, 0, 1, 1):
        now += timedelta(hours=hours)
        verdicts.append(at_night(broken("no kernel\nsecond line")))
    assert verdicts == [
        "failed: build and smoke: no kernel",
        "failed: build and smoke: no kernel",
        "failed: build and smoke: no kernel",
        "waits: failed 3 times, the last time at build and smoke; next try 2026-06-01T13:00+00:00",
        "failed: build and smoke: no kernel",
        "waits: failed 4 times, the last time at build and smoke; next try 2026-06-01T15:00+00:00",
    ]
    assert git(here(world), "for-each-ref", "refs/heads/bump") == "", "nothing that failed is committed"
    commit_files(world.upstream, {"cuda/kernel.cu": "o\n"}, subject="mended")
    assert at_night(lambda _name, _work: None) == "rebuilt: b7 to b9, on bump/fork", (
        "the next commit starts fresh"
    )


def test_a_recipe_that_was_mended_starts_fresh(world: Place) -> None:
    for _ in range(3):
        outcomes(start(world, at=broken("no kernel")))
    assert outcomes(start(world))[0].verdict == "waits"
    patch = here(world) / "patches" / "fork" / "1.patch"
    patch.write_text(patch.read_text().replace("Why: so", "Why: so that"))
    git(here(world), "commit", "-qam", "mend")
    assert outcomes(start(world))[0].verdict == "rebuilt"


@pytest.mark.parametrize("kind", [Unreachable, Emulated])
def test_what_the_machine_lacks_is_not_the_candidate_s(world: Place, kind: type[IngotError]) -> None:
    def lost(_name: str, _work: Work) -> None:
        message = "not on this machine"
        raise kind(message)

    for _ in range(4):
        assert outcomes(start(world, at=lost))[0].verdict == "failed"
    assert outcomes(start(world))[0].verdict == "rebuilt"


def test_one_that_fails_does_not_stop_the_others(world: Place) -> None:
    root = here(world)
    text = (root / "recipes" / "fork.yaml").read_text()
    other = text.replace("name: fork", "name: second").replace("repository: fork", "repository: second")
    (root / "recipes" / "second.yaml").write_text(other)
    gone = text.replace("name: fork", "name: third").replace("repository: fork", "repository: third")
    (root / "recipes" / "third.yaml").write_text(gone.replace(FORK, "https://git.example.org/nowhere.git"))
    git(root, "add", ".")
    git(root, "commit", "-qm", "more")

    def at(_name: str, work: Work) -> None:
        if work.recipe.name == "fork":
            broken("no kernel")(STATIONS[1], work)

    with pytest.raises(SomeFailed) as failed:
        start(world, at=at).run([])
    assert failed.value.message == "failed: third, fork"
    assert [(one.recipe, one.verdict) for one in failed.value.outcomes] == [
        ("third", "failed"),
        ("fork", "failed"),
        ("second", "rebuilt"),
    ]


@dataclass
class Child:
    """A run in a process of its own."""

    process: "subprocess.Popen[str]"

    def ended(self) -> tuple[int, str, str]:
        with self.process:
            out, err = self.process.communicate(timeout=120)
        return self.process.returncode, out, err


def child(world: Place, name: str, remote: str, how: str, word: str) -> Child:
    root = world.root.parent / name
    argv = (sys.executable, "-m", "tests.unit.follow.runner", str(root), name, remote, how, word)
    return Child(subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))


def final(root: Path) -> tuple[str, ...]:
    """What a run leaves that counts: the pin's tree and the files of the state."""
    words = ("bump/fork^{tree}", "main")
    state = git(root, "ls-tree", "-r", "--name-only", "ingot-state")
    return (*(git(root, "rev-parse", word) for word in words), state)


@pytest.mark.parametrize("station", STATIONS)
def test_killed_at_a_station_and_run_again(world: Place, station: str) -> None:
    root = here(world)
    assert child(world, "one", "", "kill", station).ended()[0] == -9
    assert "leases/fork.json" in git(root, "ls-tree", "-r", "--name-only", "ingot-state")
    code, out, err = child(world, "one", "", "go", "on").ended()
    assert (code, out) == (0, "fork: rebuilt\n"), err
    tree, _, state = final(root)
    assert state == "records/fork.json\nruns/fork.json", "no lease is left"
    before = STATIONS.index(station)
    assert reached(root / "log") == [*ALL[:before], *ALL], (
        "each station is asked again; what is done it knows"
    )
    assert f"commit: {git(world.upstream, 'rev-parse', 'main')}" in git(
        root, "show", f"{tree}:recipes/fork.yaml"
    )


def test_two_runners_at_one_repository(world: Place, tmp_path: Path) -> None:
    remote = tmp_path / "shared.git"
    git(tmp_path, "clone", "-q", "--bare", str(here(world)), str(remote))
    git(tmp_path, "clone", "-q", str(remote), str(tmp_path / "two"))
    children = [child(world, name, str(remote), "slow", "1.5") for name in ("one", "two")]
    ended = [one.ended() for one in children]
    said = sorted(out for _code, out, _err in ended)
    assert said[1] == "fork: rebuilt\n", ended
    assert said[0] in {"fork: elsewhere\n", "fork: done already\n"}, ended
    logs = [reached(tmp_path / name / "log") for name in ("one", "two")]
    assert sorted(logs) == [[], ALL], "the work was done once"
    assert git_output(remote, "ls-tree", "-r", "--name-only", "ingot-state").split() == [
        "records/fork.json",
        "runs/fork.json",
    ]
    assert git(remote, "log", "--format=%s", "main..bump/fork") == "fork: b7 to b8"
    late = child(world, "two", str(remote), "go", "on").ended()
    assert late[1] == "fork: done already\n", "any runner can continue"
