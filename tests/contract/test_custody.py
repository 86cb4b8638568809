"""Copies that outlive their origins, over an OCI layout folder and over the distribution's server on loopback."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from build.doors import process, store
from build.doors.bakefile import layout_digest
from build.doors.download import ReadingRegistry
from build.doors.effects import Builder
from build.doors.git import GitMirrors
from build.doors.packageindex import IndexFile
from build.doors.registry import Manifest
from build.doors.shelf import LayoutShelf, RegistryShelf
from build.errors import CommandFailed, Unreachable, WorkFailed
from build.host import registry as server
from build.pin.custody import Custody, Shelf, git_name
from build.pin.images import ImageStore
from build.pin.locks import DebianLock, read_cuda_lock, read_package_lock
from build.pin.model import PinnedImage
from build.pin.packages import Packages
from build.pin.resolve import Resolver
from build.pin.source import Sources
from build.pin.wheels import Pip, wheels_folder
from build.publish.custody import Kept, keep, pieces
from build.publish.origins import Checked, check_origins, origins, verdict
from build.recipe.model import Family, GitSource, PackagesSource, Recipe, VendorSource
from build.recipe.patchsets import PatchSet
from build.recipe.refs import Commit, Digest, ImageRef
from build.settings import from_env
from tests.fakes import RecordingReporter
from tests.layouts import write_layout
from tests.unit.pin import test_packages as made_wheels
from tests.unit.pin.repositories import git, make_recipe, make_repository
from tests.unit.publish.published import Silent

pytestmark = pytest.mark.processes

ROOT = Path(__file__).resolve().parents[2]
WHEEL = b"a wheel"
HASH = hashlib.sha256(WHEEL).hexdigest()
DEBIAN = DebianLock(suite="s", image="debian:x", digest="sha256:" + "1" * 64, toolchain_packages=("g++",))
REF_NAME = "org.opencontainers.image.ref.name"
MAIN, INNER = "https://code.example.invalid/main.git", "https://code.example.invalid/inner.git"


@pytest.fixture(scope="session")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    settings = from_env({"INGOT_CACHE": str(tmp_path_factory.mktemp("cache"))}, Path.cwd())
    yield server.start(settings, Silent()).address
    server.stop(settings, purge=True)


@pytest.fixture(params=["layout", pytest.param("registry", marks=pytest.mark.engine)])
def shelf(request: pytest.FixtureRequest, tmp_path: Path) -> Shelf:
    if request.param == "layout":
        return LayoutShelf(root=tmp_path / "kept")
    repository = ImageRef(
        registry=request.getfixturevalue("address"), repository=f"team/{uuid4().hex}/custody"
    )
    return RegistryShelf(registry=ReadingRegistry(docker_config=tmp_path), repository=repository)


class Index:
    """A package index with one wheel."""

    def __init__(self, *hashes: str) -> None:
        self.hashes = hashes

    def files(self, _package: str) -> tuple[IndexFile, ...]:
        return tuple(IndexFile(url="https://files.example.invalid/x.whl", sha256=one) for one in self.hashes)

    def download(self, _url: str) -> tuple[bytes, ...]:
        raise AssertionError


class Machine:
    """A cache of its own, with the doors of a machine that makes no image."""

    def __init__(
        self,
        folder: Path,
        upstream: Path,
        custody: Shelf | None,
        *,
        first: bool = False,
        pip: Pip = process.run,
    ) -> None:
        self.cache = folder / "cache"
        self.reporter = RecordingReporter()
        self.toolchains = folder / "toolchains"
        store.write_text(self.toolchains / "cuda-13.0.txt", f"nvidia-nvcc==1.0 --hash=sha256:{HASH}\n")
        store.write_artifact(self.toolchains / "debian.json", DEBIAN)
        self.custody = (
            Custody(shelf=custody, first=first, cache=self.cache / "custody", reporter=self.reporter)
            if custody
            else None
        )

        def no_builder() -> Builder:
            message = "nothing is made here"
            raise Unreachable(message)

        images = ImageStore(
            cache=self.cache,
            templates=ROOT / "dockerfiles",
            builder=no_builder,
            reporter=self.reporter,
            registry_has=lambda _reference: True,
            custody=self.custody,
        )
        sources = Sources(
            mirrors=GitMirrors(
                root=self.cache / "git",
                replacements=(("https://code.example.invalid/", f"{upstream}/"),),
            ),
            cache=self.cache,
            patches=folder / "patches",
            samples=folder / "samples",
            reporter=self.reporter,
            custody=self.custody,
        )
        self.resolver = Resolver(
            sources=sources,
            packages=Packages(
                recipes=folder / "recipes",
                samples=folder / "samples",
                cache=self.cache,
                reporter=self.reporter,
                pip=pip,
                custody=self.custody,
            ),
            images=images,
            toolchains=self.toolchains,
            patches=folder / "patches",
            base_mode="registry",
        )

    def make_images(self, recipe: Recipe) -> None:
        """Put down what an engine would have made, and the wheels."""
        images, lock = self.resolver.images, read_cuda_lock(self.toolchains, "13.0")
        keys = {
            "base": images.debian_locks(DEBIAN, recipe.runtime.packages)["registry"],
            "toolchain-13.0-registry": images.toolchain_lock(lock, DEBIAN),
        }
        for name, key in keys.items():
            place = self.cache / "images" / f"{name}-{key[:12]}"
            write_layout(place / "layout", [{"a": b"shared" * 400}, {name: name.encode()}])
            made = PinnedImage(
                lock=key,
                digest=layout_digest(place / "layout"),
                origin="registry: debian:x",
                packages=("a=1",),
            )
            store.write_artifact(place / "pinned.json", made)
            if name.startswith("toolchain"):
                store.write_text(place / "driver-stub" / "libcuda.so.1", "a stub")
        folder = wheels_folder(lock, "x86_64", self.cache)
        folder.mkdir(parents=True)
        (folder / "nvidia_nvcc-1.0-py3-none-any.whl").write_bytes(WHEEL)

    def keep(self, recipe: Recipe) -> tuple[Kept, ...]:
        assert self.custody
        pin = self.resolver.resolve(recipe, known=None)
        return keep(pieces(recipe, pin, self.resolver), self.custody, self.reporter)

    def check(
        self, recipe: Recipe, *, index: Index | None = None, base: bool | Exception = True
    ) -> list[Checked]:
        return self.check_all([recipe], index=index, base=base)

    def check_all(
        self, recipes: list[Recipe], *, index: Index | None = None, base: bool | Exception = True
    ) -> list[Checked]:
        def registry_has(_reference: str) -> bool:
            if isinstance(base, Exception):
                raise base
            return base

        asked = [
            one
            for recipe in recipes
            for one in origins(recipe, self.resolver, registry_has, index or Index(HASH))
        ]
        return [*check_origins(asked, self.custody.shelf if self.custody else None, self.reporter)]


@pytest.fixture
def upstream(tmp_path: Path) -> Path:
    """Two repositories, one a submodule of the other."""
    folder = tmp_path / "upstream"
    inner, commit = make_repository(folder / "inner-work", {"inner.h": "int inner;\n"})
    main, _ = make_repository(folder / "work", {"a.cpp": "int a;\n", ".gitmodules": (
        f'[submodule "inner"]\n\tpath = inner\n\turl = {INNER}\n')})  # fmt: skip
    git(main, "update-index", "--add", "--cacheinfo", f"160000,{commit},inner")
    git(main, "commit", "--quiet", "--message", "with a submodule")
    for work, name in ((main, "main.git"), (inner, "inner.git")):
        git(folder, "clone", "--quiet", "--bare", str(work), name)
    return folder


@pytest.fixture
def recipe(upstream: Path) -> Recipe:
    head = Commit(git(upstream / "main.git", "rev-parse", "HEAD").strip())
    return make_recipe(GitSource(repo=MAIN, commit=head, version="1", submodules=True))


@pytest.fixture
def here(tmp_path: Path, upstream: Path, shelf: Shelf, recipe: Recipe) -> Machine:
    machine = Machine(tmp_path / "here", upstream, shelf)
    machine.make_images(recipe)
    return machine


def elsewhere(tmp_path: Path, shelf: Shelf, *, first: bool = False) -> Machine:
    """A machine with nothing on it, to which no origin answers."""
    return Machine(tmp_path / uuid4().hex, tmp_path / "nowhere", shelf, first=first)


def test_a_pin_is_proven_from_the_copies_alone(
    tmp_path: Path, here: Machine, shelf: Shelf, recipe: Recipe, upstream: Path
) -> None:
    pin = here.resolver.resolve(recipe, known=None)
    kept = here.keep(recipe)
    assert [one.sent > 0 for one in kept] == [True] * len(kept)
    shutil.rmtree(upstream)
    other = elsewhere(tmp_path, shelf)
    assert other.resolver.resolve(recipe, known=None) == pin, "where bytes come from is no part of a pin"
    other.resolver.prove(recipe, pin)
    folder = other.resolver.sources.folder(pin.source)
    assert (folder / "inner" / "inner.h").read_text() == "int inner;\n"
    assert pin.toolchain
    stub = other.resolver.images.driver_stub("13.0", pin.toolchain)
    assert stub.read_text() == "a stub"
    said = "\n".join(words for _, words in other.reporter.said)
    assert f"{MAIN} at {pin.source.commit[:12]}: a copy out of {shelf}, because its origin gives none" in said
    assert f"base image, Debian s: a copy out of {shelf}; its origin was not asked" in said


def test_what_is_there_is_not_sent_again(here: Machine, recipe: Recipe) -> None:
    first = here.keep(recipe)
    again = here.keep(recipe)
    assert [(one.name, one.digest, one.size, one.sent) for one in again] == [
        (one.name, one.digest, one.size, 0) for one in first
    ]


def test_equal_bytes_are_kept_once(here: Machine, recipe: Recipe, tmp_path: Path) -> None:
    here.keep(recipe)
    kept = tmp_path / "kept"
    if kept.is_dir():
        blobs = [path for path in (kept / "blobs" / "sha256").iterdir() if not path.name.startswith(".")]
        assert all(store.sha256_file(path) == path.name for path in blobs)
        names = [one["digest"] for one in json.loads((kept / "index.json").read_text())["manifests"]]
        assert len(set(names)) == len(names)
    base = here.resolver.resolve(recipe, known=None).base
    layers = json.loads(
        (here.resolver.images.layout("base", base) / "blobs" / "sha256" / base.digest.hex).read_text()
    )
    assert here.custody
    assert here.custody.shelf.has_blob(Digest(layers["layers"][0]["digest"]))


class Failing:
    """A place of copies that is lost at the n-th blob or manifest."""

    def __init__(self, shelf: Shelf, left: int) -> None:
        self.shelf, self.left = shelf, left

    def __getattr__(self, name: str) -> object:
        if name in {"put", "put_blob"}:
            self.left -= 1
            if self.left < 0:
                message = "the line went dead"
                raise Unreachable(message)
        return getattr(self.shelf, name)


def test_a_copy_that_was_cut_short_is_completed(here: Machine, shelf: Shelf, recipe: Recipe) -> None:
    pin = here.resolver.resolve(recipe, known=None)
    assert here.custody
    cuts = 0
    while cuts < 60:
        failing = replace(here.custody, shelf=Failing(shelf, 3))  # type: ignore[arg-type]
        try:
            keep(pieces(recipe, pin, here.resolver), failing, here.reporter)
            break
        except Unreachable:
            cuts += 1
    assert 3 <= cuts < 60, "each run got a little further"
    assert sum(one.sent for one in here.keep(recipe)) == 0


def test_a_toolchain_that_was_made_anew_replaces_the_record(here: Machine, recipe: Recipe) -> None:
    first = here.keep(recipe)
    pin = here.resolver.resolve(recipe, known=None)
    place = here.resolver.images.layout("base", pin.base).parent
    shutil.rmtree(place / "layout")
    write_layout(place / "layout", [{"a": b"other packages"}])
    made = replace(pin.base, digest=layout_digest(place / "layout"), packages=("a=2",))
    store.write_artifact(place / "pinned.json", made)
    again = {one.name: one for one in here.keep(recipe)}
    (record,) = [one for one in first if one.name.startswith("base-")]
    assert again[record.name].digest != record.digest


def test_a_copy_that_was_changed_is_refused(tmp_path: Path, here: Machine, recipe: Recipe) -> None:
    shelf = LayoutShelf(root=tmp_path / "folder")
    pin = here.resolver.resolve(recipe, known=None)
    assert here.custody
    keep(pieces(recipe, pin, here.resolver), replace(here.custody, shelf=shelf), here.reporter)
    assert isinstance(recipe.source, GitSource)
    found = shelf.find(git_name(MAIN, recipe.source.commit))
    assert found
    blob = json.loads(found.data)["layers"][0]["digest"].removeprefix("sha256:")
    path = tmp_path / "folder" / "blobs" / "sha256" / blob
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(WorkFailed, match="is damaged: its digest is sha256:") as error:
        elsewhere(tmp_path, shelf).resolver.resolve(recipe, known=None)
    assert str(path) in error.value.message


def test_a_copy_under_a_wrong_name_is_refused(
    tmp_path: Path, here: Machine, shelf: Shelf, recipe: Recipe
) -> None:
    """The hash of a pack says nothing of the commit: git itself does."""
    here.keep(recipe)
    assert isinstance(recipe.source, GitSource)
    inner = next(commit for _, commit in here.resolver.sources.repositories(recipe.source)[1:])
    other = shelf.find(git_name(INNER, inner))
    assert other
    layer = json.loads(other.data)["layers"][0]
    layer["annotations"] = {"org.opencontainers.image.title": f"{recipe.source.commit}.pack"}
    document = json.loads(other.data) | {"layers": [layer]}
    data = json.dumps(document).encode()
    digest = Digest(f"sha256:{hashlib.sha256(data).hexdigest()}")
    shelf.put(git_name(MAIN, recipe.source.commit), replace(other, digest=digest, data=data))
    with pytest.raises(WorkFailed, match=f"the copy of commit {recipe.source.commit} does not hold it"):
        elsewhere(tmp_path, shelf).resolver.resolve(recipe, known=None)


@pytest.mark.parametrize("title", ["../x", "/etc/x", ".x", ""])
def test_a_copy_may_not_write_elsewhere(tmp_path: Path, here: Machine, shelf: Shelf, title: str) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"x")
    digest = Digest(f"sha256:{hashlib.sha256(b'x').hexdigest()}")
    shelf.put_blob(digest, path)
    entry = {"mediaType": "application/octet-stream", "digest": str(digest), "size": 1}
    layer = {**entry, "annotations": {"org.opencontainers.image.title": title}}
    kind = "application/vnd.oci.image.manifest.v1+json"
    data = json.dumps({"schemaVersion": 2, "mediaType": kind, "config": entry, "layers": [layer]}).encode()
    named = Digest(f"sha256:{hashlib.sha256(data).hexdigest()}")
    shelf.put("archive-x", Manifest(digest=named, media_type=kind, data=data))
    assert here.custody
    with pytest.raises(WorkFailed, match="files lie in one folder"):
        here.custody.files("archive-x", tmp_path / "target")


def test_copies_first(tmp_path: Path, here: Machine, shelf: Shelf, recipe: Recipe, upstream: Path) -> None:
    here.keep(recipe)
    other = Machine(tmp_path / "other", upstream, shelf, first=True)
    other.resolver.resolve(recipe, known=None)
    said = "\n".join(words for _, words in other.reporter.said)
    assert f"{MAIN} at " in said
    assert said.count("its origin was not asked") == 4


def test_without_a_copy_the_origins_words_stay(tmp_path: Path, shelf: Shelf, recipe: Recipe) -> None:
    with pytest.raises(Exception, match=r"code\.example\.invalid/main\.git") as error:
        elsewhere(tmp_path, shelf).resolver.resolve(recipe, known=None)
    assert not isinstance(error.value, AssertionError)


def states(checked: list[Checked]) -> dict[str, tuple[str, bool | None]]:
    return {one.what.partition(" at ")[0].partition(",")[0]: (one.origin, one.copy) for one in checked}


def test_what_is_gone_is_told_from_what_did_not_answer(here: Machine, recipe: Recipe, upstream: Path) -> None:
    here.resolver.resolve(recipe, known=None)
    silent = Unreachable("no route")
    before = states(here.check(recipe, base=silent))
    assert before == {
        MAIN: ("there", False),
        INNER: ("there", False),
        "CUDA 13.0 wheels": ("there", False),
        "toolchain for CUDA 13.0": ("unreachable", False),
        "base": ("unreachable", False),
    }
    # The branch was rewritten, and what it held was thrown away.
    git(upstream / "work", "commit", "--quiet", "--amend", "--message", "rewritten")
    shutil.rmtree(upstream / "main.git")
    git(upstream, "clone", "--quiet", "--bare", "--single-branch", f"file://{upstream}/work", "main.git")
    gone = here.check(recipe, index=Index("f" * 64), base=False)
    assert {what: state for what, (state, _) in states(gone).items()} == dict.fromkeys(before, "gone") | {
        INNER: "there"
    }
    with pytest.raises(WorkFailed, match="gone, and no copy is there") as error:
        verdict(tuple(gone))
    assert "has other files, none of nvidia-nvcc with sha256" in error.value.message
    assert f"{MAIN} has no commit" in error.value.message
    assert error.value.answer == {"checked": tuple(gone)}


def test_what_is_gone_and_kept_is_no_failure(here: Machine, recipe: Recipe, upstream: Path) -> None:
    here.keep(recipe)
    shutil.rmtree(upstream)
    checked = here.check(recipe, index=Index(), base=False)
    assert {copy for _, copy in states(checked).values()} == {True}
    verdict(tuple(checked))


def test_no_answer_at_all(here: Machine, recipe: Recipe) -> None:
    silent = Unreachable("no route")

    class Mute(Index):
        def files(self, _package: str) -> tuple[IndexFile, ...]:
            raise silent

    here.check(recipe)
    asked = [one for one in here.check(recipe, index=Mute(), base=silent) if "code." not in one.what]
    with pytest.raises(Unreachable, match=r"no origin answered; CUDA 13\.0 wheels: no route"):
        verdict(tuple(asked))


def of_wheels(name: str, lock: str, application: str, version: str) -> Recipe:
    source = PackagesSource(
        packages=f"packages/{lock}.txt", application=application,
        upstream="https://code.example.invalid/app", version=version,
    )  # fmt: skip
    made = make_recipe(GitSource(repo=MAIN, commit=Commit("1" * 40), version="1"))
    return replace(made, name=name, family=Family.PYTHON, source=source)


def test_recipes_of_wheels_are_asked_each_for_its_own(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "here", tmp_path / "nowhere", None)
    folder = tmp_path / "here" / "recipes"
    shutil.copytree(ROOT / "recipes" / "packages", folder / "packages")
    older, newer = (read_package_lock(folder, f"packages/vllm-0.{minor}.0.txt") for minor in (20, 21))
    gone = dict(older.hashes)["vllm"]
    locks = (older, newer, read_package_lock(folder, "packages/pip.txt"))
    there = {one for lock in locks for _, hashes in lock.hashes for one in hashes} - set(gone)
    recipes = [
        of_wheels("older", older.path.stem, "vllm", "0.20.0"),
        of_wheels("newer", newer.path.stem, "vllm", "0.21.0"),
    ]
    vendor = replace(
        recipes[0],
        name="vendor",
        source=VendorSource(image="x/y@sha256:" + "2" * 64, upstream="https://x.invalid", version="1"),
    )
    checked = machine.check_all([*recipes, vendor], index=Index(*there))
    found = {one.what.partition(",")[0]: (one.origin, one.recipes) for one in checked}
    assert found == {
        "wheels of vllm-0.20.0": ("gone", ("older",)),
        "wheels of vllm-0.21.0": ("there", ("newer",)),
        "wheels of pip": ("there", ("older", "newer")),
        "base": ("there", ("older", "newer")),
        f"x/y@sha256:{'2' * 64}": ("there", ("vendor",)),
    }
    assert len({one.name for one in checked}) == len(checked)
    with pytest.raises(
        WorkFailed, match=r"wheels of vllm-0\.20\.0 \(older\): the package index has other files"
    ):
        verdict(tuple(checked))


def test_wheels_are_proven_from_the_copies_alone(tmp_path: Path, shelf: Shelf) -> None:
    index = made_wheels.Index(tmp_path / "index")
    index.folder.mkdir()
    locks = {name: made_wheels.lock(index.folder, wheels)
             for name, wheels in (("mini", made_wheels.WHEELS), ("pip", made_wheels.PIP))}  # fmt: skip
    recipe = of_wheels("mini", "mini", "mini", "1.2")

    def machine(name: str, pip: Pip) -> Machine:
        for lock, text in locks.items():
            store.write_text(tmp_path / name / "recipes" / "packages" / f"{lock}.txt", text)
        return Machine(tmp_path / name, tmp_path / "nowhere", shelf, pip=pip)

    def gone(command: tuple[str, ...]) -> None:
        raise CommandFailed(command, 1, output="ERROR: No matching distribution found for mini")

    here = machine("here", index)
    here.make_images(recipe)
    pin = here.resolver.resolve(recipe, known=None)
    kept = here.keep(recipe)
    assert [one.what for one in kept][:2] == ["wheels of mini", "wheels of pip"]
    assert sum(one.sent for one in here.keep(recipe)) == 0
    other = machine("other", gone)
    assert other.resolver.resolve(recipe, known=None) == pin
    other.resolver.prove(recipe, pin)
    assert any("wheels of mini: a copy out of" in words for words in other.reporter.all("warning"))
    assert {one.copy for one in here.check(recipe)} == {True}


def test_patch_sets_are_kept_and_asked_for(
    tmp_path: Path, upstream: Path, recipe: Recipe, shelf: Shelf
) -> None:
    assert isinstance(recipe.source, GitSource)
    commit = recipe.source.commit
    patch_set = PatchSet(name="set", repo=MAIN, commit=commit, version="1", place=(("a", "a"),), run=("x",))
    vendor = VendorSource(image="x/y@sha256:" + "2" * 64, upstream="https://x.invalid", version="1")
    of_vendor = replace(of_wheels("vendor", "x", "x", "1"), source=vendor)
    machine = Machine(tmp_path / "here", upstream, shelf)
    pin = machine.resolver.resolve(of_vendor, known=None)
    patched = replace(of_vendor, patch_sets=(patch_set,))
    assert machine.custody
    (kept,) = keep(pieces(patched, pin, machine.resolver), machine.custody, machine.reporter)
    assert (kept.name, kept.sent > 0) == (git_name(MAIN, commit), True)
    found = {one.name: (one.origin, one.copy) for one in machine.check(patched)}
    assert found[kept.name] == ("there", True)


def test_an_image_of_a_vendor_is_said_to_be_not_kept(tmp_path: Path, shelf: Shelf) -> None:
    machine = Machine(tmp_path / "here", tmp_path / "nowhere", shelf)
    made = of_wheels("vendor", "x", "x", "1")
    image = "x/y@sha256:" + "2" * 64
    recipe = replace(made, source=VendorSource(image=image, upstream="https://x.invalid", version="1"))
    assert machine.keep(recipe) == ()
    assert f"vendor: {image} is not kept: mirror it yourself" in machine.reporter.all("warning")


ENTRY = {"mediaType": "application/octet-stream", "digest": f"sha256:{HASH}", "size": len(WHEEL)}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"layers": [{**ENTRY, "annotations": []}, {**ENTRY, "annotations": [1]}]}, "layers.annotations is not an object"),
        ({"layers": [{**ENTRY, "size": "many"}]}, "layers.size is not a size"),
        ({"layers": [{**ENTRY, "size": None}]}, "layers.size is not a size"),
        ({"layers": [{**ENTRY, "digest": ["x"]}]}, "layers.digest is not a string"),
        ({"layers": [7]}, "layers is not an object"),
        ({"layers": None}, "layers is not a list"),
        ({"config": None}, "config is not an object"),
        ({"layers": [{**ENTRY, "annotations": None}]}, "has a file named ''"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("shelf", ["layout"], indirect=True)
def test_a_copy_that_is_malformed_is_told_and_made_again(
    tmp_path: Path, here: Machine, recipe: Recipe, change: dict[str, object], words: str
) -> None:
    assert here.custody
    assert isinstance(recipe.source, GitSource)
    shelf = LayoutShelf(root=tmp_path / "folder")
    custody = replace(here.custody, shelf=shelf)
    kind, name = "application/vnd.oci.image.manifest.v1+json", git_name(MAIN, recipe.source.commit)
    document = {"schemaVersion": 2, "mediaType": kind, "config": ENTRY, "layers": [], **change}
    data = json.dumps(document).encode()
    broken = Manifest(digest=Digest(f"sha256:{hashlib.sha256(data).hexdigest()}"), media_type=kind, data=data)
    shelf.put(name, broken)
    with pytest.raises(WorkFailed, match=words) as error:
        custody.files(name, tmp_path / "target")
    if words.startswith(("layers", "config")):
        assert error.value.hint == "copy it again: nox -s custody"
        image = replace(broken, data=data)
        shelf.put(f"image-{image.digest.hex}", image)
        with pytest.raises(WorkFailed, match=words):
            custody.image(image.digest, tmp_path / "layout")
    pin = here.resolver.resolve(recipe, known=None)
    keep(pieces(recipe, pin, here.resolver), custody, here.reporter)
    assert custody.files(name, tmp_path / "target")


@pytest.mark.parametrize(
    ("index", "words"),
    [
        ([], "it is not a JSON object"),
        ({}, "manifests is not a list"),
        ({"manifests": [1]}, "manifests is not an object"),
        ({"manifests": [{"annotations": [1]}]}, "manifests.annotations is not an object"),
        ({"manifests": [{"annotations": {REF_NAME: "x"}}]}, "manifests.digest is not a string"),
        (
            {"manifests": [{"annotations": {REF_NAME: "x"}, "digest": f"sha256:{HASH}"}]},
            "manifests.mediaType is not",
        ),
    ],
)
def test_a_folder_whose_index_is_malformed_is_told(tmp_path: Path, index: object, words: str) -> None:
    path = tmp_path / "index.json"
    store.write_text(path, json.dumps(index))
    with pytest.raises(WorkFailed, match=words) as error:
        LayoutShelf(root=tmp_path).find("x")
    assert error.value.message.startswith(f"{path} cannot be read: ")
    assert f"delete {path} and copy it again: nox -s custody" in error.value.hint


def test_entries_of_others_and_bytes_that_are_gone_are_no_copy(tmp_path: Path) -> None:
    listed = [{"annotations": None}, {}, {"annotations": {REF_NAME: "x"}, **ENTRY}]
    store.write_text(tmp_path / "index.json", json.dumps({"manifests": listed}))
    assert LayoutShelf(root=tmp_path).find("x") is None
