"""The whole loop over one upstream's life: what is good is published, what is not is said, and no tag ever leads astray."""

import json
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from build.doors.effects import EngineHandle
from build.host import registry
from build.settings import Settings
from tests.contract.github import Repository
from tests.contract.github import serving as serving_github
from tests.integration.conftest import Checkout, Ran, make_checkout
from tests.integration.upstreams import BRANCH, HOST, Follower, Round, Upstream, git, serving

pytestmark = pytest.mark.engine

KILLS = {
    "resolve": (r"recipes/minifork.yaml: b42 to b43", 0.0, "bump.md", "plan.json"),
    "build": (r"configure ", 0.5, "plan.json", "image.json"),
    "smoke": (r"export ", 2.5, "", "smoke.json"),
    "push": (r"push ", 0.0, "smoke.json", "nothing"),
}
"""The line after which a run is killed, how long after it, and the artifacts that are then there and not there."""
KILLER = """\
#!/bin/sh
if grep -q refs/heads/bump/minifork; then kill -9 "$(cat "$0.pid")"; fi
"""
"""A hook of the shared repository: the commit is made and arrives, and nothing is written down yet."""


@dataclass(frozen=True, kw_only=True)
class Story:
    """What was seen, round by round."""

    follower: Follower
    upstream: Upstream
    killed: Round
    """The end of a candidate whose run was killed at every station."""
    killed_pin: str
    """The recipe as that run has committed it."""
    alone: Round
    """The same candidate, unbroken."""
    rounds: dict[str, Round]
    github: Repository
    commits: dict[str, str]
    left: Ran
    """The build of the commit that upstream has not any more."""
    vanished: str
    """The digest of that build."""


@dataclass(frozen=True, kw_only=True)
class Machines:
    """Two clones that follow one upstream."""

    one: Follower
    two: Follower
    upstream: Upstream
    github: Repository


@pytest.fixture(scope="module")
def machines(
    tmp_path_factory: pytest.TempPathFactory,
    settings: Settings,
    engine: EngineHandle,
    loopback: registry.RegistryServer,
) -> Iterator[Machines]:
    root = tmp_path_factory.mktemp("follow")
    served, github = root / "served", Repository()
    github.branches.add(BRANCH)
    # A name of its own: what another run left in the cache's mirrors or in the registry proves nothing.
    name = f"follow-{secrets.token_hex(4)}"
    served.mkdir()
    with serving(served) as address, serving_github(github) as api:
        env = {
            "INGOT_GIT_MIRROR": f"{HOST}={address}",
            "GITHUB_API_URL": api,
            "GITHUB_REPOSITORY": github.name,
            "GITHUB_TOKEN": github.token,
        }
        made = [
            make_checkout(root / f"{name}-{number}", settings, engine, loopback) for number in ("one", "two")
        ]
        one, two = (Follower(checkout=replace(checkout, env=checkout.env | env)) for checkout in made)
        upstream = Upstream(
            repository=served / f"{name}.git",
            sample=one.checkout.root / "samples" / "minifork",
            url=f"{HOST}{name}.git",
        )
        yield Machines(one=one, two=two, upstream=upstream, github=github)
        for follower in (one, two):
            follower.end()
        for mirror in (settings.cache / "git").glob(f"git.example.org-{name}-*"):
            shutil.rmtree(mirror) if mirror.is_dir() else mirror.unlink()


def killed_everywhere(follower: Follower) -> Round:
    """Kill one run at each station, one after the other, then let one come to its end."""
    words = ("rebuild", "minifork", "--remote", "origin")
    for station, (when, delay_s, left, missing) in KILLS.items():
        code = follower.checkout.killed(when, signal.SIGKILL, *words, delay_s=delay_s)
        assert code == -signal.SIGKILL, station
        assert not left or (follower.out / left).exists(), station
        assert not (follower.out / missing).exists(), station
        tags = follower.tags()
        fixed = {digest for tag, digest in tags.items() if tag.startswith("b43-")}
        assert len(fixed) == (station == "push"), "only what has passed is there"
        assert set(tags.values()) == fixed
        assert set(follower.state()) == {"leases/minifork.json"}, station
        assert follower.tip(BRANCH) == "", station
    killed_at_the_commit(follower, *words)
    assert follower.tip(BRANCH), "the commit has arrived"
    assert set(follower.state()) == {"leases/minifork.json"}, "and is not written down"
    return follower.round()


def killed_at_the_commit(follower: Follower, *words: str) -> None:
    hook = follower.shared / "hooks" / "post-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(KILLER)
    hook.chmod(0o755)
    argv, checkout = (sys.executable, "-m", "build", *words), follower.checkout
    with subprocess.Popen(argv, cwd=checkout.root, env=checkout.env, stderr=subprocess.DEVNULL) as process:
        Path(f"{hook}.pid").write_text(str(process.pid))
    assert process.returncode == -signal.SIGKILL
    hook.unlink()


@pytest.fixture(scope="module")
def story(machines: Machines) -> Story:
    """Live through all of it once."""
    one, two, upstream = machines.one, machines.two, machines.upstream
    first = upstream.begin()
    args, server = upstream.read("common/args.cpp"), upstream.read("server/server.cpp")
    for follower in (one, two):
        follower.begin(upstream, first)
    # So is its code: something is left to compile when the build is killed.
    args = f"// {upstream.url}\n{args}"
    harmless = changed(args, '"--ctx-size" }', '"--ctx-size", "--context" }')
    commits = {"pinned": first, "harmless": upstream.land("args: an alias", args=harmless)}
    killed = killed_everywhere(one)
    machines.github.pulls.clear()
    rounds = {"harmless": two.round()}

    def land(name: str, **files: str) -> None:
        commits[name] = upstream.land(name, **files)
        rounds[name] = two.round()

    land("conflict", server=changed(server, "must be at least 0", "must not be negative"))
    for again in ("second", "third", "fourth"):
        rounds[f"conflict, {again}"] = two.round()
    land("already upstream", server=patched(upstream, two.checkout))
    land("does not compile", server=server, args=f"{harmless}\nint nothing( {{\n")
    land("drops a flag", args=changed(harmless, '{ { "--draft-max" }', '{ { "--draft-most" }'))
    land("mended", args=changed(harmless, '"--context" }', '"--context", "--n-ctx" }'))
    two.merge()
    rounds["merged"] = two.round()
    onto = commits["harmless"]
    commits["forced"] = upstream.land(
        "forced", onto, args=changed(harmless, '"--context" }', '"--context", "--room" }')
    )
    upstream.forget()
    rounds["forced"] = two.round()
    left, vanished = built_without_upstream(two)
    return Story(
        follower=two,
        upstream=upstream,
        killed=killed,
        killed_pin=git(one.shared, "show", f"{killed.bump}:recipes/minifork.yaml"),
        alone=rounds["harmless"],
        rounds=rounds,
        github=machines.github,
        commits=commits,
        left=left,
        vanished=vanished,
    )


def changed(text: str, old: str, new: str) -> str:
    assert text.count(old) == 1, old
    return text.replace(old, new)


def patched(upstream: Upstream, checkout: Checkout) -> str:
    """Return the server's file as it is with our patch."""
    (patch,) = (checkout.root / "patches" / "minifork").glob("*.patch")
    folder = checkout.root.parent / "patched"
    shutil.copytree(upstream.sample, folder)
    subprocess.run(("git", "apply", str(patch)), cwd=folder, check=True)
    return (folder / "server" / "server.cpp").read_text()


def built_without_upstream(follower: Follower) -> tuple[Ran, str]:
    """Build what HEAD pins: nothing is exported, nothing answers, only the mirror is there."""
    checkout = follower.checkout
    gone = f"{HOST}=git://127.0.0.1:9/"
    assert checkout.run("resolve", "minifork", INGOT_GIT_MIRROR=gone).code == 0
    tree = checkout.artifact("pin")["source"]["patched_tree"]
    shutil.rmtree(Path(checkout.env["INGOT_CACHE"]) / "sources" / tree)
    shutil.rmtree(checkout.out)
    ran = checkout.run("image", "minifork", INGOT_GIT_MIRROR=gone)
    return ran, checkout.artifact("image")["digest"] if ran.code == 0 else ""


PATCH = "patches/minifork/0001-server-accept-n_predict-minus-one.patch"
DRIFT = f"minifork: the new pin is written, and these do not fit it: {PATCH}"
BAD = {
    "conflict": ("bump", f"{DRIFT} (conflict)"),
    "already upstream": ("bump", f"{DRIFT} (already upstream)"),
    "does not compile": (
        "build and smoke",
        "the build failed in stage compile: /src/common/args.cpp:",
    ),
    "drops a flag": (
        "build and smoke",
        "smoke failed: arguments: the promised `--draft-max 8` is refused, --draft-max is gone",
    ),
}
"""Station, and how the reason begins."""


@pytest.mark.parametrize("name", BAD)
def test_what_is_not_good_is_reported_by_its_true_reason(story: Story, name: str) -> None:
    station, reason = BAD[name]
    found = story.rounds[name]
    assert (found.ran.code, found.outcome["verdict"]) == (1, "failed")
    assert found.outcome["detail"].startswith(f"{station}: {reason}"), found.outcome
    record = found.record
    assert (record["outcome"], record["station"], record["failures"]) == ("failed", station, 1)
    assert record["message"].startswith(reason)
    assert record["commit"] == story.commits[name]
    assert "exit 1: the work failed" in found.ran.err


def test_the_reason_is_the_tool_s_own(story: Story) -> None:
    assert ": error: " in story.rounds["does not compile"].record["message"], "the compiler's"
    assert "invalid argument: --draft-max" in story.rounds["drops a flag"].record["message"], "the parser's"


@pytest.mark.parametrize("name", [*BAD, "conflict, third", "conflict, fourth"])
def test_what_is_not_good_moves_no_tag_and_no_branch(story: Story, name: str) -> None:
    found, good = story.rounds[name], story.rounds["harmless"]
    assert found.tags == good.tags
    assert found.bump == good.bump
    assert found.state["runs/minifork.json"] == good.state["runs/minifork.json"], "that was no success"
    assert set(found.state) == {"records/minifork.json", "runs/minifork.json"}, (
        "no lease and no offer is left"
    )


def test_what_is_good_is_published_and_nothing_else(story: Story) -> None:
    tags = story.rounds["forced"].tags
    version = story.rounds["forced"].record["version"]
    fixed = {tag.partition("-")[0]: digest for tag, digest in tags.items() if "-cu130-sm120a-" in tag}
    assert set(fixed) == {"b43", "b48", version}
    moving = {tag: digest for tag, digest in tags.items() if "-" not in tag}
    assert moving == {**fixed, "latest": fixed[version]}, (
        "each leads to the image that an immutable tag means"
    )


@pytest.mark.parametrize("name", ["harmless", "mended", "forced"])
def test_a_good_one_takes_the_moving_tags_with_it(story: Story, name: str) -> None:
    found = story.rounds[name]
    assert (found.ran.code, found.outcome["verdict"]) == (0, "rebuilt"), found.ran.err
    record = found.record
    (fixed,) = (tag for tag in found.tags if tag.startswith(f"{record['version']}-cu130-sm120a-"))
    assert found.tags["latest"] == found.tags[record["version"]] == found.tags[fixed]
    assert (record["outcome"], record["failures"], record["message"]) == ("done", 0, ""), "it starts fresh"
    assert record["commit"] == story.commits[name]
    assert record["pin"] == found.bump
    assert "✓ smoke minifork" in found.ran.err


def test_failures_are_counted_until_the_next_commit(story: Story) -> None:
    counts = [story.rounds[f"conflict{word}"].record["failures"] for word in ("", ", second", ", third")]
    assert counts == [1, 2, 3]
    waiting = story.rounds["conflict, fourth"]
    assert (waiting.ran.code, waiting.outcome["verdict"]) == (0, "waits")
    assert waiting.outcome["detail"].startswith("failed 3 times, the last time at bump; next try ")
    assert story.rounds["already upstream"].record["failures"] == 1


def test_a_run_that_finds_nothing_is_a_success(story: Story) -> None:
    merged, before = story.rounds["merged"], story.rounds["mended"]
    assert (merged.ran.code, merged.outcome, merged.tags) == (0, {}, before.tags)
    times = [one.state["runs/minifork.json"]["last_success"] for one in (before, merged)]
    assert times[0] < times[1]
    overdue = story.follower.checkout.run("overdue", "minifork", "--remote", "origin", "--json")
    assert overdue.code == 0, overdue.err
    assert json.loads(overdue.out)[0]["days"] < 1


def test_one_pull_request_shows_the_last_good_one(story: Story) -> None:
    (shown,) = story.github.open
    version = story.rounds["forced"].record["version"]
    assert shown["title"] == f"minifork: b48 to {version}"
    assert shown["head"]["ref"] == BRANCH
    bump, _, smoke = shown["body"].partition("\n## Checks\n")
    assert bump.startswith(f"# minifork: b48 to {version}\n")
    assert f"| `{PATCH.removeprefix('patches/')}` | clean |" in bump
    assert "| `arguments` | passed |" in smoke
    requests = [story.rounds[name].outcome["request"] for name in ("harmless", "mended", "forced")]
    assert set(requests) == {shown["html_url"]}


def test_killed_at_every_station_ends_as_an_unbroken_run(story: Story) -> None:
    killed, alone = story.killed, story.alone
    assert (killed.ran.code, killed.outcome["verdict"]) == (0, "rebuilt"), killed.ran.err
    assert killed.tags == alone.tags, "the same digests under the same names"
    assert set(killed.state) == set(alone.state) == {"records/minifork.json", "runs/minifork.json"}
    timed = ("at", "pin")
    assert {key: word for key, word in killed.record.items() if key not in timed} == {
        key: word for key, word in alone.record.items() if key not in timed
    }
    assert story.killed_pin == git(story.follower.shared, "show", f"{alone.bump}:recipes/minifork.yaml")


def test_a_commit_that_upstream_dropped_stays_buildable(story: Story) -> None:
    assert not story.upstream.has(story.commits["mended"])
    assert story.upstream.has(story.commits["forced"])
    assert "History was rewritten" in story.github.open[0]["body"]
    assert "the mirror below the cache keeps it" in story.github.open[0]["body"]
    assert story.left.code == 0, story.left.err
    (published,) = (
        digest for tag, digest in story.rounds["mended"].tags.items() if tag.startswith("b48-cu130-")
    )
    assert story.vanished == published, "to the byte what was published"
