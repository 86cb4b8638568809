"""The door to git: where it asks, how it names mirrors, how relative URLs are read."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from build.doors.commits import commit_folder
from build.doors.git import GitMirrors
from build.doors.remotewords import join
from build.errors import CommandFailed

ROOT = Path(__file__).parents[3]
BASE = "https://git.example.org/owner/project.git"


@pytest.mark.parametrize(
    ("url", "where"),
    [
        ("https://github.com/a/b.git", "/srv/git/a/b.git"),
        ("https://github.com/special/x", "https://mirror.example.org/x"),
        ("https://gitlab.com/a", "https://gitlab.com/a"),
    ],
)
def test_the_first_prefix_that_fits_wins(url: str, where: str) -> None:
    mirrors = GitMirrors(
        root=Path("/m"),
        replacements=(
            ("https://github.com/special/", "https://mirror.example.org/"),
            ("https://github.com/", "/srv/git/"),
        ),
    )
    assert mirrors.location(url) == where


@pytest.mark.parametrize(
    ("url", "joined"),
    [
        ("https://other.example.org/x", "https://other.example.org/x"),
        ("../sibling.git", "https://git.example.org/owner/sibling.git"),
        ("../../other/x.git", "https://git.example.org/other/x.git"),
        ("./child", f"{BASE}/child"),
        ("./../sibling.git", "https://git.example.org/owner/sibling.git"),
        ("git@example.org:x", "git@example.org:x"),
    ],
)
def test_relative_urls_of_submodules(url: str, joined: str) -> None:
    assert join(BASE, url) == joined


@pytest.mark.processes
def test_each_url_has_a_mirror_of_its_own(tmp_path: Path) -> None:
    mirrors = GitMirrors(root=tmp_path)
    urls = (
        BASE,
        "https://git.example.org/owner-project",
        "https://git.example.org/owner/project",
        "ssh://a b/../c",
    )
    found = [mirrors.mirror(url) for url in urls]
    assert len(set(found)) == len(urls)
    assert all(path.parent == tmp_path for path in found), "no URL leads out of the folder"
    assert found[0].name.startswith("git.example.org-owner-project-")
    assert mirrors.mirror(BASE) == found[0]


@pytest.mark.processes
def test_equal_files_are_an_equal_commit(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "a").write_bytes(b"x\r\n")
    (folder / ".gitignore").write_text("a\n")
    commits = [
        commit_folder(folder, tmp_path / name, branch="main", message="m", date="2026-01-01T00:00:00+0000")
        for name in ("one.git", "two.git", "one.git")
    ]
    assert len(set(commits)) == 1
    assert not list(tmp_path.glob("*.git/index.*")), "no index is left"


@pytest.mark.processes
def test_gits_own_words_are_in_the_error(tmp_path: Path) -> None:
    mirrors = GitMirrors(root=tmp_path)
    mirror = mirrors.mirror(BASE)
    with pytest.raises(CommandFailed) as failed:
        mirrors.index(mirror, tmp_path / "index").read("0" * 40)
    assert failed.value.message.startswith("git ended with status 128:\nfatal: ")


@pytest.mark.processes
def test_a_machine_without_git(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from build.doors.git import GitMirrors; from build.errors import ToolMissing\n"
        "try: GitMirrors(root=Path('mirrors')).mirror('https://git.example.org/x')\n"
        "except ToolMissing as error: print(error.message, '|', error.hint)"
    )
    env = {"PATH": str(tmp_path), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        (sys.executable, "-c", code), cwd=tmp_path, env=env, check=True, capture_output=True
    )
    assert done.stdout == b"git is not installed | install the distribution's package: git\n"


def test_the_door_is_opened_when_it_is_needed() -> None:
    """Importing GitPython runs git: a run that finds nothing to do shall not."""
    tree = ast.parse((ROOT / "build" / "doors" / "git.py").read_text())
    assert [node for node in tree.body if ast.unparse(node).startswith(("import git", "from git"))] == []
