"""Real llama.cpp through the same road. Half an hour on two cores, so it runs only when it is asked for."""

import os

import pytest

from tests.integration.conftest import Checkout

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(
        os.environ.get("INGOT_TEST_REAL") != "1",
        reason="compiles llama.cpp for half an hour: INGOT_TEST_REAL=1",
    ),
]


def test_llama_cpp_is_built_and_passes_smoke(checkout: Checkout) -> None:
    ran = checkout.run("image", "llama-cpp", timeout_s=5000)
    assert ran.code == 0, ran.err
    assert checkout.artifact("smoke", "llama-cpp")["outcome"] == "passed"
    assert checkout.artifact("image", "llama-cpp")["size"] < 550_000_000
    assert checkout.run("image", "llama-cpp").err.endswith("has passed smoke\n")
