"""A rule and refs: the candidate, or why there is none."""

from datetime import timedelta
from typing import Any

import pytest

from build.doors.packageindex import IndexFile
from build.doors.remote import RemoteRefs
from build.follow.candidates import Candidate, Faulty, Nothing, in_archives, in_refs, in_time, unasked
from build.recipe.model import Watch
from build.recipe.refs import Commit
from tests.unit.follow.making import OLD, git_recipe, lock_recipe, sdist_recipe, sha

NEW = sha("1")


def refs(**named: Commit) -> RemoteRefs:
    """`h_main` is a branch, `t_b9` a tag; two underscores are a dot."""
    kinds = {"h": "refs/heads/", "t": "refs/tags/"}
    pairs = ((kinds[name[0]] + name[2:].replace("__", "."), commit) for name, commit in named.items())
    head = named.get("h_main", OLD)
    # As a remote lists them: the default branch under another name too, and refs that nobody follows.
    return RemoteRefs(head="refs/heads/main", refs=(("HEAD", head), *pairs, ("refs/pull/1/head", head)))


@pytest.mark.parametrize(
    ("there", "watch", "version", "expected"),
    [
        ({"h_main": NEW}, {"branch": "main"}, "b9", ("main", NEW, NEW[:9], f"main moved on from {OLD[:9]}")),
        ({"h_main": NEW, "t_b10": NEW}, {"branch": "main"}, "b9", ("main", NEW, "b10", f"main moved on from {OLD[:9]}")),
        ({"t_b9": OLD, "t_b10": NEW}, {"tags": "^b[0-9]+$"}, "b9", ("b10", NEW, "b10", "newest of 2 tags")),
        (
            {"t_b9999": OLD, "t_b10000": NEW, "t_x1": sha("2")},
            {"tags": "^b[0-9]+$"}, "b9999",
            ("b10000", NEW, "b10000", "newest of 2 tags"),
        ),
        (
            {"t_v1__0": OLD, "t_v1__1": NEW, "t_v1__2": sha("2")},
            {"tags": "^v", "ignore": ("^v1[.]2$",)}, "v1.0",
            ("v1.1", NEW, "v1.1", "newest of 3 tags"),
        ),
        (
            {"t_v1__1": NEW}, {"tags": "^v"}, "abcdef123",
            ("v1.1", NEW, "v1.1", "newest of 1 tags; the pin has none"),
        ),
        # The version is ours, the tag upstream's: the commit says which one it is.
        (
            {"t_v1__0": OLD, "t_v1__1": NEW}, {"tags": "^v"}, "b9",
            ("v1.1", NEW, "v1.1", "newest of 2 tags"),
        ),
    ],
)  # fmt: skip
def test_candidates(
    there: dict[str, Commit], watch: dict[str, Any], version: str, expected: tuple[str, str, str, str]
) -> None:
    found = in_refs(git_recipe(version=version, **watch), refs(**there))
    ref, commit, name, why = expected
    assert found == Candidate(recipe="fork", ref=ref, commit=commit, version=name, pinned=version, why=why)


@pytest.mark.parametrize(
    ("there", "watch", "reason"),
    [
        ({"h_main": OLD}, {"branch": "main"}, "the pin is the head of main"),
        ({"t_b9": OLD, "t_b8": NEW}, {"tags": "^b"}, "b9 is the newest"),
        ({"t_b8": NEW}, {"tags": "^b"}, "b9 is pinned, upstream's newest is the older b8"),
        ({"t_b9": OLD, "t_b10": OLD}, {"tags": "^b"}, "b10 is the newest"),
        ({"h_main": NEW, "t_bad": NEW}, {"branch": "main", "ignore": ("^bad",)}, "bad is passed over: ignore '^bad'"),
        ({"t_b9": OLD, "t_b10": NEW}, {"tags": "^b", "ignore": ("0$",)}, "b10 is passed over: ignore '0$'"),
    ],
)  # fmt: skip
def test_reasons(there: dict[str, Commit], watch: dict[str, Any], reason: str) -> None:
    assert in_refs(git_recipe(**watch), refs(**there)) == Nothing(recipe="fork", reason=reason)


@pytest.mark.parametrize(
    ("there", "watch", "message", "hint"),
    [
        ({"h_master": NEW}, {"branch": "main"}, "upstream has no branch 'main' any more", "it has master"),
        (
            {"t_b9": NEW}, {"tags": "^b"},
            "upstream moved the tag b9: 000000000000 is pinned, it is 111111111111 now",
            f"look at the difference first: nox -s bump -- fork --to {NEW}",
        ),
        ({"t_v1": NEW}, {"tags": "^x"}, "none of 1 tags matches '^x'", "correct watch.tags, or say enabled: false"),
    ],
)  # fmt: skip
def test_what_a_person_must_look_at(
    there: dict[str, Commit], watch: dict[str, Any], message: str, hint: str
) -> None:
    found = in_refs(git_recipe(**watch), refs(**there))
    assert found == Faulty(recipe="fork", message=message, hint=hint)


def test_some_are_not_asked() -> None:
    resting = git_recipe(enabled=False, reason="merged upstream")
    assert unasked(resting) == Nothing(recipe="fork", reason="not followed: merged upstream")
    assert unasked(lock_recipe()) == Nothing(
        recipe="wheels", reason="made of locked wheels: recipes/wheels.txt is renewed"
    )
    assert unasked(git_recipe(branch="main")) is None


@pytest.mark.parametrize(
    ("schedule", "hours", "reason"),
    [
        ("daily", 20.0, "b10 waits 1 d: daily, and the pin is 20 h old"),
        ("daily", 21.5, ""),
        ("weekly", 49.0, "b10 waits 5 d: weekly, and the pin is 2 d old"),
        ("weekly", 7 * 24.0, ""),
        ("monthly", 7 * 24.0, "b10 waits 23 d: monthly, and the pin is 7 d old"),
        ("monthly", None, ""),
    ],
)
def test_the_schedule(schedule: str, hours: float | None, reason: str) -> None:
    found = Candidate(recipe="fork", ref="b10", commit=NEW, version="b10", pinned="b9", why="")
    since = None if hours is None else timedelta(hours=hours)
    expected = Nothing(recipe="fork", reason=reason) if reason else found
    assert in_time(found, Watch(schedule=schedule), since) == expected


def archive(
    version: str, *, package: str = "some_package", sha256: str = "a", yanked: bool = False
) -> IndexFile:
    url = f"https://files.example.org/{package}-{version}.tar.gz"
    return IndexFile(url=url, sha256=sha256 * 64, yanked=yanked)


@pytest.mark.parametrize(
    ("files", "watch", "expected"),
    [
        ([archive("1.9"), archive("1.10")], {}, "1.10"),
        ([archive("1.9"), archive("2.0rc1")], {}, "1.9 is the newest"),
        ([archive("1.9"), archive("2.0rc1")], {"tags": "^2"}, "2.0rc1"),
        ([archive("1.9"), archive("1.10", yanked=True)], {}, "1.9 is the newest"),
        ([archive("1.9"), archive("1.10", sha256="")], {}, "1.9 is the newest"),
        ([archive("1.9"), archive("1.10", package="other")], {}, "1.9 is the newest"),
        ([archive("1.9"), archive("1.10")], {"ignore": ("10$",)}, "1.10 is passed over: ignore '10$'"),
        ([archive("1.8")], {}, "1.9 is pinned, upstream's newest is the older 1.8"),
    ],
)
def test_archives(files: list[IndexFile], watch: dict[str, Any], expected: str) -> None:
    match in_archives(sdist_recipe(**watch), files):
        case Candidate(ref=ref, commit=""):
            assert ref == expected
        case Nothing(reason=reason):
            assert reason == expected
        case other:
            pytest.fail(str(other))


def test_a_package_that_the_index_does_not_know() -> None:
    assert in_archives(sdist_recipe(), []) == Faulty(
        recipe="archive",
        message="the package index has no source archive of some-package",
        hint="is it spelt as the index spells it?",
    )
