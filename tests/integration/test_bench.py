"""The bench for real: the sample's image on the CPU, healthy and with the fault of getting slower with every request."""

import json
import os
import signal
import stat
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import Checkout

pytestmark = pytest.mark.engine

RECIPE = "recipes/minifork.yaml"
PACE = ("--arguments", "--pace-us 4000")
"""The clock gives the speed, at which the work itself is a small part: a machine that does other work too changes nothing."""


def lines(checkout: Checkout) -> list[dict[str, Any]]:
    text = (checkout.out / "minifork" / "bench.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def driver_tool(folder: Path, listing: str) -> str:
    """Return a PATH on which an nvidia-smi that lists these GPUs comes first."""
    folder.mkdir()
    tool = folder / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\necho '{listing}'\n")
    tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
    return f"{folder}:{os.environ['PATH']}"


def test_a_healthy_server_passes(good: Checkout, nothing_left: None) -> None:
    before = len(lines(good)) if (good.out / "minifork" / "bench.jsonl").exists() else 0
    ran = good.run("bench", "minifork", *PACE, "--context", "512,1024", "--json")
    assert ran.code == 0, ran.err
    ((main, *swept),) = json.loads(ran.out)
    assert main["key"]["digest"] == good.artifact("image")["digest"]
    assert (main["key"]["gpu"], main["key"]["context"]) == ("cpu", 2000)
    assert len(main["series"]["runs"]) == 10
    assert all(run["predicted"] == 256 for run in main["series"]["runs"])
    assert 200 < main["statistics"]["mean"] <= 251
    assert all(abs(run["prompt"] - 2000) < 20 for run in main["series"]["runs"])
    assert sum(run["drafted"] for run in main["series"]["runs"]) > 0
    assert [record["key"]["context"] for record in swept] == [512, 1024]
    assert main["falls"] == []
    assert lines(good)[before:] == [main, *swept]
    assert "measured on the CPU: no NVIDIA GPU on this host" in ran.err


def test_a_fork_that_degrades_passes_smoke_and_fails_the_gate(
    good: Checkout, checkout: Checkout, nothing_left: None
) -> None:
    checkout.edit(RECIPE, 'MINI_CUDA: "ON"', 'MINI_CUDA: "ON"\n  MINI_TRAP_DEGRADE: "ON"')
    built = checkout.run("image", "minifork")
    assert built.code == 0, built.err
    assert checkout.artifact("smoke")["outcome"] == "passed", "one request shows nothing"
    ran = checkout.run("bench", "minifork", "--context", "")
    assert ran.code == 1, ran.err
    said = " ".join(ran.err.split())
    (record,) = lines(checkout)
    speeds = [run["per_second"] for run in record["series"]["runs"]]
    assert speeds[-1] < speeds[0] / 2
    series = " ".join(f"{speed:.1f}" for speed in speeds)
    assert f"error: minifork: {series} tokens/s at 2000 tokens: fell to" in said
    assert record["falls"][0] in said
    assert said.endswith("exit 1: the work failed")


def test_three_runs_are_enough_to_find_it(good: Checkout, nothing_left: None) -> None:
    ran = good.run("bench", "minifork", "--runs", "3", "--context", "", "--arguments", "--degrade on")
    assert ran.code == 1, ran.err
    assert "tokens/s at 2000 tokens: fell to" in " ".join(ran.err.split())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=lambda one: one.name)
def test_a_kill_leaves_no_container_for_long(
    number: signal.Signals, good: Checkout, nothing_left: None
) -> None:
    before = lines(good) if (good.out / "minifork" / "bench.jsonl").exists() else []
    code = good.killed("hash of", number, "bench", "minifork", "--runs", "500", delay_s=4.0)
    assert code == (130 if number is signal.SIGINT else -signal.SIGKILL)
    after = lines(good) if (good.out / "minifork" / "bench.jsonl").exists() else []
    assert after == before
    if number is signal.SIGKILL:
        # Nobody was left to remove them; the next run does so first.
        again = good.run("bench", "minifork", "--runs", "3", "--context", "")
        assert "10 runs" not in again.err
        assert "✓ 3 runs, prompt of 2000 tokens" in again.err, again.err


def test_a_prompt_that_does_not_fit(good: Checkout, nothing_left: None) -> None:
    ran = good.run("bench", "minifork", "--prompt", "4000")
    assert ran.code == 2, ran.err
    assert "a prompt of 4000 tokens and 256 of an answer do not fit into 4096" in " ".join(ran.err.split())


@pytest.mark.parametrize("verb", ["smoke", "bench"])
def test_a_gpu_that_is_required_and_not_there(verb: str, good: Checkout, nothing_left: None) -> None:
    smoke = (good.out / "minifork" / "smoke.json").read_bytes()
    ran = good.run(verb, "minifork", "--gpu")
    assert ran.code == 4, ran.err
    assert "no NVIDIA GPU on this host (nvidia-smi does not answer)" in ran.err
    assert (good.out / "minifork" / "smoke.json").read_bytes() == smoke, "an older report stays what it is"


@pytest.mark.parametrize("verb", ["smoke", "bench"])
def test_a_gpu_that_the_image_is_not_compiled_for(verb: str, good: Checkout, tmp_path: Path) -> None:
    path = driver_tool(tmp_path / "bin", "GPU-90, 9.0, 580.65.06, NVIDIA H200")
    ran = good.run(verb, "minifork", "--gpu", PATH=path)
    assert ran.code == 4, ran.err
    said = " ".join(ran.err.split())
    assert "the image is compiled for 120a-real, this host has NVIDIA H200 (sm_90, driver 580.65.06)" in said
    assert "✓" not in ran.err, "nothing was run"


def test_an_engine_that_hands_out_no_gpu(good: Checkout, tmp_path: Path) -> None:
    path = driver_tool(tmp_path / "bin", "GPU-12, 12.0, 580.65.06, NVIDIA GeForce RTX 5090")
    ran = good.run("smoke", "minifork", "--gpu", PATH=path)
    assert ran.code == 4, ran.err
    assert "the engine can give a container no GPU" in " ".join(ran.err.split())
    assert good.run("smoke", "minifork", PATH=path).code == 0
    assert good.check("gpu")["reason"].startswith("the engine can give a container no GPU")
