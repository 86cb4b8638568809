"""What decides the fingerprint, and what does not."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from build.pin.model import Pin
from build.plan.fingerprint import FORMAT, fingerprint, inputs
from build.plan.plan import Places, make_plan
from build.recipe.model import (
    CMakeOption,
    Compression,
    Driver,
    LinkFix,
    Recipe,
    SmokeEndpoint,
    SmokeModel,
    Watch,
)
from build.recipe.refs import Commit, Digest
from tests.unit.plan.plans import PIN, PLACES, RECIPE, TEMPLATES, TOOLCHAIN

ROOT = Path(__file__).parents[3]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


def plan(recipe: Recipe = RECIPE, pin: Pin = PIN, variant: str = "", places: Places = PLACES) -> str:
    return make_plan(recipe, variant, pin, templates=TEMPLATES, places=places).fingerprint


BEFORE = plan()


@given(
    st.dictionaries(st.text(max_size=3), JSON, max_size=4),
    st.dictionaries(st.text(max_size=3), JSON, max_size=4),
)
def test_two_inputs_have_one_fingerprint_only_when_they_are_equal(left: Any, right: Any) -> None:
    def typed(value: Any) -> Any:
        match value:
            case dict():
                return {key: typed(item) for key, item in value.items()}
            case list():
                return [typed(item) for item in value]
            case _:
                return (type(value).__name__, value)

    assert (fingerprint(left) == fingerprint(right)) is (typed(left) == typed(right))


@given(st.permutations(["format", "files", "labels", "source", "variant"]))
def test_the_order_of_keys_is_nothing(keys: list[str]) -> None:
    values: dict[str, object] = inputs(RECIPE, "", PIN, {"a": "b"}, {"c": "d"})
    shuffled = {key: values[key] for key in keys} | values
    assert fingerprint(shuffled) == fingerprint(values)


@given(st.data())
def test_any_single_input_changes_it(data: st.DataObject) -> None:
    """Walk to any leaf of the inputs and change it."""
    values: dict[str, Any] = inputs(RECIPE, "no-vmm", PIN, {"Dockerfile": "FROM x"}, {"label": "text"})
    before = fingerprint(values)
    place: Any = values
    key: Any = data.draw(st.sampled_from(sorted(values)))
    while isinstance(place[key], dict | list) and place[key]:
        place = place[key]
        key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
    old = place[key]
    place[key] = data.draw(JSON.filter(lambda new: (type(new), new) != (type(old), old)))
    assert fingerprint(values) != before


SOURCE: Any = RECIPE.source
CHANGED: dict[str, Callable[[], str]] = {
    "title": lambda: plan(replace(RECIPE, title="Other")),
    "compression": lambda: plan(replace(RECIPE, image=replace(RECIPE.image, compression=Compression.ZSTD))),
    "commit": lambda: plan(pin=replace(PIN, source=replace(PIN.source, commit=Commit("f" * 40)))),
    "commit date": lambda: plan(
        pin=replace(PIN, source=replace(PIN.source, committed_at="2026-03-02T10:00:00Z"))
    ),
    "tree": lambda: plan(pin=replace(PIN, source=replace(PIN.source, tree="f" * 40))),
    "archive": lambda: plan(pin=replace(PIN, source=replace(PIN.source, archive_sha256="f" * 64))),
    "submodules": lambda: plan(pin=replace(PIN, source=replace(PIN.source, submodules=()))),
    "patch bytes": lambda: plan(
        pin=replace(
            PIN, source=replace(PIN.source, patches=(replace(PIN.source.patches[0], sha256="f" * 64),))
        )
    ),
    "no patch": lambda: plan(pin=replace(PIN, source=replace(PIN.source, patches=()))),
    "toolchain lock": lambda: plan(pin=replace(PIN, toolchain=replace(TOOLCHAIN, lock="f" * 64))),
    "base lock": lambda: plan(pin=replace(PIN, base=replace(PIN.base, lock="f" * 64))),
    "base digest": lambda: plan(
        pin=replace(PIN, base=replace(PIN.base, digest=Digest(f"sha256:{'f' * 64}")))
    ),
    "variant": lambda: plan(variant="no-vmm"),
    "version": lambda: plan(replace(RECIPE, source=replace(SOURCE, version="b43"))),
    "repository of the source": lambda: plan(
        replace(RECIPE, source=replace(SOURCE, repo="https://x.example.org/a"))
    ),
    "architectures": lambda: plan(
        replace(RECIPE, toolchain=replace(RECIPE.toolchain, architectures=("120a-real", "89-real")))
    ),
    "driver": lambda: plan(replace(RECIPE, toolchain=replace(RECIPE.toolchain, driver=Driver.NONE))),
    "cuda": lambda: plan(replace(RECIPE, toolchain=replace(RECIPE.toolchain, cuda="13.1"))),
    "link fix": lambda: plan(replace(RECIPE, link_fix=LinkFix.LINK_LCUDA)),
    "cmake value": lambda: plan(
        replace(RECIPE, cmake=(replace(RECIPE.cmake[0], value="OFF"), *RECIPE.cmake[1:]))
    ),
    "cmake order": lambda: plan(replace(RECIPE, cmake=RECIPE.cmake[::-1])),
    "cmake of a step": lambda: plan(
        replace(RECIPE, steps=(replace(RECIPE.steps[0], cmake=(CMakeOption(name="ROOT", value="/x"),)),))
    ),
    "targets": lambda: plan(replace(RECIPE, targets=("server", "cli"))),
    "entrypoint": lambda: plan(replace(RECIPE, runtime=replace(RECIPE.runtime, entrypoint=("/app/other",)))),
    "env": lambda: plan(replace(RECIPE, runtime=replace(RECIPE.runtime, env=()))),
    "port": lambda: plan(replace(RECIPE, runtime=replace(RECIPE.runtime, port=1))),
    "user": lambda: plan(replace(RECIPE, runtime=replace(RECIPE.runtime, user="1:1"))),
    "health check": lambda: plan(replace(RECIPE, runtime=replace(RECIPE.runtime, healthcheck=None))),
}
SAME: dict[str, Callable[[], str]] = {
    "smoke": lambda: plan(
        replace(
            RECIPE,
            smoke=replace(
                RECIPE.smoke, version="other", flags=("-x",), endpoints=(SmokeEndpoint(path="/", expect=""),),
                model=SmokeModel.MINI,
            ),
        )
    ),
    "the promised command line": lambda: plan(replace(RECIPE, serve=replace(RECIPE.serve, args=("-x",)))),
    "watch": lambda: plan(replace(RECIPE, watch=Watch(branch="main"))),
    "notes": lambda: plan(replace(RECIPE, notes=("a note",))),
    "moving tags": lambda: plan(replace(RECIPE, image=replace(RECIPE.image, tags=("other",)))),
    "toolchain's digest": lambda: plan(
        pin=replace(PIN, toolchain=replace(TOOLCHAIN, digest=Digest(f"sha256:{'f' * 64}"), packages=()))
    ),
    "base's origin and list": lambda: plan(pin=replace(PIN, base=replace(PIN.base, origin="other", packages=()))),
    "verdict of a patch": lambda: plan(
        pin=replace(PIN, source=replace(PIN.source, patches=(replace(PIN.source.patches[0], verdict="offset 3"),)))
    ),
    "paths": lambda: plan(
        places=Places(root=Path("/r"), out=Path("/o"), folders=(("source", Path("/s")),))
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGED)
def test_what_decides_the_bytes_changes_it(name: str) -> None:
    assert CHANGED[name]() != BEFORE


def test_no_two_changes_are_mistaken_for_each_other() -> None:
    found = {name: change() for name, change in CHANGED.items()}
    assert len(set(found.values())) == len(found)


@pytest.mark.parametrize("name", SAME)
def test_what_does_not_decide_the_bytes_leaves_it(name: str) -> None:
    assert SAME[name]() == BEFORE


def test_the_format_is_part_of_it() -> None:
    values = inputs(RECIPE, "", PIN, {}, {})
    assert values["format"] == FORMAT
    assert fingerprint({**values, "format": FORMAT + 1}) != fingerprint(values)


@pytest.mark.processes
def test_the_machine_is_no_input(tmp_path: Path) -> None:
    """Another folder, user, time zone, locale, hash seed: the same."""
    code = "from tests.unit.plan.test_fingerprint import BEFORE; print(BEFORE)"
    env = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PYTHONHASHSEED": "4711",
        "TZ": "Pacific/Auckland",
        "LC_ALL": "C",
        "HOME": str(tmp_path),
        "USER": "somebody",
        "SOURCE_DATE_EPOCH": "1",
        "INGOT_JOBS": "3",
        "HOSTNAME": "elsewhere",
    }
    done = subprocess.run(
        (sys.executable, "-c", code), cwd=tmp_path, env=env, check=True, capture_output=True
    )
    assert done.stdout.decode().strip() == BEFORE
