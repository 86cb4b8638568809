"""A machine with a checkout beside an upstream, and its runs."""

import shutil
import subprocess
from pathlib import Path

from build.follow.rebuild import Rebuild, SomeFailed
from build.follow.work import Outcome
from build.recipe.refs import Commit
from tests.unit.follow.places import Place, Shelf

__all__ = ["ROOT", "checkout", "git", "here", "outcomes"]

ROOT = Path(__file__).parents[2]


def git(root: Path, *words: str) -> str:
    who = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    return subprocess.run(
        ("git", *who, *words), cwd=root, check=True, capture_output=True, text=True
    ).stdout.strip()


def checkout(root: Path, pinned: Commit) -> None:
    shutil.copytree(ROOT / "recipes" / "toolchains", root / "recipes" / "toolchains")
    Place(root=root, index=Shelf()).write(pinned)
    git(root, "init", "-q", "-b", "main")
    git(root, "add", ".")
    git(root, "commit", "-qm", "ours")


def outcomes(run: Rebuild, *, dry_run: bool = False) -> tuple[Outcome, ...]:
    try:
        return run.run([], dry_run=dry_run)
    except SomeFailed as failed:
        return failed.outcomes


def here(world: Place) -> Path:
    return world.root.parent / "one"
