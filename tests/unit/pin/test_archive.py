"""Source archives: by hash or not at all, and never outside their folder."""

import hashlib
import io
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from build.doors.packageindex import IndexFile
from build.errors import BadRequest, WorkFailed
from build.pin.archive import fetch_archive
from build.recipe.model import SdistSource
from build.recipe.refs import Commit
from tests.unit.pin.repositories import MAIN, make_recipe, make_sources

NEWEST = 1_700_000_000


@dataclass
class FakeIndex:
    """A package index with one file, which may serve other bytes than it names."""

    data: bytes
    sha256: str = ""
    asked: list[str] = field(default_factory=list)

    def files(self, package: str) -> Iterable[IndexFile]:
        self.asked.append(package)
        named = self.sha256 or hashlib.sha256(self.data).hexdigest()
        return (
            IndexFile(url="https://i/other.whl", sha256="0" * 64),
            IndexFile(url="https://i/x.tar.gz", sha256=named),
        )

    def download(self, url: str) -> Iterable[bytes]:
        self.asked.append(url)
        return (self.data[:10], self.data[10:])


def pack(*names: str, link: str = "") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size, member.mtime = len(MAIN), NEWEST
            archive.addfile(member, io.BytesIO(MAIN.encode()))
        if link:
            member = tarfile.TarInfo("x-1/link")
            member.type, member.linkname = tarfile.SYMTYPE, link
            archive.addfile(member)
    return buffer.getvalue()


def source(data: bytes, *, subdir: str = "vendor/up", sha256: str = "") -> SdistSource:
    return SdistSource(
        sdist="Some_Package.x==1.0", sha256=sha256 or hashlib.sha256(data).hexdigest(), subdir=subdir,
        upstream="https://example.org/up", commit=Commit("a" * 40), version="b1",
    )  # fmt: skip


GOOD = pack("x-1/setup.py", "x-1/vendor/up/src/main.cpp")


def test_an_archive_is_fetched_by_its_hash_and_once(tmp_path: Path) -> None:
    index = FakeIndex(GOOD)
    for _ in range(2):
        with fetch_archive(source(GOOD), tmp_path, index=index) as unpacked:
            assert (unpacked.folder / "src/main.cpp").read_text() == MAIN
            assert unpacked.newest == "2023-11-14T22:13:20Z"
    assert index.asked == ["some-package-x", "https://i/x.tar.gz"]
    assert [p.suffix for p in (tmp_path / "archives").iterdir()] == [".gz"], "nothing else is left"


def test_an_index_without_the_hash(tmp_path: Path) -> None:
    with (
        pytest.raises(BadRequest) as refused,
        fetch_archive(source(GOOD, sha256="f" * 64), tmp_path, index=FakeIndex(GOOD)),
    ):
        pass
    assert refused.value.message == f"the package index has no file of Some_Package.x with sha256 {'f' * 64}"
    assert refused.value.hint == "compare source.sha256 with the index's page of Some_Package.x 1.0"


def test_an_index_that_serves_other_bytes(tmp_path: Path) -> None:
    wanted = source(GOOD)
    other = FakeIndex(b"something else", sha256=wanted.sha256)
    with pytest.raises(WorkFailed) as refused, fetch_archive(wanted, tmp_path, index=other):
        pass
    served = hashlib.sha256(b"something else").hexdigest()
    assert refused.value.message == (
        f"Some_Package.x==1.0: the index served sha256 {served}, the recipe says {wanted.sha256}"
    )
    assert refused.value.hint == "find out why before the pin is changed"
    assert list((tmp_path / "archives").iterdir()) == []


def test_an_archive_that_was_changed_on_disk(tmp_path: Path) -> None:
    wanted = source(GOOD)
    path = tmp_path / "archives" / f"{wanted.sha256}.tar.gz"
    path.parent.mkdir()
    path.write_bytes(b"changed")
    with pytest.raises(WorkFailed) as refused, fetch_archive(wanted, tmp_path, index=FakeIndex(GOOD)):
        pass
    found = hashlib.sha256(b"changed").hexdigest()
    assert (
        refused.value.message == f"{path} was changed: its hash is {found}, the recipe says {wanted.sha256}"
    )
    assert refused.value.hint == "delete it; it is then fetched again"


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (pack("x-1/../../escape"), "'x-1/../../escape' would be extracted to"),
        (pack("x-1/a", link="/etc"), "'x-1/link' is a link to an absolute path"),
        (pack("x-1/a", link="../../out"), "'x-1/link' would link to"),
        (b"no archive", "not a gzip file"),
    ],
)
def test_an_archive_that_leads_out_of_its_folder(tmp_path: Path, data: bytes, why: str) -> None:
    with pytest.raises(WorkFailed) as refused, fetch_archive(source(data), tmp_path, index=FakeIndex(data)):
        pass
    assert refused.value.message.startswith("Some_Package.x==1.0 cannot be unpacked: ")
    assert why in refused.value.message
    assert not (tmp_path / "escape").exists()
    assert not (tmp_path / "archives" / "escape").exists()


def test_an_archive_without_the_folder(tmp_path: Path) -> None:
    with (
        pytest.raises(BadRequest) as refused,
        fetch_archive(source(GOOD, subdir="vendor/other"), tmp_path, index=FakeIndex(GOOD)),
    ):
        pass
    assert refused.value.message == "Some_Package.x==1.0 has no folder vendor/other"


@pytest.mark.processes
def test_an_archive_becomes_a_tree(tmp_path: Path) -> None:
    sources = make_sources(tmp_path)
    wanted = source(GOOD)
    with fetch_archive(wanted, sources.cache, index=FakeIndex(GOOD)):
        pass
    pinned = sources.pin(make_recipe(wanted))
    assert (pinned.archive_sha256, pinned.commit, pinned.committed_at) == (
        wanted.sha256,
        "a" * 40,
        "2023-11-14T22:13:20Z",
    )
    assert (sources.folder(pinned) / "src/main.cpp").read_text() == MAIN
    dated = sources.pin(make_recipe(replace(wanted, committed="2026-06-01")))
    assert dated.committed_at == "2026-06-01T00:00:00Z"
