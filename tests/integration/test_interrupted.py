"""Killed at every station, then run again: the same image as an unbroken run, and nothing left behind."""

import re
import secrets
import shutil
import signal

import pytest

from tests.integration.conftest import Checkout

pytestmark = pytest.mark.engine

KERNELS = 4
NEW = KERNELS + 2
_NEW = re.compile(r"\] Building \w+ object \S*/(?:matvec-\w+-\d+\.cu|mini-cuda\.cu|build-info\.cpp)\.o")
"""How ninja says that it is done with one of the NEW files: the kernels, what lists them, what has the commit. No run before
compiled any of them; the list of so many kernels alone may be known from an earlier run of this test."""
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
    """Every kernel is new to the compile cache; what was compiled before the kill is not compiled again."""
    include = '#include "matvec-impl.cuh"\n'
    # Something that is neither a comment nor a macro: the cache would see through those.
    new = f"static_assert(0x{secrets.token_hex(6)}ULL != 1);\n"
    checkout.edit("samples/minifork/cuda/matvec-instance.cu.in", include, include + new)
    checkout.repin()
    checkout.edit(
        "recipes/minifork.yaml", 'MINI_CUDA: "ON"', f'MINI_CUDA: "ON"\n  MINI_CUDA_INSTANCES: "{KERNELS}"'
    )
    log = checkout.out / "minifork" / "build.log"

    def compiled() -> int:
        return len(_NEW.findall(log.read_text(errors="replace"))) if log.exists() else 0

    checkout.killed(r"configure ", number, "image", "minifork", ready=lambda: compiled() >= NEW // 2)
    done = compiled()
    assert not (checkout.out / "minifork" / "image.json").exists()
    again = checkout.run("image", "minifork")
    assert again.code == 0, again.err
    # If what was compiled were lost: every kernel and the file with the commit, NEW - 1 at least.
    assert checkout.artifact("image")["compile_cache"]["misses"] <= NEW - done
    assert checkout.artifact("smoke")["outcome"] == "passed"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=lambda one: one.name)
def test_push_then_push_again(number: signal.Signals, good: Checkout, checkout: Checkout) -> None:
    shutil.copytree(good.out, checkout.out)
    (checkout.out / "minifork" / "push.json").unlink()
    checkout.killed(r"tag |push ", number, "push", "minifork")
    assert checkout.run("push", "minifork").code == 0
    assert checkout.artifact("push")["digest"] == good.artifact("push")["digest"]
