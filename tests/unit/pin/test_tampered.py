"""Somebody changed what lies below the cache after it was pinned: each time refused, with both hashes and the way out."""

import hashlib
import os
import shutil
import subprocess
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from build.doors.gitobjects import EMPTY, differences, object_id, read_folder
from build.errors import WorkFailed
from build.pin.model import PinnedSource
from build.pin.source import Sources
from build.recipe.model import GitSource, Recipe, SdistSource
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
from tests.unit.pin.test_archive import GOOD
from tests.unit.pin.test_archive import pack as pack_archive
from tests.unit.pin.test_archive import source as archive_source

pytestmark = pytest.mark.processes

FILES = {"src/main.cpp": MAIN, "README.md": "words\n", "zz/a": "1", "zz.c": "2", "zz-b": "3"}
PATCH = "mini/0001-a.patch"


def pinned_in(tmp_path: Path, *patches: str) -> tuple[Sources, Recipe, PinnedSource, Path]:
    """Pin the one commit of an upstream. Returns the export's folder too."""
    for patch in patches:
        (tmp_path / "patches" / patch).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "patches" / patch).write_text(DIFF)
    _, commit = make_repository(tmp_path / "up.git", FILES, link="src/./main.cpp")
    recipe = make_recipe(GitSource(repo=f"{URL}up.git", commit=commit, version="b1"), *patches)
    sources = make_sources(tmp_path)
    pinned = sources.pin(recipe)
    sources.prove(recipe, pinned)
    return sources, recipe, pinned, sources.folder(pinned)


def refused(what: Callable[[], object]) -> tuple[str, str]:
    with pytest.raises(WorkFailed) as error:
        what()
    assert error.value.exit_code == 1
    return error.value.message, error.value.hint


def replace_object(mirror: Path, old: str, kind: str, data: bytes) -> None:
    """Put other bytes under an object's name, as a broken disk or a person would."""
    for pack in (mirror / "objects" / "pack").glob("*.pack"):
        moved = mirror / pack.name
        pack.rename(moved)
        shutil.rmtree(pack.parent)
        pack.parent.mkdir()
        with moved.open("rb") as file:
            subprocess.run(
                ("git", "-C", str(mirror), "unpack-objects", "-q"),
                stdin=file,
                check=True,
                capture_output=True,
            )
    path = mirror / "objects" / old[:2] / old[2:]
    path.chmod(0o644)
    path.write_bytes(zlib.compress(b"%s %d\0" % (kind.encode(), len(data)) + data))


@pytest.mark.parametrize("patches", [(), (PATCH,)])
def test_names_are_gits_own(tmp_path: Path, patches: tuple[str, ...]) -> None:
    _, _, pinned, folder = pinned_in(tmp_path, *patches)
    assert read_folder(folder).id == pinned.patched_tree
    assert (pinned.tree == pinned.patched_tree) is (not patches)
    assert git(tmp_path / "up.git", "rev-parse", "HEAD^{tree}").strip() == pinned.tree
    assert git(tmp_path / "up.git", "hash-object", "-t", "tree", os.devnull).strip() == EMPTY


def edit(folder: Path) -> None:
    text, before = (folder / "src/main.cpp").read_text(), (folder / "src/main.cpp").stat().st_mtime_ns
    (folder / "src/main.cpp").write_text(text.replace("return 3;", "return 9;"))
    os.utime(folder / "src/main.cpp", ns=(before, before))  # as long as before, and as old


def relink(folder: Path) -> None:
    (folder / "link").unlink()
    (folder / "link").symlink_to("src/main.cpp")


TAMPERED: dict[str, tuple[Callable[[Path], object], str]] = {
    "edited": (edit, "changed: src/main.cpp"),
    "added": (lambda folder: (folder / "src/new.h").write_text(""), "added: src/new.h"),
    "removed": (lambda folder: (folder / "README.md").unlink(), "removed: README.md"),
    "executable": (lambda folder: (folder / "README.md").chmod(0o755), "changed: README.md"),
    "writable": (lambda folder: (folder / "README.md").chmod(0o666), "changed: README.md"),
    "a link to elsewhere": (relink, "changed: link"),
    "an empty folder": (lambda folder: (folder / "include").mkdir(mode=0o755), "added: include/"),
    "a closed folder": (lambda folder: (folder / "zz").chmod(0o700), "changed: zz/"),
    "a pipe": (lambda folder: os.mkfifo(folder / "pipe"), "added: pipe"),
}


@pytest.mark.parametrize("patches", [(), (PATCH,)])
@pytest.mark.parametrize("how", TAMPERED)
def test_an_export_that_somebody_edited(tmp_path: Path, how: str, patches: tuple[str, ...]) -> None:
    sources, recipe, pinned, folder = pinned_in(tmp_path, *patches)
    change, words = TAMPERED[how]
    change(folder)
    message, hint = refused(lambda: sources.prove(recipe, pinned))
    found = read_folder(folder).id
    assert found != pinned.patched_tree
    assert message == (
        f"{folder} was changed after it was pinned: its files are those of the tree {found}, "
        f"the pin says {pinned.patched_tree} ({words})"
    )
    assert hint == f"delete {folder}; it is then exported again"
    shutil.rmtree(folder)
    assert sources.pin(recipe) == pinned
    sources.prove(recipe, pinned)


def test_times_are_set_again_and_no_reason_to_refuse(tmp_path: Path) -> None:
    sources, recipe, pinned, folder = pinned_in(tmp_path)
    before = (folder / "README.md").stat().st_mtime_ns
    os.utime(folder / "README.md", (1, 1))
    sources.prove(recipe, pinned)
    assert (folder / "README.md").stat().st_mtime_ns == before


def test_an_export_is_proven_without_its_mirror(tmp_path: Path) -> None:
    sources, recipe, pinned, folder = pinned_in(tmp_path, PATCH)
    shutil.rmtree(sources.mirrors.root)
    shutil.rmtree(tmp_path / "up.git")
    sources.prove(recipe, pinned)
    edit(folder)
    message, _ = refused(lambda: sources.prove(recipe, pinned))
    assert message.endswith(f"the pin says {pinned.patched_tree}")


def test_many_changes_are_counted() -> None:
    wanted = {f"f{number}": ("100644", "a") for number in range(8)}
    assert differences(wanted, {}) == "removed: f0, f1, f2, f3, f4, 3 more"
    assert differences(
        {"a/b/c": ("100644", "a")}, {"a/b/c": ("100644", "a"), "a/": ("40700", ""), "x/": ("40000", "")}
    ) == ("changed: a/; added: x/")
    assert differences(wanted, {**wanted, "f0": ("100755", "a"), "x": ("", "")}) == "changed: f0; added: x"


def test_a_file_in_a_submodule_and_in_the_place_of_one(tmp_path: Path) -> None:
    inner, inner_commit = make_repository(tmp_path / "inner.git", {"inner.h": "int inner;\n"})
    repository, _ = make_repository(tmp_path / "up.git", FILES)
    git(repository, "submodule", "--quiet", "add", "--name", "i", str(inner), "vendor/inner")
    git(repository, "config", "--file", ".gitmodules", "submodule.i.url", "../inner.git")
    commit = commit_tree(repository)
    sources = make_sources(tmp_path)
    for submodules in (True, False):
        source = GitSource(repo=f"{URL}up.git", commit=commit, version="b1", submodules=submodules)
        recipe = make_recipe(source)
        pinned = sources.pin(recipe)
        sources.prove(recipe, pinned)
        (sources.folder(pinned) / "vendor/inner/other.h").write_text("int other;\n")
        message, _ = refused(lambda recipe=recipe, pinned=pinned: sources.prove(recipe, pinned))  # type: ignore[misc]
        assert message.endswith(f"the pin says {pinned.patched_tree} (changed: vendor/inner)")
    mirror = sources.mirrors.mirror(f"{URL}inner.git")
    shutil.rmtree(sources.cache / "sources")
    tree = sources.mirrors.tree(mirror, inner_commit)
    replace_object(mirror, object_id("blob", b"int inner;\n"), "blob", b"int outer;\n")
    source = GitSource(repo=f"{URL}up.git", commit=commit, version="b1", submodules=True)
    message, hint = refused(lambda: sources.pin(make_recipe(source)))
    assert message.startswith(f"{mirror} serves other files for {inner_commit}: they are those of the tree ")
    assert message.endswith(f", not of {tree}")
    assert hint == f"delete {mirror}; it is then fetched again"


@pytest.mark.parametrize("patches", [(), (PATCH,)])
def test_a_mirror_with_other_bytes_for_a_file(tmp_path: Path, patches: tuple[str, ...]) -> None:
    """Of a patched file too: what the patch leaves alone is the mirror's."""
    sources, recipe, pinned, folder = pinned_in(tmp_path, *patches)
    shutil.rmtree(folder)
    mirror = sources.mirrors.mirror(f"{URL}up.git")
    other = MAIN.replace("return 1;", "return 6;").encode()
    replace_object(mirror, object_id("blob", MAIN.encode()), "blob", other)
    message, hint = refused(lambda: sources.pin(recipe))
    assert message.startswith(f"{mirror} serves other files for {pinned.tree}: they are those of the tree ")
    assert message.endswith(f", not of {pinned.tree}")
    assert hint == f"delete {mirror}; it is then fetched again"
    assert not folder.exists()
    shutil.rmtree(mirror)
    assert sources.pin(recipe) == pinned


def other_commit(tmp_path: Path) -> Commit:
    (tmp_path / "up.git" / "src/main.cpp").write_text("int other;\n")
    return commit_tree(tmp_path / "up.git")


def test_a_mirror_with_another_tree_for_the_commit(tmp_path: Path) -> None:
    sources, recipe, pinned, folder = pinned_in(tmp_path)
    shutil.rmtree(folder)
    mirror = sources.mirrors.mirror(f"{URL}up.git")
    other = sources.mirrors.tree(
        sources.mirrors.fetch(f"{URL}up.git", other_commit(tmp_path)),
        Commit(git(tmp_path / "up.git", "rev-parse", "HEAD").strip()),
    )
    text = git(mirror, "cat-file", "commit", pinned.commit).replace(pinned.tree, other).encode()
    replace_object(mirror, pinned.commit, "commit", text)
    message, hint = refused(lambda: sources.pin(recipe))
    assert (
        message
        == f"{mirror} serves other bytes for the commit {pinned.commit}: they are those of {object_id('commit', text)}"
    )
    assert hint == f"delete {mirror}; it is then fetched again"


def test_a_replacement_ref_passes_nothing_off_as_the_pinned_commit(tmp_path: Path) -> None:
    sources, recipe, pinned, folder = pinned_in(tmp_path)
    other = other_commit(tmp_path)
    mirror = sources.mirrors.fetch(f"{URL}up.git", other)
    git(mirror, "replace", pinned.commit, other)
    shutil.rmtree(folder)
    assert sources.pin(recipe) == pinned
    assert (folder / "src/main.cpp").read_text() == MAIN


@pytest.mark.parametrize("kind", ["commit", "blob"])
def test_a_remote_that_serves_other_bytes(tmp_path: Path, kind: str) -> None:
    """Git names what arrives by its bytes: what was asked for is then not there."""
    repository, commit = make_repository(tmp_path / "up.git", FILES)
    old = commit if kind == "commit" else object_id("blob", MAIN.encode())
    data = git(repository, "cat-file", kind, old).replace("1", "6", 1).encode()
    replace_object(repository / ".git", old, kind, data)
    sources = make_sources(tmp_path)
    recipe = make_recipe(GitSource(repo=f"{URL}up.git", commit=commit, version="b1"))
    message, hint = refused(lambda: sources.pin(recipe))
    where = f"{tmp_path}/up.git"
    assert message.startswith(
        f"{where} serves other bytes than those of the commit that {URL}up.git is pinned to: fatal: "
    )
    assert kind == "commit" or old in message
    assert hint == f"`git fsck` in {where} names what is damaged; or fetch from elsewhere"
    assert not (sources.cache / "sources").exists()


def test_a_pin_that_names_another_tree(tmp_path: Path) -> None:
    sources, recipe, pinned, _ = pinned_in(tmp_path, PATCH)
    mirror = sources.mirrors.mirror(f"{URL}up.git")
    for what, found, edited in (
        ("tree", pinned.tree, replace(pinned, tree="0" * 40)),
        ("patched tree", pinned.patched_tree, replace(pinned, patched_tree=pinned.tree)),
    ):
        said = edited.tree if what == "tree" else edited.patched_tree
        message, hint = refused(lambda edited=edited: sources.prove(recipe, edited))  # type: ignore[misc]
        assert message == f"mini: its pin says that the {what} is {said}, {mirror} has {found}"
        assert hint == f"delete pin.json in the folder of mini; if {mirror} was changed, delete that"


def test_a_patch_that_was_edited_after_it_was_pinned(tmp_path: Path) -> None:
    sources, recipe, pinned, _ = pinned_in(tmp_path, PATCH)
    path = tmp_path / "patches" / PATCH
    path.write_text(DIFF.replace("1111", "1112"))
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    wanted = hashlib.sha256(DIFF.encode()).hexdigest()
    message, hint = refused(lambda: sources.prove(recipe, pinned))
    assert (
        message
        == f"patches/{PATCH} was changed after it was pinned: its hash is {found}, the pin says {wanted}"
    )
    assert hint == "build again: the patch is then pinned as it is now"
    path.unlink()
    message, _ = refused(lambda: sources.prove(recipe, pinned))
    assert message.endswith(f"its hash is none, it is gone, the pin says {wanted}")


def archived(tmp_path: Path) -> tuple[Sources, SdistSource, PinnedSource]:
    sources, wanted = make_sources(tmp_path), archive_source(GOOD)
    place = sources.cache / "archives" / f"{wanted.sha256}.tar.gz"
    place.parent.mkdir(parents=True)
    place.write_bytes(GOOD)
    pinned = sources.pin(make_recipe(wanted))
    sources.prove(make_recipe(wanted), pinned)
    return sources, wanted, pinned


def test_an_archive_with_other_bytes(tmp_path: Path) -> None:
    sources, wanted, pinned = archived(tmp_path)
    place = sources.cache / "archives" / f"{wanted.sha256}.tar.gz"
    place.write_bytes(b"other")
    found = hashlib.sha256(b"other").hexdigest()
    expected = (
        f"{place} was changed: its hash is {found}, the recipe says {wanted.sha256}",
        "delete it; it is then fetched again",
    )
    assert refused(lambda: sources.prove(make_recipe(wanted), pinned)) == expected
    shutil.rmtree(sources.folder(pinned))
    assert refused(lambda: sources.pin(make_recipe(wanted))) == expected
    place.unlink()


def test_what_an_archive_was_unpacked_to_is_asked_again(tmp_path: Path) -> None:
    sources, wanted, pinned = archived(tmp_path)
    shutil.rmtree(sources.cache / "sources")
    (mirror,) = sources.mirrors.root.glob("*.git")
    (mirror / "ingot-tree").write_text(f"{EMPTY} 2020-01-01T00:00:00Z")
    git(mirror, "hash-object", "-w", "-t", "tree", os.devnull)
    message, hint = refused(lambda: sources.pin(make_recipe(wanted)))
    assert message == (
        f"{mirror} serves other files for {wanted.sdist}: they are those of the tree {EMPTY}, not of {pinned.tree}"
    )
    assert hint == f"delete {mirror}; it is then fetched again"


def test_a_git_file_in_an_archive_is_no_content(tmp_path: Path) -> None:
    """Archives made from a submodule hold one; git adds nothing of that name, so neither do we count it."""
    data = pack_archive("x-1/setup.py", "x-1/vendor/up/src/main.cpp", "x-1/vendor/up/.git")
    wanted = archive_source(data)
    sources = make_sources(tmp_path)
    place = sources.cache / "archives" / f"{wanted.sha256}.tar.gz"
    place.parent.mkdir(parents=True)
    place.write_bytes(data)
    pinned = sources.pin(make_recipe(wanted))
    sources.prove(make_recipe(wanted), pinned)
    assert not (sources.folder(pinned) / ".git").exists()
