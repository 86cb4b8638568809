"""Several recipes at once on one BuildKit: each its own image, failures apart, nothing left after an interrupt."""

import json
import re
import signal
from uuid import uuid4

import pytest

from tests.integration.conftest import Checkout

pytestmark = pytest.mark.engine

OTHERS = ("minifork-a", "minifork-b")


@pytest.fixture
def three(checkout: Checkout) -> Checkout:
    """Three recipes of one sample, whose kernels differ in number."""
    text = (checkout.root / "recipes" / "minifork.yaml").read_text()
    for count, name in enumerate(OTHERS, start=15):
        more = (
            text.replace("name: minifork\n", f"name: {name}\n")
            .replace("repository: minifork\n", f"repository: {name}\n")
            .replace('MINI_CUDA: "ON"', f'MINI_CUDA: "ON"\n  MINI_CUDA_INSTANCES: "{count}"')
        )
        (checkout.root / "recipes" / f"{name}.yaml").write_text(more)
    return checkout


def test_each_is_built_and_a_failure_stops_no_other(
    three: Checkout, good: Checkout, nothing_left: None
) -> None:
    three.edit("recipes/minifork-a.yaml", 'MINI_CUDA: "ON"', 'MINI_CUDA: "ON"\n  MINI_RENAMED: "ON"')
    ran = three.run("image", "minifork*", "--at-once", "3", "--json")
    assert ran.code == 1
    assert json.loads(ran.out)["error"].startswith("minifork-a: the build failed in stage configure")
    assert re.search(r"^minifork-a \| .*MINI_RENAMED", ran.err, re.MULTILINE)
    assert ran.err.splitlines()[-2] == "error: 1 of 3 failed: minifork-a"
    assert not (three.out / "minifork-a" / "image.json").exists()
    assert three.artifact("image")["digest"] == good.artifact("image")["digest"]
    for name in ("minifork", "minifork-b"):
        assert three.artifact("smoke", name)["outcome"] == "passed"
    layers = {
        name: [one["digest"] for one in three.artifact("image", name)["layers"]]
        for name in ("minifork", "minifork-b")
    }
    assert layers["minifork"][:2] == layers["minifork-b"][:2], "base and CUDA's libraries are stored once"
    assert layers["minifork"][2] != layers["minifork-b"][2]
    again = three.run("image", "minifork", "minifork-b", "--json")
    assert again.code == 0, again.err
    # In the order of the files.
    assert [one["recipe"] for one in json.loads(again.out)] == ["minifork-b", "minifork"]
    assert again.err.count("nothing to do") == 2


def test_an_interrupt_ends_all_of_them_in_seconds(three: Checkout, nothing_left: None) -> None:
    assert (
        three.killed(r"minifork-. +\| .*configure ", signal.SIGINT, "image", "minifork*", "--at-once", "3")
        == 130
    )
    assert not list(three.out.glob("*/image.json"))
    again = three.run("image", "minifork", "minifork-b")
    assert again.code == 0, again.err
    assert not list(three.out.glob("*/.*part*"))


def test_nvcc_runs_in_a_slot(checkout: Checkout) -> None:
    """A slot.sh that lets no nvcc through stops a build whose kernels the compile cache does not have."""
    template = "dockerfiles/llama-cpp.Dockerfile.j2"
    checkout.edit(template, 'CCACHE_NAMESPACE="', f'CCACHE_NAMESPACE="{uuid4().hex}-')
    refusal = "case $1 in */nvcc) echo no slot for nvcc >&2; exit 9 ;; esac"
    checkout.edit("dockerfiles/scripts/slot.sh", "set -eu\n", f"set -eu\n{refusal}\n")
    ran = checkout.run("image", "minifork")
    assert ran.code == 1, ran.err
    assert "the build failed in stage compile" in ran.err
    assert "no slot for nvcc" in ran.err
    assert not (checkout.out / "minifork" / "image.json").exists()
