"""Sources out of real repositories: what is fetched, what is refused, and that the bytes are those of the commit."""

import os
import shutil
from pathlib import Path

import pytest

from build.doors.bakefile import EPOCH
from build.doors.git import CommitMissing
from build.doors.gitobjects import read_folder
from build.errors import Unreachable, WorkFailed
from build.pin.exported import date, settle
from build.pin.patches import PatchRefused
from build.recipe.model import GitSource, Recipe
from build.recipe.refs import Commit
from tests.unit.pin.repositories import (
    DIFF,
    MAIN,
    URL,
    commit_tree,
    git,
    make_recipe,
    make_repository,
    make_sources,
)

pytestmark = pytest.mark.processes

MISSING = Commit("0123456789" * 4)
FILES = {"src/main.cpp": MAIN, "README.md": "words\n"}


def recipe_of(commit: Commit, *patches: str, name: str = "up", submodules: bool = False) -> Recipe:
    return make_recipe(
        GitSource(repo=f"{URL}{name}.git", commit=commit, version="b1", submodules=submodules), *patches
    )


def upstream(tmp_path: Path, name: str = "up") -> tuple[Path, Commit]:
    return make_repository(tmp_path / f"{name}.git", FILES)


def test_a_commit_is_proven_and_exported(tmp_path: Path) -> None:
    repository, commit = upstream(tmp_path)
    sources = make_sources(tmp_path)
    pinned = sources.pin(recipe_of(commit))
    assert (pinned.url, pinned.commit) == (f"{URL}up.git", commit)
    assert pinned.committed_at == "2026-03-01T10:00:00Z", "the time zone of the committer is not ours"
    assert pinned.tree == pinned.patched_tree == git(repository, "rev-parse", "HEAD^{tree}").strip()
    folder = sources.folder(pinned)
    assert {str(p.relative_to(folder)) for p in folder.rglob("*")} == {"src", "src/main.cpp", "README.md"}


def test_what_was_fetched_once_asks_nobody_again(tmp_path: Path) -> None:
    repository, commit = upstream(tmp_path)
    first = make_sources(tmp_path).pin(recipe_of(commit))
    shutil.rmtree(repository)
    assert make_sources(tmp_path).pin(recipe_of(commit)) == first


def test_a_patch_changes_the_export_and_its_name(tmp_path: Path) -> None:
    _, commit = upstream(tmp_path)
    sources = make_sources(tmp_path)
    (tmp_path / "patches" / "mini").mkdir(parents=True)
    (tmp_path / "patches" / "mini" / "0001-a.patch").write_text(DIFF)
    plain, patched = sources.pin(recipe_of(commit)), sources.pin(recipe_of(commit, "mini/0001-a.patch"))
    assert patched.tree == plain.tree
    assert sources.folder(patched) != sources.folder(plain)
    assert [(p.file, p.verdict, p.touches) for p in patched.patches] == [
        ("mini/0001-a.patch", "clean", ("src/main.cpp",))
    ]
    assert "return 1111;" in (sources.folder(patched) / "src/main.cpp").read_text()
    assert "return 1111;" not in (sources.folder(plain) / "src/main.cpp").read_text()


def test_a_refused_patch_leaves_no_export(tmp_path: Path) -> None:
    _, commit = upstream(tmp_path)
    (tmp_path / "patches" / "mini").mkdir(parents=True)
    (tmp_path / "patches" / "mini" / "0001-a.patch").write_text("nothing")
    with pytest.raises(PatchRefused):
        make_sources(tmp_path).pin(recipe_of(commit, "mini/0001-a.patch"))
    assert not (tmp_path / "cache" / "sources").exists()


def test_a_commit_that_upstream_does_not_have(tmp_path: Path) -> None:
    upstream(tmp_path)
    with pytest.raises(CommitMissing) as refused:
        make_sources(tmp_path).pin(recipe_of(MISSING))
    assert refused.value.message == f"{URL}up.git has no commit {MISSING}"
    assert refused.value.hint == "a branch rewritten upstream? choose a commit that is still there"
    assert refused.value.exit_code == 1


def test_an_upstream_that_cannot_be_reached(tmp_path: Path) -> None:
    with pytest.raises(Unreachable) as refused:
        make_sources(tmp_path, (URL, "file:///nonexistent/mirrors/")).pin(recipe_of(MISSING))
    assert refused.value.message == (
        f"cannot reach file:///nonexistent/mirrors/up.git for {URL}up.git: "
        "fatal: '/nonexistent/mirrors/up.git' does not appear to be a git repository"
    )
    assert refused.value.hint.startswith("name a mirror: INGOT_GIT_MIRROR='https://github.com/=")
    assert refused.value.exit_code == 4


def test_a_host_that_cannot_be_reached_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unreachable) as refused:
        make_sources(tmp_path, (URL, "http://127.0.0.1:9/")).pin(recipe_of(MISSING))
    assert refused.value.message.startswith(
        f"cannot reach 127.0.0.1 for {URL}up.git: fatal: unable to access"
    )
    assert "INGOT_GIT_MIRROR" in refused.value.hint


def test_a_server_that_names_heads_alone_is_asked_for_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Protocol 0 servers refuse a commit that is no branch's head."""
    config = tmp_path / "gitconfig"
    config.write_text("[protocol]\n\tversion = 0\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    repository, commit = upstream(tmp_path)
    (repository / "src/main.cpp").write_text("int later;\n")
    commit_tree(repository, "later")
    sources = make_sources(tmp_path)
    pinned = sources.pin(recipe_of(commit))
    assert (sources.folder(pinned) / "src/main.cpp").read_text() == MAIN
    with pytest.raises(CommitMissing):
        sources.pin(recipe_of(MISSING))


def test_a_force_push_takes_nothing_away(tmp_path: Path) -> None:
    repository, commit = upstream(tmp_path)
    sources = make_sources(tmp_path)
    first = sources.pin(recipe_of(commit))
    (repository / "src/main.cpp").write_text("int other;\n")
    git(repository, "commit", "--quiet", "--all", "--amend", "--message", "rewritten")
    git(repository, "reflog", "expire", "--expire=now", "--all")
    git(repository, "gc", "--quiet", "--prune=now")
    shutil.rmtree(sources.folder(first))
    newer = sources.pin(recipe_of(Commit(git(repository, "rev-parse", "HEAD").strip())))
    assert sources.pin(recipe_of(commit)) == first
    assert (sources.folder(first) / "src/main.cpp").read_text() == MAIN
    assert (sources.folder(newer) / "src/main.cpp").read_text() == "int other;\n"


def test_locks_of_a_killed_git_are_no_obstacle(tmp_path: Path) -> None:
    _, commit = upstream(tmp_path)
    sources = make_sources(tmp_path)
    mirror = sources.mirrors.mirror(f"{URL}up.git")
    for name in (
        "shallow.lock",
        "packed-refs.lock",
        f"refs/ingot/{commit}.lock",
        f"index.{os.getpid()}.lock",
    ):
        (mirror / name).parent.mkdir(parents=True, exist_ok=True)
        (mirror / name).touch()
    assert sources.folder(sources.pin(recipe_of(commit))).is_dir()


def test_a_killed_export_is_done_again(tmp_path: Path) -> None:
    _, commit = upstream(tmp_path)
    sources = make_sources(tmp_path)
    pinned = sources.pin(recipe_of(commit))
    folder = sources.folder(pinned)
    half = folder.with_name(f".{folder.name}.part")
    folder.rename(half)
    (half / "src/main.cpp").write_text("half")
    (half / "stray").touch()
    assert sources.pin(recipe_of(commit)) == pinned
    assert (folder / "src/main.cpp").read_text() == MAIN
    assert not half.exists()
    assert not (folder / "stray").exists()


def test_submodules_are_exported_in_their_place(tmp_path: Path) -> None:
    _, deep = make_repository(tmp_path / "deep.git", {"deep.h": "int deep;\n"})
    inner, _ = make_repository(tmp_path / "inner.git", {"inner.h": "int inner;\n"})
    git(inner, "submodule", "--quiet", "add", "--name", "d", str(tmp_path / "deep.git"), "deep")
    git(inner, "config", "--file", ".gitmodules", "submodule.d.url", "./../deep.git")
    inner_commit = commit_tree(inner)
    repository, _ = upstream(tmp_path)
    git(repository, "submodule", "--quiet", "add", "--name", "i", str(inner), "vendor/inner")
    git(repository, "config", "--file", ".gitmodules", "submodule.i.url", "../inner.git")
    commit = commit_tree(repository)
    sources = make_sources(tmp_path)
    without = sources.pin(recipe_of(commit))
    pinned = sources.pin(recipe_of(commit, submodules=True))
    assert pinned.submodules == (("vendor/inner", inner_commit), ("vendor/inner/deep", deep))
    assert sources.folder(pinned) != sources.folder(without), "they are two exports"
    assert (sources.folder(pinned) / "vendor/inner/inner.h").read_text() == "int inner;\n"
    assert (sources.folder(pinned) / "vendor/inner/deep/deep.h").read_text() == "int deep;\n"
    assert not (sources.folder(without) / "vendor/inner/inner.h").exists()


def test_a_submodule_without_a_url_is_refused(tmp_path: Path) -> None:
    repository, commit = upstream(tmp_path)
    git(repository, "update-index", "--add", "--cacheinfo", f"160000,{MISSING},vendor/x")
    git(repository, "commit", "--quiet", "--message", "half a submodule")
    commit = Commit(git(repository, "rev-parse", "HEAD").strip())
    with pytest.raises(WorkFailed) as refused:
        make_sources(tmp_path).pin(recipe_of(commit, submodules=True))
    assert refused.value.message == f"the submodule vendor/x of {URL}up.git has no URL in .gitmodules"


def test_the_bytes_are_those_of_the_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever .gitattributes or the user's configuration would turn them into."""
    config = tmp_path / "gitconfig"
    config.write_text(
        "[core]\n\tautocrlf = true\n\teol = crlf\n\tsymlinks = false\n[init]\n\tdefaultBranch = x\n"
    )
    attributes = "*.cpp text eol=crlf ident\nhidden.h export-ignore\n*.h export-subst\n*.u working-tree-encoding=UTF-16\n"
    files: dict[str, str | bytes] = {
        ".gitattributes": attributes,
        ".gitignore": "src/\n*.h\n",
        "src/main.cpp": "// $Id$\nint x;\n",
        "hidden.h": "$Format:%H$\n",
        "dos.h": b"int y;\r\n",
        "wide.u": "plain\n",
    }
    _, commit = make_repository(tmp_path / "up.git", files, link="src/main.cpp")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    sources = make_sources(tmp_path)
    folder = sources.folder(sources.pin(recipe_of(commit)))
    for name, content in files.items():
        assert (folder / name).read_bytes() == (content.encode() if isinstance(content, str) else content), (
            name
        )
    assert (folder / "link").readlink() == Path("src/main.cpp")


def test_modes_and_times_are_constant(tmp_path: Path) -> None:
    repository, _ = upstream(tmp_path)
    (repository / "tool.sh").write_text("#!/bin/sh\n")
    (repository / "tool.sh").chmod(0o700)
    commit = commit_tree(repository)
    sources = make_sources(tmp_path)
    before = os.umask(0o077)
    try:
        folder = sources.folder(sources.pin(recipe_of(commit)))
    finally:
        os.umask(before)
    modes = {str(p.relative_to(folder)): p.stat().st_mode & 0o7777 for p in (folder, *folder.rglob("*"))}
    assert modes == {".": 0o755, "src": 0o755, "src/main.cpp": 0o644, "README.md": 0o644, "tool.sh": 0o755}
    assert {p.stat().st_mtime for p in (folder, folder / "src")} == {EPOCH}
    assert all(p.stat().st_mtime > EPOCH for p in folder.rglob("*") if p.is_file()), (
        "layers are clamped to it"
    )


def test_times_are_those_of_the_bytes(tmp_path: Path) -> None:
    """BuildKit takes a file of the same length and time for the one that it has."""
    times = []
    for number, text in enumerate(("one", "two", "one")):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "f").write_text(text)
        date(folder, read_folder(folder))
        times.append((folder / "f").stat().st_mtime_ns)
    assert times[0] == times[2] != times[1]


def test_settle_and_date_touch_links_and_not_what_they_lead_to(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir(mode=0o700)
    (outside / "file").touch(mode=0o600)
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "link").symlink_to(outside)
    (folder / "dead").symlink_to("nowhere")
    settle(folder)
    date(folder, read_folder(folder))
    assert (folder / "link").lstat().st_mtime == EPOCH
    assert (outside / "file").stat().st_mode & 0o777 == 0o600
    assert outside.stat().st_mtime != EPOCH


def test_git_of_a_hook_is_not_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hook's git exports GIT_DIR and GIT_INDEX_FILE; they are somebody's repository."""
    other, _ = make_repository(tmp_path / "other", {"a": "a"})
    _, commit = upstream(tmp_path)
    before = sorted((p, p.stat().st_mtime_ns) for p in (other / ".git").rglob("*") if p.is_file())
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other / ".git" / "index"))
    sources = make_sources(tmp_path)
    assert sources.folder(sources.pin(recipe_of(commit))).is_dir()
    assert before == sorted((p, p.stat().st_mtime_ns) for p in (other / ".git").rglob("*") if p.is_file())


def test_the_users_own_instead_of_is_honoured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, commit = upstream(tmp_path)
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", f"url.{tmp_path}/.insteadOf")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", URL)
    sources = make_sources(tmp_path, ("https://another.example.org/", "file:///nonexistent/"))
    assert sources.folder(sources.pin(recipe_of(commit))).is_dir()
