"""A recipe moved to a candidate, over real git and no network."""

import difflib
import io
import shutil
import tarfile
from pathlib import Path

import pytest

from build.doors.git import CommitMissing, git_output
from build.doors.packageindex import IndexFile
from build.doors.store import sha256_file
from build.errors import BadRecipes, BadRequest, IngotError, WorkFailed
from build.follow.bump import Drift
from build.follow.bumped import Bump
from build.recipe.refs import Commit
from tests.unit.follow.making import commit_files
from tests.unit.follow.places import ARGS, CMAKE, FORK, HOST, PATCH, TREE, Place, Shelf

pytestmark = pytest.mark.processes

ROOT = Path(__file__).parents[2]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    shutil.copytree(ROOT / "recipes" / "toolchains", tmp_path / "recipes" / "toolchains")
    return Place(root=tmp_path, index=Shelf())


@pytest.fixture
def pinned(place: Place) -> Commit:
    """The first commit of the fork, pinned."""
    commit = commit_files(place.upstream, TREE, subject="first")
    place.write(commit)
    return commit


def test_what_changed(place: Place, pinned: Commit) -> None:
    commit_files(place.upstream, {"cuda/kernel.cu": "k\nnew\n"}, subject="cuda: faster @octocat #12 <b>")
    commit_files(
        place.upstream,
        {
            "CMakeLists.txt": CMAKE.replace("FORK_OLD", "FORK_NEW").replace('gpu" OFF', 'gpu" ON'),
            "common/arg.cpp": ARGS.replace("--draft-max", "--spec-draft-n-max"),
        },
        subject="rename",
    )
    head = commit_files(place.upstream, {"docs/read.md": "e\n"}, subject="docs")
    before = place.file.read_text()
    found = place.bump()
    assert found.move
    assert (found.move.new_commit, found.move.new_version) == (head, "b10")
    assert [(one.name, [commit.subject for commit in one.commits]) for one in found.groups] == [
        ("kernels", ["cuda: faster @octocat #12 <b>"]),
        ("server arguments", ["rename"]),
        ("build files", []),
        ("", ["docs"]),
    ]
    assert [(one.name, one.change, one.said) for one in found.options] == [
        ("FORK_OLD", "removed", "ON"),
        ("FORK_CUDA", "default", ""),
        ("FORK_NEW", "added", ""),
    ]
    assert (found.arguments_added, found.arguments_removed) == (("--spec-draft-n-max",), ("--draft-max",))
    assert found.promised_gone == ("--draft-max",), "the recipe's serve.args have it"
    assert (found.forward, found.rewritten) == (True, "")
    assert [
        line
        for line in difflib.ndiff(before.splitlines(), place.file.read_text().splitlines())
        if line[0] in "+-"
    ] == [
        f"-   commit: {pinned}  # the pin",
        f"+   commit: {head}  # the pin",
        "-   version: b7",
        "+   version: b10",
    ]
    assert place.recipe().source.version == "b10"
    page = place.page()
    assert "# fork: b7 to b10" in page
    assert "cuda: faster &#64;octocat &#35;12 \\<b\\>" in page, "no mention of a person, no link, no HTML"
    assert "| `FORK_OLD` | **removed** | `ON` |  | `ON` |" in page
    assert "**promised by the recipe and not named any more**: `--draft-max`" in page
    assert "### Not in the image: 1 commit, 1 file, +1 -1" in page


def test_twice_does_it_once(place: Place, pinned: Commit) -> None:
    head = commit_files(place.upstream, {"cuda/kernel.cu": "n\n"})
    assert place.bump().move
    before = place.file.read_bytes()
    again = place.bump()
    assert (again.move, again.reason) == (None, "the pin is the head of main")
    assert place.bump(to=head).reason == f"{head[:12]} is pinned already"
    assert place.file.read_bytes() == before
    assert head != pinned


def test_drift_is_flagged_and_the_pin_written(place: Place, pinned: Commit) -> None:
    lines = TREE["server/server.cpp"]
    assert lines
    head = commit_files(place.upstream, {"server/server.cpp": lines.replace("line 9\n", "other\n")})
    with pytest.raises(Drift) as drift:
        place.bump()
    assert drift.value.exit_code == 1
    assert (
        drift.value.message
        == "fork: the new pin is written, and these do not fit it: patches/fork/1.patch (conflict)"
    )
    assert isinstance(drift.value.answer, Bump)
    (verdict,) = drift.value.answer.patches
    assert (verdict.verdict, verdict.hunks[0].verdict) == ("conflict", "conflict")
    assert head in place.file.read_text()
    assert (place.root / "patches" / "fork" / "1.patch").read_text() == PATCH, "nothing is repaired"
    assert "**1 of 1 patches do not fit.**" in place.page()
    assert "goes when: the sample takes it" in place.page()
    assert pinned not in place.file.read_text()


def test_a_patch_that_upstream_took(place: Place, pinned: Commit) -> None:
    lines = TREE["server/server.cpp"]
    assert lines
    commit_files(place.upstream, {"server/server.cpp": lines.replace("line 10\n", "line ten\n")})
    with pytest.raises(Drift):
        place.bump()
    assert "| `fork/1.patch` | **already upstream** | server/server.cpp:8 already upstream |" in place.page()
    assert pinned


def rewrite(place: Place) -> Commit:
    """Upstream throws its history away: another root, and the old objects are gone."""
    other = commit_files(
        place.root / "remote" / "other.git", {**TREE, "cuda/kernel.cu": "z\n"}, subject="anew"
    )
    shutil.rmtree(place.upstream)
    shutil.copytree(place.root / "remote" / "other.git", place.upstream)
    return other


def test_a_rewritten_history_is_said_and_the_pin_stays_buildable(place: Place, pinned: Commit) -> None:
    sources = place.sources
    sources.pin(place.recipe())
    other = rewrite(place)
    old = place.recipe()
    found = place.bump(version="b8")
    assert found.move
    assert found.move.new_commit == other
    assert found.rewritten == (
        f"No branch and no tag of upstream leads to the pinned {pinned[:12]} any more; "
        "the mirror below the cache keeps it, so it stays buildable here."
    )
    assert "**History was rewritten.** No branch and no tag" in place.page()
    mirror = sources.mirrors.mirror(FORK)
    git_output(mirror, "reflog", "expire", "--expire=now", "--all")
    git_output(mirror, "gc", "--quiet", "--prune=now")
    shutil.rmtree(place.root / "cache" / "sources")
    assert sources.pin(old).commit == pinned, "built again from the mirror"
    assert sources.pin(place.recipe()).commit == other, "and so is the new one"


def test_a_pin_that_is_lost_everywhere(place: Place, pinned: Commit) -> None:
    other = rewrite(place)
    with pytest.raises(BadRequest) as unknown:
        place.bump()
    assert unknown.value.message == (
        f"{other[:12]} has no tag, and how many commits lie between it and b7 is not known"
    )
    assert pinned in place.file.read_text()
    found = place.bump(version="b8")
    assert found.rewritten.endswith("no mirror here has it.")
    assert found.groups == ()
    with pytest.raises(CommitMissing):
        place.sources.mirrors.fetch(FORK, pinned)


def test_back_to_an_older_state(place: Place, pinned: Commit) -> None:
    head = commit_files(place.upstream, {"cuda/kernel.cu": "n\n"})
    place.write(head, version="b8")
    found = place.bump(to=pinned)
    assert found.move
    assert (found.move.new_version, found.forward, found.rewritten) == ("b7", False, "")
    assert "does not build on the pinned one" in place.page()


def test_subjects_that_are_passed_over(place: Place, pinned: Commit) -> None:
    wanted = commit_files(place.upstream, {"cuda/kernel.cu": "n\n"}, subject="good")
    commit_files(place.upstream, {"cuda/kernel.cu": "o\n"}, subject="WIP: bad")
    place.write(pinned, watch="branch: main\n  ignore: ['^WIP']")
    found = place.bump()
    assert found.move
    assert (found.move.new_commit, found.move.new_version) == (wanted, "b8")
    commit_files(place.upstream, {"cuda/kernel.cu": "p\n"}, subject="WIP: worse")
    assert place.bump().reason == "all 2 new commits are passed over by watch.ignore"


def test_tags_name_the_version(place: Place, pinned: Commit) -> None:
    head = commit_files(place.upstream, {"cuda/kernel.cu": "n\n"})
    for tag in ("b9", "b10", "nightly"):
        git_output(place.upstream, "update-ref", f"refs/tags/{tag}", head)
    place.write(pinned, watch="tags: '^b[0-9]+$'")
    found = place.bump()
    assert found.move
    assert (found.move.ref, found.move.new_version) == ("b10", "b10")


def test_a_recipe_that_would_not_pass_is_left_alone(place: Place, pinned: Commit) -> None:
    commit_files(place.upstream, {"cuda/kernel.cu": "n\n"})
    before = place.file.read_bytes()
    with pytest.raises(BadRecipes) as refused:
        place.bump(version="nightly")
    assert "version 'nightly' has no build number for '{build}'" in [
        problem.message for problem in refused.value.problems
    ]
    assert place.file.read_bytes() == before
    assert not (place.root / "out").exists()
    assert pinned


def test_kin(place: Place, pinned: Commit) -> None:
    """fork -> parent -> root; the root is known from another recipe, about the parent."""
    root = commit_files(place.root / "remote" / "root.git", {"a": "1"}, date="2026-01-02T00:00:00+0000")
    shutil.copytree(place.root / "remote" / "root.git", place.root / "remote" / "parent.git")
    parent = commit_files(place.root / "remote" / "parent.git", {"b": "1"}, date="2026-01-03T00:00:00+0000")
    shutil.rmtree(place.upstream)
    shutil.copytree(place.root / "remote" / "parent.git", place.upstream)
    first = commit_files(place.upstream, TREE)
    commit_files(place.upstream, {"cuda/kernel.cu": "n\n"})
    for number in range(3):
        commit_files(place.root / "remote" / "root.git", {"a": f"later {number}"})
    place.write(first, more=f"\n  parent: {HOST}parent")
    text = (
        place.file.read_text()
        .replace("name: fork", "name: other")
        .replace("repository: fork", "repository: other")
    )
    text = text.replace(FORK, f"{HOST}parent.git").replace(f"{HOST}parent\n", f"{HOST}root\n")
    text = text[: text.index("patches:")] + text[text.index("variants:") :]
    (place.root / "recipes" / "other.yaml").write_text(text)
    (place.root / "remote" / "root").symlink_to("root.git")
    (place.root / "remote" / "parent").symlink_to("parent.git")
    found = place.bump()
    assert [(one.url, one.ahead, one.behind, one.base, one.synced) for one in found.relations] == [
        (f"{HOST}parent", 2, 0, parent, "2026-01-03T00:00:00Z"),
        (f"{HOST}root", 3, 3, root, "2026-01-02T00:00:00Z"),
    ]
    assert f"| {HOST}root | 3 | 3 | 2026-01-02 (`{root[:9]}`) |" in place.page()
    assert pinned != first


def test_kin_that_cannot_be_asked_is_no_reason_to_stop(place: Place, pinned: Commit) -> None:
    commit_files(place.upstream, {"cuda/kernel.cu": "n\n"})
    place.write(pinned, more=f"\n  parent: {HOST}nowhere")
    (relation,) = place.bump().relations
    assert relation.unknown.startswith("cannot reach ")


@pytest.mark.parametrize(
    ("wish", "kind", "message"),
    [
        ({"to": "no-such"}, BadRequest, f"{FORK} has no branch or tag 'no-such'"),
        ({"to": "--upload-pack=x"}, BadRequest, "--to '--upload-pack=x' is not the name of a branch, a tag, a version or a commit"),
        ({"commit": "abc"}, BadRequest, "--commit 'abc' is not a full commit"),
        ({"to": "0" * 40}, CommitMissing, f"{FORK} has no commit {'0' * 40}"),
    ],
)  # fmt: skip
def test_wishes_that_cannot_be_met(
    place: Place, pinned: Commit, wish: dict[str, str], kind: type[IngotError], message: str
) -> None:
    with pytest.raises(kind) as refused:
        place.bump(**{"version": "b8", **wish})
    assert refused.value.message == message
    assert refused.value.hint
    assert pinned in place.file.read_text()


def test_a_moved_tag_is_not_taken(place: Place, pinned: Commit) -> None:
    other = commit_files(place.upstream, {"cuda/kernel.cu": "n\n"})
    git_output(place.upstream, "update-ref", "refs/tags/b7", other)
    place.write(pinned, watch="tags: '^b[0-9]+$'")
    with pytest.raises(WorkFailed, match="fork: upstream moved the tag b7"):
        place.bump()


def archive(place: Place, version: str, kernel: str) -> IndexFile:
    """Lay an archive where the fetched ones lie, so that nothing is downloaded."""
    path = place.root / f"some_package-{version}.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for name, text in {**TREE, "cuda/kernel.cu": kernel}.items():
            data = (text or "").encode()
            info = tarfile.TarInfo(f"some_package-{version}/vendor/x/{name}")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    sha256 = sha256_file(path)
    (place.root / "cache" / "archives").mkdir(parents=True, exist_ok=True)
    path.rename(place.root / "cache" / "archives" / f"{sha256}.tar.gz")
    return IndexFile(url=f"https://files.example.org/{path.name}", sha256=sha256)


def test_an_archive(place: Place, pinned: Commit) -> None:
    old, new = archive(place, "1.9", "a\n"), archive(place, "1.10", "a\nb\n")
    place.index = Shelf(old, new)
    place.write(pinned, watch="schedule: weekly")
    text = place.file.read_text()
    repo = f"  repo: {FORK}\n"
    sdist = f"  sdist: some-package==1.9\n  # by its hash\n  sha256: {old.sha256}\n  subdir: vendor/x\n  upstream: {FORK}\n"
    place.file.write_text(text.replace(repo, sdist))
    with pytest.raises(BadRequest) as unsaid:
        place.bump()
    assert unsaid.value.message == f"some-package==1.10 does not say which commit of {FORK} it carries"
    assert "--to 1.10 --commit" in unsaid.value.hint
    commit = "c" * 40
    found = place.bump(commit=commit, version="b8")
    assert [(file.path, file.added, file.removed) for group in found.groups for file in group.files] == [
        ("cuda/kernel.cu", 1, 0)
    ]
    assert [one.verdict for one in found.patches] == ["clean"]
    expected = text.replace(repo, sdist).replace(old.sha256, new.sha256).replace("==1.9", "==1.10")
    assert place.file.read_text() == expected.replace(pinned, commit).replace("version: b7", "version: b8")
    assert "archive `some-package==1.10`" in place.page()
    assert place.bump(commit=commit, version="b8").reason == "1.10 is the newest"
    with pytest.raises(BadRequest, match=r"no source archive some-package '2\.0'"):
        place.bump(to="2.0", commit=commit, version="b9")
