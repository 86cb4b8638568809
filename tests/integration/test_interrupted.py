"""Killed at every station, then run again: the same image as an unbroken run, and nothing left behind."""

import shutil
import signal

import pytest

from tests.integration.conftest import Checkout

pytestmark = pytest.mark.engine

STATIONS = {
    "probe": (r"probe", 0.0),
    "export": (r"(collect|compile-tools) ", 2.0),
    "smoke-static": (r"export ", 0.2),
    "smoke-running": (r"export ", 2.5),
}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=lambda one: one.name)
@pytest.mark.parametrize("station", STATIONS)
def test_then_run_again(
    station: str, number: signal.Signals, good: Checkout, checkout: Checkout, nothing_left: None
) -> None:
    when, delay_s = STATIONS[station]
    code = checkout.killed(when, number, "image", "minifork", delay_s=delay_s)
    assert code == (130 if number is signal.SIGINT else -signal.SIGKILL)
    assert not (checkout.out / "minifork" / "smoke.json").exists()
    again = checkout.run("image", "minifork")
    assert again.code == 0, again.err
    assert checkout.artifact("image")["digest"] == good.artifact("image")["digest"]
    assert checkout.artifact("smoke")["outcome"] == "passed"
    assert not list((checkout.out / "minifork").glob(".*part*"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=lambda one: one.name)
def test_killed_while_compiling(
    number: signal.Signals, good: Checkout, checkout: Checkout, nothing_left: None
) -> None:
    """A kernel more, so that there is something to compile; what was compiled before the kill is not compiled again."""
    count = 13 if number is signal.SIGINT else 14
    checkout.edit(
        "recipes/minifork.yaml", 'MINI_CUDA: "ON"', f'MINI_CUDA: "ON"\n  MINI_CUDA_INSTANCES: "{count}"'
    )
    checkout.killed(r"configure ", number, "image", "minifork", delay_s=3.0)
    assert not (checkout.out / "minifork" / "image.json").exists()
    again = checkout.run("image", "minifork")
    assert again.code == 0, again.err
    assert checkout.artifact("image")["compile_cache"]["misses"] < 10
    assert checkout.artifact("smoke")["outcome"] == "passed"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=lambda one: one.name)
def test_push_then_push_again(number: signal.Signals, good: Checkout, checkout: Checkout) -> None:
    shutil.copytree(good.out, checkout.out)
    (checkout.out / "minifork" / "push.json").unlink()
    checkout.killed(r"tag |push ", number, "push", "minifork")
    assert checkout.run("push", "minifork").code == 0
    assert checkout.artifact("push")["digest"] == good.artifact("push")["digest"]
