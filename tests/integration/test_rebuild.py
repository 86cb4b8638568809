"""A candidate down the whole road, for real: upstream's next commit bumped, compiled, smoke-tested, pushed, committed."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from build.doors.statebranch import git_dir
from build.doors.store import sha256_text
from build.settings import Settings
from tests.integration.conftest import Checkout

pytestmark = pytest.mark.engine


def git(root: Path, *words: str) -> str:
    who = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    # Long ago: the schedule counts from the commit that wrote the pin.
    env = {**os.environ, "GIT_COMMITTER_DATE": "2026-01-01T00:00:00+0000"}
    done = subprocess.run(
        ("git", *who, *words), cwd=root, env=env, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def following(checkout: Checkout, settings: Settings) -> Iterator[Checkout]:
    """A clone whose sample follows the branch that is one commit ahead, with one image alone."""
    checkout.edit("recipes/minifork.yaml", "  branch: main\n", "  branch: next\n")
    path = checkout.root / "recipes" / "minifork.yaml"
    text = path.read_text()
    path.write_text(text[: text.index("variants:")] + text[text.index("runtime:") :])
    git(checkout.root, "init", "-q", "-b", "main")
    git(checkout.root, "add", "build", "dockerfiles", "patches", "recipes", "samples")
    git(checkout.root, "commit", "-qm", "ours")
    yield checkout
    shutil.rmtree(settings.cache / "follow" / place(checkout), ignore_errors=True)


def place(checkout: Checkout) -> str:
    """Name the folder below the cache where this clone's copies lie."""
    return sha256_text(str(git_dir(checkout.root)))[:12]


def digest(checkout: Checkout, tag: str) -> str:
    """Ask the registry itself what a tag leads to."""
    host, _, namespace = checkout.env["INGOT_REGISTRY"].partition("/")
    accept = {"Accept": "application/vnd.oci.image.manifest.v1+json"}
    url = f"http://{host}/v2/{namespace}/minifork/manifests/{tag}"
    with urlopen(Request(url, headers=accept, method="HEAD"), timeout=10) as answer:
        return str(answer.headers["Docker-Content-Digest"])


def test_the_next_commit_is_built_pushed_and_committed(following: Checkout, settings: Settings) -> None:
    pinned = git(following.root, "show", "main:recipes/minifork.yaml")
    first = following.run("rebuild", "minifork", "--json")
    assert first.code == 0, first.err
    (outcome,) = json.loads(first.out)["outcomes"]
    assert (outcome["verdict"], outcome["detail"]) == ("rebuilt", "b42 to b43, on bump/minifork")
    assert "✓ smoke minifork" in first.err
    assert first.err.count("no pull request is opened: ") == 1
    assert "--remote not given" in first.err
    (receipt,) = (settings.cache / "follow").glob(f"{place(following)}/minifork/out/minifork/push.json")
    refs = json.loads(receipt.read_text())["refs"]
    pushed = [ref.rpartition(":")[2] for ref in refs]
    assert pushed[0].startswith("b43-cu130-sm120a-")
    assert pushed[1:] == ["latest", "b43"]
    assert {digest(following, tag) for tag in pushed} == set(refs.values())
    bumped = git(following.root, "show", "bump/minifork:recipes/minifork.yaml")
    changed = [line for line in bumped.splitlines() if line not in pinned.splitlines()]
    assert [line.split(":")[0].strip() for line in changed] == ["commit", "version"]
    assert git(following.root, "status", "--porcelain", "recipes") == ""

    again = following.run("rebuild", "minifork", "--json")
    assert again.code == 0, again.err
    assert json.loads(again.out)["outcomes"][0]["verdict"] == "done already"
    assert "compile" not in again.err
