import multiprocessing
import os
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest

from build.doors import store
from build.errors import BadRequest
from build.recipe.refs import Digest

DIGEST = Digest(f"sha256:{'a' * 64}")


@dataclass(frozen=True, kw_only=True)
class Inner:
    digest: Digest
    words: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Artifact:
    name: str
    inner: Inner
    pairs: tuple[tuple[str, int], ...] = ()


VALUE = Artifact(name="ü", inner=Inner(digest=DIGEST, words=("a", "b")), pairs=(("x", 1),))


def test_an_artifact_comes_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.json"
    store.write_artifact(path, VALUE)
    assert store.read_artifact(path, Artifact, made_by="x") == VALUE
    assert isinstance(store.read_artifact(path, Artifact, made_by="x").inner.digest, Digest)
    assert path.read_text().startswith('{\n  "name": "ü",\n')
    assert path.read_text().endswith("}\n")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("null", "a JSON object is expected, not NoneType"),
        ("[]", "a JSON object is expected, not list"),
        ("{", "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        ('{"name": "x"}', "required field missing @ $.inner"),
        (
            '{"name": "x", "inner": {"digest": "sha256:ff"}}',
            "@ $.inner.digest",
        ),
    ],
)
def test_a_broken_artifact_says_where(tmp_path: Path, text: str, what: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(BadRequest) as refused:
        store.read_artifact(path, Artifact, made_by="nox -s plan")
    assert refused.value.message.startswith(f"{path} is not what it should be: ")
    assert what in refused.value.message
    assert refused.value.hint == "make it with `nox -s plan`"
    assert store.read_known(path, Artifact) is None


def test_no_artifact_is_said_or_is_none(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="does not exist"):
        store.read_artifact(tmp_path / "a.json", Artifact, made_by="x")
    assert store.read_known(tmp_path / "a.json", Artifact) is None


def test_canonical_json_is_equal_for_equal_values() -> None:
    assert store.canonical_json({"b": [1, "ü"], "a": None}) == '{"a":null,"b":[1,"ü"]}'
    assert store.canonical_json({"a": None, "b": [1, "ü"]}) == store.canonical_json(
        {"b": [1, "ü"], "a": None}
    )
    with pytest.raises(ValueError, match=r"Out of range float values"):
        store.canonical_json(float("nan"))


def test_hashes(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("ü")
    assert store.sha256_file(tmp_path / "f") == store.sha256_text("ü")
    assert store.sha256_text("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_a_write_replaces_and_leaves_nothing_beside(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        store.write_text(tmp_path / "f", "old")
        store.write_text(tmp_path / "f", "new\n")
    finally:
        os.umask(before)
    assert [(p.name, p.read_text(), p.stat().st_mode & 0o777) for p in tmp_path.iterdir()] == [
        ("f", "new\n", 0o644)
    ]


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    store.write_text(tmp_path / "f", "old")
    with pytest.raises(UnicodeEncodeError):
        store.write_text(tmp_path / "f", "\udc00")
    assert (tmp_path / "f").read_text() == "old"


def test_discard_removes_links_and_not_what_they_lead_to(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").touch()
    (tmp_path / "link").symlink_to("folder")
    (tmp_path / "dead").symlink_to("nowhere")
    for name in ("link", "dead", "absent"):
        store.discard(tmp_path / name)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder"]
    store.discard(tmp_path / "folder" / "file")
    store.discard(tmp_path / "folder")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_replaced(tmp_path: Path) -> None:
    for name in ("new", "final", ".final.old"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    store.replace_dir(tmp_path / "new", tmp_path / "final")
    assert sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*")) == ["final", "final/new"]


def test_a_lock_makes_the_second_wait(tmp_path: Path) -> None:
    order: list[str] = []

    waits = threading.Event()

    def second() -> None:
        with store.locked(tmp_path / "x" / "lock", waits=waits.set):
            order.append("second")

    thread = threading.Thread(target=second)
    with store.locked(tmp_path / "x" / "lock", waits=lambda: order.append("waits")):
        thread.start()
        assert waits.wait(10)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def _die_with_lock(path: Path) -> None:
    with store.locked(path):
        os._exit(9)


@pytest.mark.processes
def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    process = multiprocessing.get_context("fork").Process(target=_die_with_lock, args=(tmp_path / "lock",))
    process.start()
    process.join()
    assert process.exitcode == 9
    with store.locked(tmp_path / "lock"):
        pass


def _die_in_scratch(parent: Path) -> None:
    with store.scratch(parent) as work:
        (work / "half").touch()
        os._exit(9)


@pytest.mark.processes
def test_what_a_killed_process_left_goes_and_nothing_else(tmp_path: Path) -> None:
    parent = tmp_path
    process = multiprocessing.get_context("fork").Process(target=_die_in_scratch, args=(parent,))
    process.start()
    process.join()
    assert list(parent.rglob("half")), "nobody was left to remove it"
    with store.scratch(parent) as one:
        assert not list(parent.rglob("half"))
        (one / "mine").touch()
        with store.scratch(parent) as other:
            assert [*one.iterdir(), *other.iterdir()] == [one / "mine"]
    assert [path.name for path in (parent / "scratch").iterdir()] == [".lock"]


def test_lines_are_added_and_read_back(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    assert store.read_lines(path, Artifact) == ()
    other = Artifact(name="b", inner=VALUE.inner)
    store.append_line(path, VALUE)
    store.append_line(path, other)
    assert store.read_lines(path, Artifact) == (VALUE, other)
    assert path.read_text().count("\n") == 2
    assert [file.name for file in tmp_path.iterdir() if ".part" in file.name] == []


def test_a_line_of_another_version_is_passed_over_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    path.write_text('{"old": 1}\nhalf a line')
    store.append_line(path, VALUE)
    assert store.read_lines(path, Artifact) == (VALUE,)
    assert path.read_text().startswith('{"old": 1}\nhalf a line\n{')


def append_many(path: Path, name: str) -> None:
    for number in range(20):
        store.append_line(path, Artifact(name=f"{name}{number}", inner=VALUE.inner))


def test_two_that_append_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    both = [threading.Thread(target=append_many, args=(path, name)) for name in "ab"]
    for one in both:
        one.start()
    for one in both:
        one.join()
    names = {one.name for one in store.read_lines(path, Artifact)}
    assert names == {f"{name}{number}" for name in "ab" for number in range(20)}


def test_lines_come_back_and_those_of_another_version_do_not(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.jsonl"
    assert store.read_lines(path, Artifact) == ()
    store.write_lines(path, (VALUE, VALUE))
    assert store.read_lines(path, Artifact) == (VALUE, VALUE)
    with path.open("ab") as file:
        file.write(b'{"name": "x"}\n{"name": \n\xff\n[]\n')
    assert store.read_lines(path, Artifact) == (VALUE, VALUE)


def test_text_is_added_to_somebody_else_s_file(tmp_path: Path) -> None:
    path = tmp_path / "summary.md"
    store.append_text(path, "one\n")
    store.append_text(path, "zwei ü\n")
    assert path.read_text(encoding="utf-8") == "one\nzwei ü\n"
