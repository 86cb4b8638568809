"""What packs and unpacks the compile cache in the builder: real programs, ccache alone is none (tests/integration has it)."""

import os
import subprocess
import tarfile
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[3] / "dockerfiles" / "scripts"
CCACHE = '#!/bin/sh\necho "$CCACHE_DIR $CCACHE_MAXSIZE $*" > "$CCACHE_DIR/counted"\n'

pytestmark = pytest.mark.processes


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A cache whose three entries take 2, 3 and 42 blocks of an archive and were used in the opposite order."""
    for age, (name, size) in enumerate((("0/1/aR", 20_990), ("0/1/2/bM", 1_000), ("f/0/cR", 1))):
        path = tmp_path / "cache" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * size)
        os.utime(path, ns=(0, (1_000_000 + age) * 10**9))
    for name in (
        "0/stats",
        "0/CACHEDIR.TAG",
        "0/1/aR.tmp.x7",
        "tmp/cpp.1R",
        "ccache.conf",
        "0/1/two\nlinesR",
    ):
        path = tmp_path / "cache" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("none of it is an entry")
    return tmp_path / "cache"


def run(script: str, *words: object, check: bool = True, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ("sh", SCRIPTS / script, *map(str, words)),
        env={"PATH": "/usr/bin:/bin"} | env,
        check=check,
        capture_output=True,
        text=True,
    )


def packed(into: Path) -> tuple[set[str], list[int]]:
    assert sorted(path.name for path in into.iterdir()) == ["ccache.tar", "counts"]
    with tarfile.open(into / "ccache.tar") as archive:
        return set(archive.getnames()), [int(word) for word in (into / "counts").read_text().split()]


@pytest.mark.parametrize(
    ("limit", "names", "counts"),
    [
        (47 * 512, {"./f/0/cR", "./0/1/2/bM", "./0/1/aR"}, [3, 47 * 512, 0, 0]),
        (47 * 512 - 1, {"./f/0/cR", "./0/1/2/bM"}, [2, 5 * 512, 1, 42 * 512]),
        (3 * 512, {"./f/0/cR"}, [1, 2 * 512, 2, 45 * 512]),
        (1, set(), [0, 0, 3, 47 * 512]),
    ],
)
def test_what_was_used_last_is_packed(
    folder: Path, tmp_path: Path, limit: int, names: set[str], counts: list[int]
) -> None:
    run("pack-ccache.sh", folder, limit, tmp_path / "into")
    assert packed(tmp_path / "into") == (names, counts)
    assert sum(1 for path in folder.rglob("*") if path.is_file()) == 9, "the cache itself is as it was"


def test_an_entry_above_the_limit_by_itself_keeps_no_other_out(folder: Path, tmp_path: Path) -> None:
    with (folder / "f" / "0" / "zR").open("wb") as huge:
        huge.truncate(10**9)
    os.utime(folder / "f" / "0" / "zR", ns=(0, 4_000_000_000 * 10**9))
    run("pack-ccache.sh", folder, 5 * 512, tmp_path / "into")
    names, counts = packed(tmp_path / "into")
    assert names == {"./f/0/cR", "./0/1/2/bM"}
    assert counts[:3] == [2, 5 * 512, 2]


def test_a_cache_that_nothing_was_compiled_into(tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    run("pack-ccache.sh", tmp_path / "cache", 1000, tmp_path / "into")
    assert packed(tmp_path / "into") == (set(), [0, 0, 0, 0])


def test_an_entry_that_is_hit_while_it_is_read_is_packed(folder: Path, tmp_path: Path) -> None:
    """tar ends with 1: "file changed as we read it"."""
    hit = f"--checkpoint=1 --checkpoint-action=exec='touch {folder}/0/1/aR'"
    done = run("pack-ccache.sh", folder, 10**6, tmp_path / "into", TAR_OPTIONS=hit)
    assert "0/1/aR: file changed as we read it" in done.stderr
    assert packed(tmp_path / "into")[0] == {"./f/0/cR", "./0/1/2/bM", "./0/1/aR"}


def test_an_entry_that_vanishes_before_it_is_read_is_left_out(folder: Path, tmp_path: Path) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "tar").write_text(f'#!/bin/sh\nrm {folder}/0/1/2/bM\nexec /bin/tar "$@"\n')
    (programs / "tar").chmod(0o755)
    done = run("pack-ccache.sh", folder, 10**6, tmp_path / "into", PATH=f"{programs}:/usr/bin:/bin")
    assert "0/1/2/bM: Warning: Cannot stat: No such file" in done.stderr
    assert packed(tmp_path / "into")[0] == {"./f/0/cR", "./0/1/aR"}


def test_what_cannot_be_written_is_a_failure(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "into" / "ccache.tar").mkdir(parents=True)
    done = run("pack-ccache.sh", folder, 10**6, tmp_path / "into", check=False)
    assert done.returncode != 0
    assert "ccache.tar: Cannot open" in done.stderr


def unpack(tmp_path: Path, file: Path, into: Path, *, check: bool = True) -> subprocess.CompletedProcess[str]:
    programs = tmp_path / "ccache"
    programs.mkdir()
    (programs / "ccache").write_text(CCACHE)
    (programs / "ccache").chmod(0o755)
    path = f"{programs}:/usr/bin:/bin"
    return run("unpack-ccache.sh", file, into, tmp_path / "done", check=check, PATH=path)


def test_what_is_unpacked_is_counted_and_what_is_there_stays(folder: Path, tmp_path: Path) -> None:
    run("pack-ccache.sh", folder, 10**6, tmp_path / "into")
    new = tmp_path / "new"
    (new / "f" / "0").mkdir(parents=True)
    (new / "f" / "0" / "cR").write_text("newer")
    unpack(tmp_path, tmp_path / "into" / "ccache.tar", new)
    assert [(path.name, path.read_text()) for path in (tmp_path / "done").iterdir()] == [("entries", "3\n")]
    assert (new / "f" / "0" / "cR").read_text() == "newer"
    assert (new / "0" / "1" / "aR").stat().st_mtime == 1_000_000, "its age decides what is left out next time"
    assert (new / "counted").read_text() == f"{new} 0 --cleanup\n"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "does not look like a tar archive"),
        (b"half a file", "does not look like a tar archive"),
        (10_240, "Unexpected EOF in archive"),
        (9_000, "not recoverable"),
    ],
)
def test_a_file_that_is_no_whole_archive_is_told_and_changes_nothing(
    folder: Path, tmp_path: Path, data: bytes | int, said: str
) -> None:
    run("pack-ccache.sh", folder, 10**6, tmp_path / "into")
    file = tmp_path / "into" / "ccache.tar"
    file.write_bytes(file.read_bytes()[:data] if isinstance(data, int) else data)
    new = tmp_path / "new"
    new.mkdir()
    unpack(tmp_path, file, new)
    assert [path.name for path in (tmp_path / "done").iterdir()] == ["damage"]
    assert said in (tmp_path / "done" / "damage").read_text()
    assert list(new.iterdir()) == []


def test_a_tar_that_is_killed_is_not_the_files_fault(folder: Path, tmp_path: Path) -> None:
    run("pack-ccache.sh", folder, 10**6, tmp_path / "into")
    (tmp_path / "new").mkdir()
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "tar").write_text("#!/bin/sh\nkill -9 $$\n")
    (programs / "tar").chmod(0o755)
    words = (tmp_path / "into" / "ccache.tar", tmp_path / "new", tmp_path / "done")
    done = run("unpack-ccache.sh", *words, check=False, PATH=f"{programs}:/usr/bin:/bin")
    assert done.returncode != 0, "an error, for which the file stays"


def test_a_cache_that_cannot_be_written_is_not_the_files_fault(folder: Path, tmp_path: Path) -> None:
    run("pack-ccache.sh", folder, 10**6, tmp_path / "into")
    done = unpack(tmp_path, tmp_path / "into" / "ccache.tar", tmp_path / "absent", check=False)
    assert done.returncode == 2
    assert "absent: Cannot open: No such file or directory" in done.stderr
