"""Patches against a real index: what applies, what is refused, and in which words."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from build.doors.git import GitMirrors, TreeIndex
from build.pin.patches import PatchRefused, apply_patch, compiled, touched
from tests.unit.pin.repositories import DIFF, MAIN

pytestmark = pytest.mark.processes

FILE = "mini/0001-a.patch"
GONE = ": its target is gone, src/main.cpp has none of the lines that it changes"
FRESH = "write the patch anew against the pinned commit, or pin a commit that it fits"


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return GitMirrors(root=tmp_path_factory.mktemp("mirrors")).mirror("https://git.example.org/source")


@dataclass(frozen=True)
class Trees:
    """Makes an index that holds these files."""

    mirror: Path
    folder: Path

    def __call__(self, files: Mapping[str, str]) -> TreeIndex:
        for name, text in files.items():
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / name).write_bytes(text.encode())
        index = TreeIndex(mirror=self.mirror, index=self.folder.with_name("index"))
        index.import_folder(self.folder)
        return index


@pytest.fixture
def index_of(mirror: Path, tmp_path: Path) -> Trees:
    return Trees(mirror, tmp_path / "source")


@pytest.fixture
def index(index_of: Trees) -> TreeIndex:
    return index_of({"src/main.cpp": MAIN, "README.md": "# words\n"})


def apply(index: TreeIndex, tmp_path: Path, text: str | bytes) -> str:
    path = tmp_path / "a.patch"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return apply_patch(index, path, file=FILE).verdict


def refused(index: TreeIndex, tmp_path: Path, text: str) -> tuple[str, str]:
    before = index.write_tree()
    with pytest.raises(PatchRefused) as error:
        apply(index, tmp_path, text)
    assert index.write_tree() == before, "a refused patch left something behind"
    return error.value.message, error.value.hint


def content(index: TreeIndex, tmp_path: Path, name: str = "src/main.cpp") -> bytes:
    index.export(tmp_path / "exported")
    return (tmp_path / "exported" / name).read_bytes()


def test_a_patch_that_fits_is_clean(index: TreeIndex, tmp_path: Path) -> None:
    assert apply(index, tmp_path, DIFF) == "clean"
    assert content(index, tmp_path).decode() == MAIN.replace("return 11;", "return 1111;")


def test_moved_context_is_accepted_and_reported(index_of: Trees, tmp_path: Path) -> None:
    index = index_of({"src/main.cpp": "// one\n// two\n// three\n" + MAIN})
    assert apply(index, tmp_path, DIFF) == "offset 3"


def test_context_that_moved_up_is_reported_too(index_of: Trees, tmp_path: Path) -> None:
    index = index_of({"src/main.cpp": MAIN.split("\n", 2)[2]})
    assert apply(index, tmp_path, DIFF) == "offset -2"


def test_a_patch_that_needs_fuzz_is_refused(index_of: Trees, tmp_path: Path) -> None:
    index = index_of({"src/main.cpp": MAIN.replace("return 8;", "return 88;")})
    assert refused(index, tmp_path, DIFF) == (
        f"patches/{FILE} needs fuzz: at src/main.cpp:8 the lines around the change differ from the source",
        "refresh the patch against the pinned commit; it is applied exactly or not at all",
    )


def test_a_patch_that_is_in_the_source_is_refused(index: TreeIndex, tmp_path: Path) -> None:
    apply(index, tmp_path, DIFF)
    assert refused(index, tmp_path, DIFF) == (
        f"patches/{FILE} is already applied: the source has this change",
        "upstream took it? Remove it from the recipe's patches",
    )


def test_a_patch_without_its_target_is_refused(index_of: Trees, tmp_path: Path) -> None:
    index = index_of({"src/other.cpp": MAIN})
    assert refused(index, tmp_path, DIFF) == (
        f"patches/{FILE}: its target is gone: the source has no src/main.cpp",
        "upstream moved or removed it: write the patch anew, or drop it",
    )


def test_a_conflict_is_refused(index_of: Trees, tmp_path: Path) -> None:
    index = index_of({"src/main.cpp": MAIN.replace("return 11;", "return 42;")})
    message = f"patches/{FILE} conflicts with the source at src/main.cpp:8{GONE}"
    assert refused(index, tmp_path, DIFF) == (message, FRESH)


def test_blanks_are_context_like_everything_else(
    index_of: Trees, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the user told his own git to look away."""
    config = tmp_path / "gitconfig"
    config.write_text("[apply]\n\tignoreWhitespace = change\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    index = index_of({"src/main.cpp": MAIN.replace("int line_11()", "int  line_11()")})
    message = f"patches/{FILE} conflicts with the source at src/main.cpp:8{GONE}"
    assert refused(index, tmp_path, DIFF)[0] == message


def test_a_patch_of_words_alone_is_refused(index: TreeIndex, tmp_path: Path) -> None:
    patch = "--- a/README.md\n+++ b/README.md\n@@ -1 +1 @@\n-# words\n+# other words\n"
    assert refused(index, tmp_path, patch) == (
        f"patches/{FILE} touches no compiled file, only README.md: the image would be the same",
        "drop it, or name the file that was meant",
    )


@pytest.mark.parametrize("text", ["", "hello\n", "\x00\xff", "diff --git a/x b/x\n"])
def test_what_is_no_diff_is_refused(index: TreeIndex, tmp_path: Path, text: str) -> None:
    assert refused(index, tmp_path, text) == (
        f"patches/{FILE} is not a unified diff: it names no file",
        "make it with `git format-patch` or `git diff`",
    )


def test_a_diff_that_was_cut_off_is_refused(index: TreeIndex, tmp_path: Path) -> None:
    cut = "".join(DIFF.splitlines(keepends=True)[:6])
    assert refused(index, tmp_path, cut) == (
        f"patches/{FILE} is not a whole diff: corrupt patch at line 7",
        "make it with `git format-patch` or `git diff`",
    )


def test_two_patches_on_one_file_are_applied_in_order(index: TreeIndex, tmp_path: Path) -> None:
    second = DIFF.replace("-int line_11() { return 11;", "-int line_11() { return 1111;")
    second = second.replace("+int line_11() { return 1111;", "+int line_11() { return 22;")
    assert refused(index, tmp_path, second)[0].startswith(f"patches/{FILE} conflicts")
    assert apply(index, tmp_path, DIFF) == "clean"
    assert apply(index, tmp_path, second) == "clean"
    assert b"return 22;" in content(index, tmp_path)


def test_a_file_with_dos_line_ends_keeps_them(index_of: Trees, tmp_path: Path) -> None:
    index = index_of({"src/main.cpp": MAIN.replace("\n", "\r\n")})
    header, _, hunk = DIFF.partition("@@ -8")
    patch = header + "@@ -8" + hunk.replace("\n", "\r\n").replace("@@\r\n", "@@\n")
    assert apply(index, tmp_path, patch) == "clean"
    assert content(index, tmp_path).count(b"\r\n") == 20


def test_a_patch_with_other_line_ends_is_refused(index_of: Trees, tmp_path: Path) -> None:
    index = index_of({"src/main.cpp": MAIN.replace("\n", "\r\n")})
    assert refused(index, tmp_path, DIFF)[0] == f"patches/{FILE} conflicts with the source at src/main.cpp:8"


def test_a_patch_may_add_a_file(index: TreeIndex, tmp_path: Path) -> None:
    patch = "--- /dev/null\n+++ b/src/new.cpp\n@@ -0,0 +1 @@\n+int x;\n"
    assert apply(index, tmp_path, patch) == "clean"
    assert content(index, tmp_path, "src/new.cpp") == b"int x;\n"
    assert (
        refused(index, tmp_path, patch)[0] == f"patches/{FILE} is already applied: the source has this change"
    )
    message = f"patches/{FILE} conflicts with the source at src/new.cpp: already exists in index"
    assert refused(index, tmp_path, patch.replace("int x", "int y")) == (message, FRESH)


def test_a_patch_may_delete_a_file(index_of: Trees, tmp_path: Path) -> None:
    index = index_of({"src/main.cpp": "int x;\n", "src/b.cpp": "int b;\n"})
    patch = "--- a/src/main.cpp\n+++ /dev/null\n@@ -1 +0,0 @@\n-int x;\n"
    assert apply(index, tmp_path, patch) == "clean"
    index.export(tmp_path / "exported")
    assert sorted(path.name for path in (tmp_path / "exported" / "src").iterdir()) == ["b.cpp"]
    assert (
        refused(index, tmp_path, patch)[0] == f"patches/{FILE} is already applied: the source has this change"
    )


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("b/../escape.cpp", "../escape.cpp"),
        ("b/src/../../escape.cpp", "src/../../escape.cpp"),
        ("/etc/x.cpp", "/etc/x.cpp"),
    ],
)
def test_a_patch_that_leads_out_of_the_source_is_refused(
    index: TreeIndex, tmp_path: Path, name: str, shown: str
) -> None:
    patch = f"--- /dev/null\n+++ {name}\n@@ -0,0 +1 @@\n+int x;\n"
    assert refused(index, tmp_path, patch) == (
        f"patches/{FILE} leads out of the source: {shown}",
        "make it with `git format-patch` inside the source",
    )


def test_a_patch_that_writes_through_a_link_is_refused(index_of: Trees, tmp_path: Path) -> None:
    index = index_of({"src/main.cpp": MAIN})
    link = "diff --git a/out b/out\nnew file mode 120000\n--- /dev/null\n+++ b/out\n@@ -0,0 +1 @@\n+/etc\n\\ No newline at end of file\n"
    through = "diff --git a/out/x.cpp b/out/x.cpp\nnew file mode 100644\n--- /dev/null\n+++ b/out/x.cpp\n@@ -0,0 +1 @@\n+int x;\n"
    message = (
        f"patches/{FILE} conflicts with the source at affected file 'out/x.cpp' is beyond a symbolic link"
    )
    assert refused(index, tmp_path, link + through) == (message, FRESH)


@pytest.mark.parametrize(
    ("text", "files"),
    [
        (DIFF, ("src/main.cpp",)),
        (DIFF + DIFF.replace("main", "other"), ("src/main.cpp", "src/other.cpp")),
        ("--- a/x.cpp\t2026-01-01\n+++ b/x.cpp\t2026-01-01\n", ("x.cpp",)),
        ("--- a/x.cpp\n+++ /dev/null\n", ("x.cpp",)),
        ("--- /dev/null\n+++ b/x.cpp\n", ("x.cpp",)),
        ("a mail\n---\n 1 file changed\n", ()),
    ],
)
def test_the_files_of_a_diff(text: str, files: tuple[str, ...]) -> None:
    assert touched(text) == files


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("ggml/src/ggml-cuda/fattn.cu", True),
        ("CMakeLists.txt", True),
        ("cmake/x.cmake", True),
        ("docs/build.md", False),
        (".github/workflows/x.yml", False),
        ("LICENSE", False),
    ],
)
def test_what_takes_part_in_a_build(path: str, *, expected: bool) -> None:
    assert compiled(path) is expected
