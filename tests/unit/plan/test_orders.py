"""What the patch stage is told, that the program reads it, and that all of it counts."""

import json
import sys
from dataclasses import fields, replace
from typing import Any

import pytest

from build.pin.model import PatchedFile, PatchProof, Pin, PinnedSet
from build.plan.render import SITE_PACKAGES
from build.recipe.model import Patch, Recipe
from build.recipe.patchsets import BuildOutcome, Exclusion, PatchSet, SetPatch, StartEffect
from build.recipe.refs import Commit
from tests.unit.plan.plans import PLACES, TEMPLATES
from tests.unit.plan.test_python import PINNED, WHEELED, files, planned

ONE, TWO = Commit("1" * 40), Commit("2" * 40)
SET = PatchSet(
    name="mini",
    repo="https://git.example.org/mini.git",
    commit=ONE,
    version="v1",
    place=(("src", "vllm/_patches"),),
    run=("python", "-m", "vllm._patches"),
    registry="vllm._patches:ALL",
    patches=(SetPatch(id="P1", why="a test", files=("vllm/a.py",)),),
    exclude=(Exclusion(id="P8", why="a test", file="vllm/_patches/p8.py", by="mini/p8.py"),),
)
OTHERS: dict[str, Any] = {
    "name": "other",
    "repo": "https://git.example.org/other.git",
    "version": "v2",
    "place": (("src", "vllm/other"),),
    "run": ("python", "-m", "vllm.other"),
    "registry": "vllm._patches:OTHERS",
    "patcher": "vllm._patches:Patcher",
    "plugin": "plugin",
    "helper": "mini/platform",
    "env": (("A", "1"),),
    "requires": ("xxhash",),
    "patches": (SetPatch(id="P1", why="a test", build=BuildOutcome.NO_OP, start=StartEffect.REBIND),),
    "exclude": (),
}


def recipe(one: PatchSet = SET) -> Recipe:
    return replace(WHEELED, patch_sets=(one,), patches=(Patch(file="mini/0001-a.patch", why="a test"),))


def pin(
    commit: str = ONE, ours: tuple[tuple[str, str], ...] = (("mini/p8.py", "ours"),), name: str = "mini"
) -> Pin:
    changes = (PatchedFile(path="vllm/b.py", before="3" * 40, after="4" * 40),)
    proof = PatchProof(
        file="mini/0001-a.patch", sha256="5" * 64, verdict="clean", touches=("vllm/b.py",), changes=changes
    )
    source = replace(PINNED.source, patches=(proof,))
    return replace(
        PINNED, source=source, sets=(PinnedSet(name=name, source=replace(source, commit=commit), ours=ours),)
    )


def test_the_program_reads_what_the_plan_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(TEMPLATES / "scripts"))
    from patching.orders import read_orders  # type: ignore[import-not-found]

    found = read_orders(json.loads(files(planned(recipe(), pin()))["context/patching/orders.json"]))
    assert found.site == SITE_PACKAGES
    assert found.diffs[0].changes[0].path == "vllm/b.py"
    assert (found.sets[0].place, found.sets[0].patches[0].files) == (
        (("src", "vllm/_patches"),),
        ("vllm/a.py",),
    )
    assert found.sets[0].exclude[0].by == "mini/p8.py"
    for name in [name for name in sys.modules if name.partition(".")[0] == "patching"]:
        del sys.modules[name]


def test_our_own_files_and_the_program_are_in_the_context() -> None:
    found = files(planned(recipe(), pin()))
    assert found["context/patching/ours/mini/p8.py"] == "ours"
    assert "context/scripts/patching/__main__.py" in found
    assert "from=patchset-mini,target=/tmp/context/sets/mini" in found["Dockerfile"]
    assert "from=edits," in found["Dockerfile"]


def test_without_patches_there_is_no_such_stage() -> None:
    found = files(planned())
    assert "patching" not in found["Dockerfile"]
    assert not [path for path in found if "patching" in path]


@pytest.mark.parametrize("field", sorted(OTHERS))
def test_every_field_of_a_set_counts(field: str) -> None:
    changed = replace(SET, **{field: OTHERS[field]})
    assert (
        planned(recipe(changed), pin(name=changed.name)).fingerprint != planned(recipe(), pin()).fingerprint
    )


def test_no_field_of_a_set_is_forgotten() -> None:
    """What is not in the table: the commit counts by the pin."""
    assert {one.name for one in fields(PatchSet)} - set(OTHERS) == {"commit"}


@pytest.mark.parametrize("other", [pin(commit=TWO), pin(ours=(("mini/p8.py", "other"),))])
def test_what_is_pinned_of_a_set_counts(other: Pin) -> None:
    assert planned(recipe(), other, PLACES).fingerprint != planned(recipe(), pin()).fingerprint


def test_the_label_names_sets_by_commit_and_numbers() -> None:
    assert dict(planned(recipe(), pin()).labels)["ingot.patch_sets"] == f"mini@{'1' * 12}:1-1"
