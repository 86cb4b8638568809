"""Killed at every station, then run again: the same image as an unbroken run, and nothing left behind."""

import shutil
import signal

import pytest

from tests.integration.conftest import Checkout

pytestmark = pytest.mark.engine

STATIONS = {
    "probe": r"probe",
    "compile": r"configure\s+(done|cached)|configure  ",
    "export": r"export|runtime",
    "smoke-static": r"smoke minifork, static|export  done|runtime  done",
    "smoke-running": r"static\s+\d+ passed",
}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=lambda one: one.name)
@pytest.mark.parametrize("station", STATIONS)
def test_then_run_again(
    station: str, number: signal.Signals, good: Checkout, checkout: Checkout, nothing_left: None
) -> None:
    code = checkout.killed(STATIONS[station], number, "image", "minifork")
    assert code == (130 if number is signal.SIGINT else -signal.SIGKILL)
    assert not (checkout.out / "minifork" / "smoke.json").exists()
    again = checkout.run("image", "minifork")
    assert again.code == 0, again.err
    assert checkout.artifact("image")["digest"] == good.artifact("image")["digest"]
    assert checkout.artifact("smoke")["outcome"] == "passed"
    assert not list((checkout.out / "minifork").glob(".*part*"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=lambda one: one.name)
def test_push_then_push_again(number: signal.Signals, good: Checkout, checkout: Checkout) -> None:
    shutil.copytree(good.out, checkout.out)
    (checkout.out / "minifork" / "push.json").unlink()
    checkout.killed(r"tag |push ", number, "push", "minifork")
    assert checkout.run("push", "minifork").code == 0
    assert checkout.artifact("push")["digest"] == good.artifact("push")["digest"]
