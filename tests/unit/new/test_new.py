"""A repository's address to a recipe, over real git and no network."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from build.doors.commits import commit_folder, commit_patch
from build.doors.console import Console
from build.doors.git import CommitMissing, GitMirrors, git_output
from build.doors.remote import list_files, ls_remote, read_text
from build.errors import BadRecipes, BadRequest, Unreachable
from build.follow.new import NewRecipe, name_of, new
from build.pin.sample import SAMPLES_URL
from build.pin.source import Sources
from build.recipe.check import check
from build.recipe.model import GitSource, SmokeModel
from build.recipe.refs import Commit

pytestmark = pytest.mark.processes

ROOT = Path(__file__).parents[3]
MINIFORK = f"{SAMPLES_URL}minifork.git"
FORK = "https://github.com/owner/My_Fork.cpp.git"
DATE = "2026-01-01T00:00:00+0000"


@dataclass(frozen=True)
class Place:
    """A checkout with the samples, and a world in which one fork can be reached."""

    root: Path

    @property
    def sources(self) -> Sources:
        cache = self.root / ".cache"
        places = ((SAMPLES_URL, f"{cache}/samples/"), ("https://github.com/owner/", f"{self.root}/remote/"))
        return Sources(
            mirrors=GitMirrors(root=cache / "git", replacements=places),
            cache=cache,
            patches=self.root / "patches",
            samples=self.root / "samples",
            reporter=Console(),
        )

    def new(self, url: str, *, ref: str = "", name: str = "") -> NewRecipe:
        return new(url, ref=ref, name=name, root=self.root, sources=self.sources, reporter=Console())

    def fork(self, **files: str) -> Path:
        """Make the fork: `main` with these files (`a__b` is a/b), every file of it `CMakeLists.txt` or LICENSE."""
        folder = self.root / "work"
        for name, text in files.items():
            path = folder / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        remote = self.root / "remote" / "My_Fork.cpp.git"
        commit_folder(folder, remote, branch="main", message="one", date=DATE)
        return remote


@pytest.fixture(name="place")
def checkout(tmp_path: Path) -> Place:
    shutil.copytree(ROOT / "samples", tmp_path / "samples")
    (tmp_path / "recipes" / "toolchains").mkdir(parents=True)
    shutil.copy(ROOT / "recipes" / "toolchains" / "cuda-13.0.txt", tmp_path / "recipes" / "toolchains")
    return Place(tmp_path)


@pytest.mark.parametrize("ref", ["main", "next", ""])
def test_sample(place: Place, ref: str, capsys: pytest.CaptureFixture[str]) -> None:
    made = place.new(MINIFORK, ref=ref, name="minifork-two")
    (recipe,) = check(place.root)
    assert isinstance(recipe.source, GitSource)
    assert (made.file, recipe.name) == ("recipes/minifork-two.yaml", "minifork-two")
    assert (recipe.source.commit, recipe.source.version) == (made.commit, made.commit[:9])
    assert recipe.watch.branch == (ref or "main")
    assert {"MINI_CUDA": "ON", "MINI_BUILD_WEBUI": "OFF", "MINI_NATIVE": "OFF"}.items() <= {
        option.name: option.value for option in recipe.cmake
    }.items()
    assert recipe.runtime.entrypoint == ("/app/mini-server",)
    assert recipe.smoke.model is SmokeModel.MINI
    heard = capsys.readouterr()
    assert heard.out == ""
    assert all(decision in " ".join(heard.err.split()) for decision in made.decisions)


def test_the_second_branch_is_one_commit_ahead(place: Place) -> None:
    one, two = place.new(MINIFORK, ref="main", name="one"), place.new(MINIFORK, ref="next", name="two")
    remote = place.root / ".cache" / "samples" / "minifork.git"
    assert git_output(remote, "rev-parse", f"{two.commit}^").strip() == one.commit
    assert git_output(remote, "diff", "--name-only", one.commit, two.commit) == "common/args.cpp\n"
    assert place.new(MINIFORK, ref=two.commit, name="three").commit == two.commit


def test_a_fork_with_release_tags(place: Place) -> None:
    remote = place.fork(**{"CMakeLists.txt": ""})
    folder = place.root / "work"
    shutil.rmtree(folder)
    folder.mkdir()
    (folder / "CMakeLists.txt").write_text("project(x)\nadd_executable(x-server x.cpp)\n")
    commit = commit_folder(folder, remote, branch="main", message="two", date=DATE)
    author = {"GIT_COMMITTER_NAME": "x", "GIT_COMMITTER_EMAIL": "x@x.invalid"}
    git_output(remote, "tag", "--annotate", "--message=x", "v0.1.2", commit, env=author)
    made = place.new(FORK, ref="v0.1.2")
    (recipe,) = check(place.root)
    assert (made.name, made.version, made.commit) == ("my-fork-cpp", "v0.1.2", commit)
    assert recipe.watch.tags == "^v[0-9]+[.][0-9]+[.][0-9]+$"
    assert place.new(FORK, ref="main", name="by-branch").version == "v0.1.2"


def test_submodules_are_named(place: Place) -> None:
    remote = place.fork(
        **{"CMakeLists.txt": "project(x)", ".gitmodules": '[submodule "a"]\n\tpath = a\n\turl = ../a.git\n'}
    )
    head = git_output(remote, "rev-parse", "main").strip()
    env = {"GIT_INDEX_FILE": str(place.root / "index")}
    git_output(remote, "read-tree", head, env=env)
    git_output(remote, "update-index", "--add", "--cacheinfo", f"160000,{'a' * 40},a", env=env)
    who = {f"GIT_{role}_{key}": "x" for role in ("AUTHOR", "COMMITTER") for key in ("NAME", "EMAIL")}
    tree = git_output(remote, "write-tree", env=env).strip()
    commit = git_output(remote, "commit-tree", tree, "-m", "x", env=who).strip()
    git_output(remote, "update-ref", "refs/heads/main", commit)
    made = place.new(FORK)
    text = (place.root / made.file).read_text()
    assert "  # a at aaaaaaaaa of https://github.com/owner/a.git\n  submodules: true\n" in text


@pytest.mark.parametrize(
    ("url", "ref", "name", "message"),
    [
        ("file:///etc", "", "", "url: 'file:///etc' is a path on one machine"),
        ("-x", "", "", "url: '-x' looks like an option of git"),
        ("https://user:secret@github.com/owner/x.git", "", "",
         "url: 'https://***@github.com/owner/x.git' holds credentials"),
        (MINIFORK, "", "Bad Name", "name: 'Bad Name' is not a name"),
        (MINIFORK, "--upload-pack=x", "", "'--upload-pack=x' is not the name of a branch or tag, nor a commit"),
        (MINIFORK, "mainn", "", f"{MINIFORK} has no branch or tag 'mainn'"),
        (f"{SAMPLES_URL}other.git", "", "", f"there is no sample {SAMPLES_URL}other.git"),
    ],
)  # fmt: skip
def test_wrong_requests(place: Place, url: str, ref: str, name: str, message: str) -> None:
    with pytest.raises(BadRequest) as caught:
        place.new(url, ref=ref, name=name)
    assert (caught.value.message, caught.value.exit_code) == (message, 2)
    assert caught.value.hint
    assert list((place.root / "recipes").glob("*.yaml")) == []


def test_a_recipe_that_is_there_is_left_alone(place: Place) -> None:
    path = place.root / "recipes" / "minifork.yaml"
    path.write_text("mine\n")
    with pytest.raises(BadRequest, match=r"recipes/minifork\.yaml is there already"):
        place.new(MINIFORK)
    assert path.read_text() == "mine\n"


def test_an_image_that_another_recipe_has_gets_the_owners_name_too(place: Place) -> None:
    place.fork(**{"CMakeLists.txt": "project(x)"})
    first = place.new(FORK, name="my-fork")
    other = (place.root / first.file).read_text().replace("repository: my-fork", "repository: mine")
    (place.root / first.file).write_text(other)
    made = place.new(FORK, name="mine")
    recipes = {recipe.name: recipe for recipe in check(place.root)}
    assert recipes["mine"].image.repository == "mine-owner"
    assert "# Another recipe has the image mine." in (place.root / made.file).read_text()


@pytest.mark.parametrize(
    ("theirs", "message"),
    [
        (("repository: one", "repository: two"), "'two' is the image of recipes/one.yaml already"),
        (("name: one", "name: two"), "'two' is the name of recipes/one.yaml already"),
    ],
)
def test_without_a_free_name_nothing_is_written(place: Place, theirs: tuple[str, str], message: str) -> None:
    path = place.root / place.new(MINIFORK, name="one").file
    path.write_text(path.read_text().replace(*theirs))
    with pytest.raises(BadRequest) as caught:
        place.new(MINIFORK, name="two")
    assert (caught.value.message, caught.value.hint) == (message, "choose another with --name")
    assert [one.name for one in (place.root / "recipes").glob("*.yaml")] == ["one.yaml"]


def test_what_is_written_is_held_against_the_other_recipes(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the choice of a name ever misses a collision, the proof does not."""
    path = place.root / place.new(MINIFORK, name="one").file
    path.write_text(path.read_text().replace("repository: one", "repository: two"))
    monkeypatch.setattr("build.follow.new._repository", lambda name, *_: name)
    with pytest.raises(BadRecipes) as caught:
        place.new(MINIFORK, name="two")
    assert {problem.file for problem in caught.value.problems} == {"recipes/two.yaml"}
    assert not (place.root / "recipes" / "two.yaml").exists()


def test_faults_of_other_recipes_are_not_held_against_it(place: Place) -> None:
    (place.root / "recipes" / "broken.yaml").write_text("name: [\n")
    assert place.new(MINIFORK, name="two").name == "two"


def test_upstream_does_not_answer(place: Place) -> None:
    with pytest.raises(Unreachable) as caught:
        place.new("https://github.com/owner/nothing.git")
    assert caught.value.exit_code == 4
    assert "INGOT_GIT_MIRROR" in caught.value.hint


def test_a_commit_that_is_not_there(place: Place) -> None:
    with pytest.raises(CommitMissing):
        place.new(MINIFORK, ref="1" * 40, name="two")


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://github.com/Anbeeld/beellama.cpp", "beellama-cpp"),
        ("https://github.com/a/b.git/", "b"),
        ("https://github.com/a/__.git", ""),
    ],
)
def test_names(url: str, name: str) -> None:
    assert name_of(url) == name


def test_remote_and_mirror_are_read(place: Place) -> None:
    remote = place.fork(LICENSE="words\n")
    refs = ls_remote(place.sources.mirrors, FORK)
    commit = Commit(git_output(remote, "rev-parse", "main").strip())
    assert (refs.head, dict(refs.refs)) == ("refs/heads/main", {"HEAD": commit, "refs/heads/main": commit})
    assert list_files(remote, commit) == ("LICENSE",)
    assert read_text(remote, commit, "LICENSE") == "words\n"


def test_a_patch_that_does_not_fit_is_said(place: Place) -> None:
    remote = place.fork(LICENSE="words\n")
    commit = Commit(git_output(remote, "rev-parse", "main").strip())
    patch = ROOT / "samples" / "minifork-next.patch"
    with pytest.raises(Exception, match=r"minifork-next\.patch does not apply"):
        commit_patch(patch, remote, onto=commit, branch="next", message="x", date=DATE)
