"""What a person may name, what it stands for, and what is said when it stands for nothing."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from build.doors import store
from build.doors.git import GitMirrors
from build.errors import BadRequest, IngotError, NothingSelected, Unreachable
from build.image.layout import open_layout
from build.publish.kept import PUBLISHED, keep_published
from build.publish.model import PushReceipt
from build.recipe.model import GitSource
from build.recipe.refs import Commit, Digest, ImageRef
from build.report.difference import Area, Kind
from build.report.operands import Operands, published_difference
from build.smoke.clihelp import HelpFlag
from tests.fakes import FakeRegistry, RecordingReporter
from tests.layouts import Tree, elf, write_layout
from tests.unit.pin.repositories import git, make_repository
from tests.unit.plan.plans import PIN, RECIPE
from tests.unit.report.images import FLAGS, build
from tests.unit.smoke.samples import APP, BASE, CONFIG, CUDA

REPOSITORY = "127.0.0.1:1/ns/mini"
MORE = (*FLAGS, HelpFlag(spellings=("--new",)))


@dataclass
class World:
    """An out folder, a registry and what was said."""

    out: Path
    registry: FakeRegistry
    operands: Operands

    def stored(self, tag: str, *layers: Tree, config: Any = None) -> Digest:
        """Put an image into the registry."""
        layout = write_layout(self.out.parent / "remote" / tag, layers, config=config)
        image = open_layout(layout)
        repository = ImageRef.parse(REPOSITORY)
        for blob in (image.config_digest, *(layer.digest for layer in image.layers)):
            self.registry.push_blob(repository, blob, layout / "blobs" / "sha256" / blob.hex)
        data = (layout / "blobs" / "sha256" / image.digest.hex).read_bytes()
        kind = json.loads(data)["mediaType"]
        return self.registry.put_manifest(replace(repository, tag=tag), data, kind)

    def kinds(self, left: str, right: str) -> set[tuple[Area, str, Kind]]:
        changes = self.operands.difference(left, right).changes
        return {(one.area, one.name, one.kind) for one in changes}

    def refused(self, left: str, right: str) -> tuple[type[IngotError], str, str]:
        with pytest.raises(IngotError) as error:
            self.operands.difference(left, right)
        return type(error.value), error.value.message, error.value.hint


@pytest.fixture
def world(tmp_path: Path) -> World:
    registry = FakeRegistry()
    operands = Operands(
        out=tmp_path / "out",
        cache=tmp_path / "cache",
        recipes=("mini", "other"),
        registry=lambda: registry,
        mirrors=GitMirrors(root=tmp_path / "git"),
        reporter=RecordingReporter(),
    )
    return World(out=tmp_path / "out", registry=registry, operands=operands)


def test_two_recipes_and_a_variant(world: World) -> None:
    build(world.out / "mini")
    build(world.out / "mini+no-vmm", flags=MORE, identity="8" * 64, content=b"y")
    found = world.kinds("mini", "mini+no-vmm")
    assert (Area.FLAGS, "--new", Kind.NEW) in found
    assert (Area.KERNELS, "/app/libmini-cuda.so", Kind.CHANGED) in found
    assert (Area.LAYERS, "COPY layer 1", Kind.CHANGED) in found
    assert not [one for one in found if one[0] in {Area.UPSTREAM, Area.PATCHES, Area.TOOLCHAIN, Area.LABELS}]


def test_a_folder_anywhere(world: World, tmp_path: Path) -> None:
    build(world.out / "mini")
    build(tmp_path / "elsewhere" / "mini", flags=MORE)
    assert world.kinds("mini", str(tmp_path / "elsewhere" / "mini")) == {(Area.FLAGS, "--new", Kind.NEW)}


def test_what_is_only_planned_says_what_is_not_known(world: World) -> None:
    build(world.out / "mini")
    planned = build(world.out / "other", title="Other")
    for name in ("image.json", "smoke.json", "help.json"):
        (planned.folder / name).unlink()
    difference = world.operands.difference("mini", "other")
    assert {(one.area, one.name) for one in difference.changes} == {
        (Area.LABELS, "ingot.fingerprint"),
        (Area.LABELS, "org.opencontainers.image.title"),
    }
    assert difference.unknown == tuple(
        f"{what}: not known of right: the image was not built"
        for what in ("flags", "kernels", "layers and size")
    )


def test_only_pins(world: World) -> None:
    changed = replace(PIN, base=replace(PIN.base, packages=("bash=6",)))
    for name, pin in (("mini", PIN), ("other", changed)):
        store.write_artifact(world.out / name / "pin.json", pin)
    difference = world.operands.difference("mini", "other")
    (change,) = difference.changes
    assert (change.area, change.name, change.before, change.after) == (
        Area.TOOLCHAIN, "base package bash", "5", "6",
    )  # fmt: skip
    assert len(difference.unknown) == 5


def test_an_image_of_an_earlier_plan_is_not_called_the_plans(world: World) -> None:
    build(world.out / "mini")
    stale = build(world.out / "other", title="Other")
    store.write_artifact(stale.folder / "image.json", replace(stale.built, fingerprint="0" * 64))
    unknown = world.operands.difference("mini", "other").unknown
    reason = "the image there is of an earlier plan: build it again"
    assert f"flags: not known of right: {reason}" in unknown


@pytest.mark.parametrize(
    ("name", "spoil", "said"),
    [
        ("help.json", None, "flags: not known of right: smoke has not read the image's help"),
        (
            "help.json",
            "{",
            "flags: not known of right: {path} is not what this version of the pipeline writes",
        ),
        (
            "help.json",
            "digest",
            "flags: not known of right: help.json is of another image: smoke-test it again",
        ),
        ("smoke.json", None, "kernels: not known of right: the image was not smoke-tested"),
        (
            "smoke.json",
            "digest",
            "kernels: not known of right: smoke.json is of another image: smoke-test it again",
        ),
        ("smoke.json", "gpu_code", "kernels: not known of right: smoke.json has no check gpu_code"),
        (
            "smoke.json",
            "libraries",
            "kernels: not known of right: the check gpu_code did not read the libraries",
        ),
    ],
)
def test_artifacts_that_do_not_fit_are_not_taken(
    world: World, name: str, spoil: str | None, said: str
) -> None:
    build(world.out / "mini")
    other = build(world.out / "other")
    path = other.folder / name
    text = path.read_text()
    path.unlink()
    if spoil == "digest":
        path.write_text(text.replace(str(other.built.digest), f"sha256:{'0' * 64}"))
    elif spoil == "{":
        path.write_text("{")
    elif spoil:
        path.write_text(text.replace(f'"{spoil}"', '"something"'))
    assert world.operands.difference("mini", "other").unknown == (said.format(path=path),)


def publish(world: World, name: str) -> None:
    made = build(world.out / name)
    receipt = PushReceipt(digest=made.built.digest, refs={})
    keep_published(made.folder, made.plan, receipt, published_difference(made.folder))


def test_published_is_the_other_sides(world: World) -> None:
    publish(world, "mini")
    build(world.out / "mini", flags=MORE)
    assert world.kinds("mini", PUBLISHED) == {(Area.FLAGS, "--new", Kind.GONE)}
    assert world.kinds(PUBLISHED, "mini") == {(Area.FLAGS, "--new", Kind.NEW)}
    assert world.operands.difference(PUBLISHED, "mini").left == "mini as published"


def test_what_changed_since_the_last_push(world: World) -> None:
    build(world.out / "mini")
    assert published_difference(world.out / "mini") is None
    publish(world, "mini")
    assert published_difference(world.out / "mini") is None, "nothing was pushed before it"
    made = build(world.out / "mini", content=b"y", flags=MORE)
    changed = published_difference(world.out / "mini")
    assert changed
    assert ("--new", Kind.NEW) in [(one.name, one.kind) for one in changed.changes]
    receipt = PushReceipt(digest=made.built.digest, refs={})
    for _ in range(2):
        keep_published(made.folder, made.plan, receipt, published_difference(made.folder))
        assert published_difference(made.folder) == changed, "to the one before, as long as it is the last"
    build(world.out / "mini")
    (world.out / "mini" / PUBLISHED / "plan.json").write_text("{")
    for name in ("pin.json", "image.json"):
        (world.out / "mini" / PUBLISHED / name).unlink()
    assert published_difference(world.out / "mini") is None


@pytest.mark.parametrize(
    ("left", "right", "kind", "message", "hint"),
    [
        ("mini", "nonsense", NothingSelected, "there is no recipe, folder or image called nonsense",
         "a recipe of recipes/, a folder, registry/name:tag, or `published`"),
        ("mini", "other", BadRequest, "other has no artifacts below {out}",
         "nox -s build -- other, or `nox -s resolve -- other` to compare pins"),
        ("mini", "published", BadRequest, "mini: no image has been pushed from {out}/mini",
         "nox -s push -- mini, or name a reference of the registry"),
        ("published", "published", BadRequest,
         "`published` is the last pushed image of the other side's recipe, and published is none",
         "nox -s diff -- published RECIPE"),
        ("mini", f"{REPOSITORY}:gone", NothingSelected, f"{REPOSITORY}:gone is not in the registry",
         "`nox -s history -- RECIPE` lists the tags that are there"),
        ("mini", "empty", BadRequest, "{out}/empty holds no pin.json, plan.json or image.json of this version",
         "nox -s build -- empty"),
    ],
)  # fmt: skip
def test_operands_that_mean_nothing(
    world: World, left: str, right: str, kind: type[IngotError], message: str, hint: str
) -> None:
    build(world.out / "mini")
    (world.out / "empty").mkdir()
    assert world.refused(left, right) == (kind, message.format(out=world.out), hint)


def test_a_registrys_image_tells_labels_layers_and_kernels(world: World) -> None:
    build(world.out / "mini")
    digest = world.stored("one", BASE, CUDA, APP, config=CONFIG)
    other = {**APP, "app/libmini-cuda.so": elf("cuda-sm90.so", mode=0o644)}
    world.stored("two", BASE, CUDA, other, config=CONFIG)
    difference = world.operands.difference(f"{REPOSITORY}:one", f"{REPOSITORY}:two")
    assert {(one.area, one.name, one.kind) for one in difference.changes} == {
        (Area.KERNELS, "/app/libmini-cuda.so", Kind.CHANGED),
        (Area.LAYERS, "COPY layer 2", Kind.CHANGED),
        (Area.SIZE, "compressed", Kind.CHANGED),
    }
    (kernels,) = [one for one in difference.changes if one.area is Area.KERNELS]
    assert kernels.before.startswith("SASS sm_120a ")
    assert kernels.after.startswith("SASS sm_90 ")
    assert [words.partition(":")[0] for words in difference.unknown] == ["locks and packages", "flags"]
    assert (world.operands.cache / "pulled" / digest.hex / "index.json").exists()


def test_what_was_pulled_by_digest_is_not_asked_for_again(world: World) -> None:
    build(world.out / "mini")
    digest = world.stored("one", BASE, CUDA, APP, config=CONFIG)
    operand = f"{REPOSITORY}@{digest}"
    first = world.operands.difference("mini", operand)
    world.registry.calls.clear()
    assert world.operands.difference("mini", operand) == first
    assert world.registry.calls == []


def test_a_registrys_image_that_was_built_here_tells_its_flags(world: World) -> None:
    made = build(world.out / "mini")
    build(world.out / "other", flags=MORE, content=b"z")
    labels = {"Labels": dict(made.plan.labels)}
    assert world.stored("one", {"base": b"debian"}, {"app/x": b"x"}, config=labels) == made.built.digest
    assert (Area.FLAGS, "--new", Kind.NEW) in world.kinds(f"{REPOSITORY}:one", "other")


def test_a_strangers_image_has_no_labels_of_ours(world: World) -> None:
    build(world.out / "mini")
    world.stored("one", BASE, config={"Cmd": ["bash"]})
    unknown = world.operands.difference("mini", f"{REPOSITORY}:one").unknown
    assert "patches: not known of right: the image has none of Ingot's labels" in unknown
    assert "upstream: not known of right: the image has no label org.opencontainers.image.revision" in unknown


def test_a_registry_that_is_lost_is_no_answer(world: World) -> None:
    build(world.out / "mini")
    world.registry.fail_at = 1
    with pytest.raises(Unreachable):
        world.operands.difference("mini", f"{REPOSITORY}:one")


@pytest.mark.processes
@pytest.mark.parametrize("kept_as", ["{url}", "history:{url}"])
def test_the_upstream_log_where_a_mirror_has_it(world: World, tmp_path: Path, kept_as: str) -> None:
    url = RECIPE.source.repo if isinstance(RECIPE.source, GitSource) else ""
    upstream, old = make_repository(tmp_path / "upstream", {"file": "0"})
    (upstream / "file").write_text("1")
    git(upstream, "commit", "--quiet", "--all", "-m", "server: add --new")
    new = Commit(git(upstream, "rev-parse", "HEAD").strip())
    for name, commit in (("mini", old), ("other", new)):
        pin = replace(PIN, source=replace(PIN.source, commit=commit))
        store.write_artifact(world.out / name / "pin.json", pin)

    def log() -> list[str]:
        difference = world.operands.difference("mini", "other")
        found = [
            one.after for one in difference.changes if one.area is Area.UPSTREAM and one.name != "commit"
        ]
        return [*found, *(words for words in difference.unknown if words.startswith("upstream"))]

    assert log() == [f"upstream log: no mirror of {url} is below the cache"]
    assert not world.operands.mirrors.root.exists(), "a comparison makes no mirror"
    mirror = world.operands.mirrors.mirror(kept_as.format(url=url))
    for commit in (old, new):
        git(mirror, "fetch", "--quiet", "--depth=1", f"file://{upstream}", f"{commit}:refs/ingot/{commit}")
    assert log() == [f"upstream log: the mirror holds {new} without the commits before it"]
    git(mirror, "fetch", "--quiet", "--unshallow", f"file://{upstream}", new)
    assert log() == ["server: add --new"]
