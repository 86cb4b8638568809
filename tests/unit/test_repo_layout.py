"""The traps of a package called `build`, and what may not stand in a file that others read."""

import os
import re
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import build

ROOT = Path(__file__).parents[2]
HOMES = re.compile(r"/(?:home|Users)/[a-z][\w-]+/|/root/[\w.]|/(?:work|shared|workspace)/[a-z]")
"""Somebody's own folders. Images and tests name /root itself, and a CI service's /home/runner."""
INDEX_OPTION = re.compile(r"--(?:extra-)?index-url\b|--find-links\b|^\s*index-url\s*=", re.MULTILINE)
SELF = Path(__file__).relative_to(ROOT).as_posix()
PROBED = {
    SELF,
    "tests/unit/smoke/test_residue.py",
    "tests/unit/smoke/test_user.py",
}
"""Tests of exactly these words."""


def tracked() -> list[str]:
    command = ("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    listing = subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout.decode()
    return [name for name in listing.split("\0") if name and (ROOT / name).is_file()]


def hits(pattern: re.Pattern[str], *, but: set[str]) -> list[str]:
    found = []
    for name in tracked():
        if name in but or (ROOT / name).is_symlink():
            continue
        data = (ROOT / name).read_bytes()
        if b"\0" not in data:
            found += [f"{name}: {match[0]}" for match in pattern.finditer(data.decode(errors="replace"))]
    return found


def test_our_build_is_the_one_that_is_imported() -> None:
    assert build.__file__ == str(ROOT / "build" / "__init__.py")


@pytest.mark.processes
def test_git_ignores_nothing_of_the_package() -> None:
    files = [str(path) for path in (ROOT / "build").rglob("*.py")]
    done = subprocess.run(("git", "check-ignore", *files), cwd=ROOT, check=False, capture_output=True)
    assert done.stdout.decode() == ""


@pytest.mark.parametrize("lock", ["requirements.txt", "requirements.in"])
def test_the_other_package_of_this_name_is_not_installed(lock: str) -> None:
    assert not re.search(r"^build\b", (ROOT / lock).read_text(), re.MULTILINE)


def test_the_readme_is_there() -> None:
    assert (ROOT / "README.md").read_text().strip()


def test_no_lock_says_where_packages_come_from() -> None:
    """That is the machine's to say: pip.conf, PIP_INDEX_URL."""
    locks = [ROOT / "requirements.in", ROOT / "requirements.txt", *(ROOT / "recipes").rglob("*.txt")]
    assert len(locks) > 2
    assert [path.name for path in locks if INDEX_OPTION.search(path.read_text())] == []


@pytest.mark.processes
def test_no_file_names_this_machines_package_index() -> None:
    hosts = {
        urlsplit(os.environ.get(name, "")).hostname
        for name in ("PIP_INDEX_URL", "UV_INDEX_URL", "UV_DEFAULT_INDEX")
    }
    private = [re.escape(host) for host in hosts if host]
    assert not private or hits(re.compile("|".join(private)), but=set()) == []


@pytest.mark.processes
def test_no_file_names_somebodys_folder() -> None:
    assert hits(HOMES, but=PROBED) == []
