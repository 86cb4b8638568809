"""Over recipes as hypothesis makes them up: every single input counts, nothing else does, and no field is forgotten."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import reduce
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from build.doors.platforms import Platform
from build.pin.model import PatchProof, Pin
from build.plan.plan import Places, make_plan
from build.recipe.model import CMakeOption, Driver, Healthcheck, LinkFix, Recipe, SdistSource, SmokeModel
from build.recipe.refs import Commit, Digest
from tests.unit.plan.plans import COMMIT, PIN, PLACES, RECIPE, TEMPLATES

ROOT = Path(__file__).parents[3]

WORD = st.from_regex(r"[a-z][a-z0-9_.-]{0,9}", fullmatch=True)
NAME = st.from_regex(r"[A-Z][A-Z0-9_]{0,9}", fullmatch=True)
TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=("C", "Z"), exclude_characters="{}"), max_size=12
)
SHA1 = st.integers(0, 2**160 - 1).map("{:040x}".format)
SHA256 = st.integers(0, 2**256 - 1).map("{:064x}".format)
WORDS = st.lists(WORD, max_size=3).map(tuple)
DATE = st.dates().map("{}T00:00:00Z".format)
OPTION = st.builds(CMakeOption, name=NAME, value=TEXT)
OPTIONS = st.lists(OPTION, max_size=4, unique_by=lambda one: one.name).map(tuple)
PAIRS = st.dictionaries(NAME, WORD, max_size=3).map(lambda found: tuple(found.items()))
LINKS = st.dictionaries(WORD.map("/usr/bin/{}".format), WORD, max_size=2).map(
    lambda found: tuple(sorted(found.items()))
)
SUBMODULES = st.lists(st.tuples(WORD, SHA1), max_size=2).map(tuple)
PROOFS = st.lists(
    st.builds(PatchProof, file=WORD, sha256=SHA256, verdict=st.just("clean"), touches=st.just(())), max_size=3
).map(tuple)

DECIDES: dict[str, st.SearchStrategy[Any]] = {
    "variant": st.sampled_from(["", "no-vmm", "sm89"]),
    "recipe.name": WORD,
    "recipe.title": TEXT,
    "recipe.source.version": st.integers(0, 9**9).map("b{}".format),
    "recipe.toolchain.cuda": st.from_regex(r"1[1-9]\.[0-9]", fullmatch=True),
    "recipe.toolchain.architectures": st.lists(
        st.sampled_from(["120a-real", "120-real", "89-real", "90a-real", "120-virtual"]), min_size=1, unique=True
    ).map(tuple),
    "recipe.toolchain.driver": st.sampled_from(Driver),
    "recipe.link_fix": st.sampled_from(LinkFix),
    "recipe.cmake": OPTIONS,
    "recipe.targets": WORDS,
    "recipe.steps.0.name": WORD,
    "recipe.steps.0.dir": WORD,
    "recipe.steps.0.cmake": OPTIONS,
    "recipe.steps.0.targets": WORDS,
    "recipe.runtime.entrypoint": st.lists(TEXT, min_size=1, max_size=3).map(tuple),
    "recipe.runtime.workdir": WORD.map("/{}".format),
    "recipe.runtime.port": st.integers(1, 65535),
    "recipe.runtime.env": PAIRS,
    "recipe.runtime.healthcheck": st.none() | st.builds(
        Healthcheck, path=WORD.map("/{}".format), start_period_s=st.integers(1, 99), interval_s=st.integers(1, 99)
    ),
    "recipe.runtime.user": st.integers(1, 65535).map("{}:1".format),
    "recipe.runtime.links": LINKS,
    "pin.source.commit": SHA1,
    "pin.source.committed_at": DATE,
    "pin.source.tree": SHA1,
    "pin.source.archive_sha256": SHA256,
    "pin.source.submodules": SUBMODULES,
    "pin.source.patches": PROOFS,
    "pin.toolchain.lock": SHA256,
    "pin.base.lock": SHA256,
    "pin.base.digest": SHA256.map(lambda hexed: Digest(f"sha256:{hexed}")),
}  # fmt: skip
"""What decides an image's bytes, and values for it."""

OF_GIT: dict[str, st.SearchStrategy[Any]] = {
    "recipe.source.repo": WORD.map("https://git.example.org/{}.git".format),
    "recipe.source.commit": SHA1.map(Commit),
}
OF_ARCHIVE: dict[str, st.SearchStrategy[Any]] = {
    "recipe.source.sdist": WORD.map("{}==1".format),
    "recipe.source.subdir": WORD,
    "recipe.source.upstream": WORD.map("https://git.example.org/{}".format),
}

IS_NOTHING: dict[str, st.SearchStrategy[Any]] = {
    "recipe.image.repository": WORD,
    "recipe.image.tags": WORDS,
    "recipe.smoke.version": TEXT,
    "recipe.smoke.flags": WORDS,
    "recipe.smoke.refused": WORDS,
    "recipe.smoke.args": WORDS,
    "recipe.smoke.imports": WORDS,
    "recipe.smoke.no_server": TEXT,
    "recipe.smoke.model": st.sampled_from(SmokeModel),
    "recipe.smoke.sigterm_exit": st.integers(0, 255),
    "recipe.smoke.endpoints": st.just(()),
    "recipe.watch.branch": WORD,
    "recipe.watch.tags": WORD,
    "recipe.watch.schedule": WORD,
    "recipe.watch.ignore": WORDS,
    "recipe.watch.enabled": st.booleans(),
    "recipe.watch.reason": TEXT,
    "recipe.serve.args": WORDS,
    "recipe.notes": st.lists(TEXT, max_size=2).map(tuple),
    "pin.recipe": WORD,
    "pin.inputs": SHA256,
    "pin.source.url": WORD,
    "pin.source.links": st.just(()),
    "pin.toolchain.digest": SHA256.map(lambda hexed: Digest(f"sha256:{hexed}")),
    "pin.toolchain.origin": TEXT,
    "pin.toolchain.packages": WORDS,
    "pin.base.origin": TEXT,
    "pin.base.packages": WORDS,
    **dict.fromkeys(("pin.toolchain.platform", "pin.base.platform"), st.sampled_from(get_args(Platform))),
    **dict.fromkeys(("pin.toolchain.cross", "pin.base.cross"), SHA256),
}
"""What may be anything: the same image."""

ELSEWHERE = {
    "recipe.family": "its template's text is an input, and how layers are compressed",
    "recipe.image.compression": "said or by the family it is one input: test_fingerprint.py, test_python.py",
    "recipe.variants": "merged before it is planned; the variant's name counts",
    "recipe.patches": "how many there are counts, and the proofs in the pin",
    "recipe.source.submodules": "what was fetched is in the pin",
    "recipe.source.parent": "for the watcher",
    "recipe.source.sha256": "what was unpacked is in the pin",
    "recipe.source.committed": "the pin's date",
    "recipe.runtime.packages": "the base's lock",
    "recipe.origin": "for messages",
    "pin.source.wheels": "of another family: test_python.py",
    "recipe.patch_sets": "of another family: test_orders.py",
    "pin.sets": "of another family: test_orders.py",
    "pin.source.patched_tree": "tree and patches give it",
}
"""Fields that reach the fingerprint by another one, or are for people."""

ARCHIVE = SdistSource(
    sdist="x==1", sha256="a" * 64, subdir="vendor/x", upstream="https://git.example.org/x", commit=COMMIT, version="b1"
)  # fmt: skip


@dataclass(frozen=True)
class World:
    """All that a plan is made of."""

    recipe: Recipe = RECIPE
    pin: Pin = PIN
    variant: str = ""


OF_ANY_KIND = (
    (World(), DECIDES | OF_GIT),
    (World(recipe=replace(RECIPE, source=ARCHIVE)), DECIDES | OF_ARCHIVE),
)


def put(thing: Any, path: tuple[str, ...], value: Any) -> Any:
    """Return a copy with one value, however deep, replaced."""
    if not path:
        return value
    first, *rest = path
    if first.isdigit():
        items = list(thing)
        items[int(first)] = put(items[int(first)], tuple(rest), value)
        return tuple(items)
    return replace(thing, **{first: put(getattr(thing, first), tuple(rest), value)})


def fingerprint(world: World, places: Places = PLACES) -> str:
    return make_plan(world.recipe, world.variant, world.pin, templates=TEMPLATES, places=places).fingerprint


def worlds(base: World, values: dict[str, Any]) -> World:
    return reduce(lambda world, item: put(world, tuple(item[0].split(".")), item[1]), values.items(), base)


def drawn(data: st.DataObject) -> tuple[World, dict[str, st.SearchStrategy[Any]], dict[str, Any]]:
    """Draw a kind of source and some of its inputs; the others keep what the sample has."""
    base, inputs = data.draw(st.sampled_from(OF_ANY_KIND))
    names = data.draw(st.lists(st.sampled_from(sorted(inputs)), max_size=6, unique=True), label="inputs")
    return base, inputs, {name: data.draw(inputs[name], label=name) for name in names}


def test_every_field_is_known_to_count_or_not() -> None:
    """A new field of recipe or pin has to be put into one of the tables above."""
    known = {*DECIDES, *OF_GIT, *OF_ARCHIVE, *IS_NOTHING, *ELSEWHERE}
    found: set[str] = {"variant"}

    def walk(thing: Any, path: str) -> None:
        if path in known:
            found.add(path)
        elif is_dataclass(thing):
            for one in fields(thing):
                walk(getattr(thing, one.name), f"{path}.{one.name}")
        elif isinstance(thing, tuple) and thing and is_dataclass(thing[0]):
            walk(thing[0], f"{path}.0")
        else:
            found.add(path)

    for recipe in (RECIPE, replace(RECIPE, source=ARCHIVE)):
        walk(recipe, "recipe")
    walk(PIN, "pin")
    assert found == known


@pytest.mark.parametrize("name", [*DECIDES, *OF_GIT, *OF_ARCHIVE])
@settings(max_examples=6)
@given(data=st.data())
def test_each_input_alone_changes_it(name: str, data: st.DataObject) -> None:
    base, inputs = next(kind for kind in OF_ANY_KIND if name in kind[1])
    values = [data.draw(inputs[name]) for _ in range(2)]
    left, right = (worlds(base, {name: value}) for value in values)
    assert (fingerprint(left) == fingerprint(right)) is (left == right)


@settings(max_examples=80)
@given(data=st.data())
def test_any_single_input_of_any_recipe_changes_it(data: st.DataObject) -> None:
    base, inputs, values = drawn(data)
    before = worlds(base, values)
    name = data.draw(st.sampled_from(sorted(inputs)), label="changed")
    after = worlds(before, {name: data.draw(inputs[name], label="to")})
    assert (fingerprint(before) == fingerprint(after)) is (before == after)


@settings(max_examples=40)
@given(data=st.data())
def test_what_is_no_input_changes_nothing_of_any_recipe(data: st.DataObject) -> None:
    base, _, values = drawn(data)
    before = worlds(base, values)
    names = data.draw(st.lists(st.sampled_from(sorted(IS_NOTHING)), min_size=1, unique=True), label="changed")
    after = worlds(before, {name: data.draw(IS_NOTHING[name], label=name) for name in names})
    somewhere = Path("/") / data.draw(WORD, label="root")
    places = Places(root=somewhere, out=somewhere / "o", folders=(("source", somewhere / "s"),))
    assert fingerprint(after, places) == fingerprint(before)


@settings(max_examples=25)
@given(options=st.lists(OPTION, min_size=2, max_size=5, unique_by=lambda one: one.name), data=st.data())
def test_the_order_of_options_and_patches_counts(options: list[CMakeOption], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(options))
    proofs = [replace(PIN.source.patches[0], file=option.name) for option in options]
    again = [replace(PIN.source.patches[0], file=option.name) for option in shuffled]
    for name, left, right in (
        ("recipe.cmake", options, shuffled),
        ("recipe.steps.0.cmake", options, shuffled),
        ("pin.source.patches", proofs, again),
    ):
        sides = [fingerprint(worlds(World(), {name: tuple(value)})) for value in (left, right)]
        assert (sides[0] == sides[1]) is (shuffled == options)


def test_the_order_of_links_is_nothing() -> None:
    links = (("/usr/bin/a", "a"), ("/usr/bin/b", "b"))
    left, right = (worlds(World(), {"recipe.runtime.links": found}) for found in (links, links[::-1]))
    assert fingerprint(left) == fingerprint(right)


@dataclass(frozen=True)
class Machine:
    """How a machine differs from this one."""

    folder: str
    umask: str
    env: tuple[tuple[str, str], ...]
    before: tuple[str, ...] = ()
    """Program that the rest is run by."""


MACHINES = (
    Machine("plain", "022", (("TZ", "UTC"), ("LC_ALL", "C.UTF-8"), ("PYTHONHASHSEED", "0"))),
    Machine(
        "a path with blanks, ä and 'quotes'",
        "077",
        (
            ("TZ", "Pacific/Auckland"), ("LC_ALL", "C"), ("LANG", "tr_TR.UTF-8"), ("PYTHONHASHSEED", "4711"),
            ("USER", "somebody"), ("LOGNAME", "somebody"), ("HOSTNAME", "elsewhere"), ("SOURCE_DATE_EPOCH", "1"),
            ("CUDAARCHS", "75"), ("CFLAGS", "-O0"), ("INGOT_REGISTRY", "registry.example.org/x"), ("CI", "true"),
            ("DOCKER_DEFAULT_PLATFORM", "linux/arm64"), ("BUILDX_BUILDER", "other"), ("PYTHONOPTIMIZE", "1"),
        ),
        ("linux32",) if shutil.which("linux32") else (),
    ),
)  # fmt: skip


@pytest.mark.processes
def test_all_recipes_are_the_same_on_another_machine(tmp_path: Path) -> None:
    """Path, time, time zone, user, host name, locale, umask, hash seed, environment, `uname -m`: as it is typed."""
    found = []
    for number, machine in enumerate(MACHINES):
        home = tmp_path / machine.folder
        for name in ("build", "dockerfiles", "patches", "recipes", "samples"):
            shutil.copytree(ROOT / name, home / name, ignore=shutil.ignore_patterns("__pycache__"))
        for path in (home / "dockerfiles").rglob("*"):
            os.utime(path, (number * 1e9, number * 1e9))
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "PYTHONDONTWRITEBYTECODE": "1",
            **dict(machine.env),
        }
        script = f'umask {machine.umask}; exec "$@"'
        command = (
            "sh",
            "-c",
            script,
            "sh",
            *machine.before,
            sys.executable,
            "-m",
            "build",
            "render",
            "--json",
        )
        done = subprocess.run(command, cwd=home, env=env, check=True, capture_output=True, text=True)
        plans = json.loads(done.stdout)
        found.append({plan["tag"]: plan["fingerprint"] for plan in plans})
        for name in ("Dockerfile", "context/scripts/compile.sh"):
            assert (home / "out" / "minifork" / name).stat().st_mode & 0o777 == 0o644
    assert found[0] == found[1]
    assert len(found[0]) >= len(list((ROOT / "recipes").glob("*.yaml")))
