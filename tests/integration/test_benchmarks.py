"""The benchmarks on their own engine: figures come out, and nothing of theirs stays."""

import json
from pathlib import Path

import pytest

from build.settings import Settings
from tests.integration.conftest import Checkout

pytestmark = pytest.mark.engine


@pytest.fixture
def lender(settings: Settings, tmp_path: Path) -> Path:
    """Return a cache that lends what the repository's has: the one in use is not touched."""
    cache = tmp_path / "cache"
    for part in ("images", "wheels", "engine/packages"):
        (cache / part).parent.mkdir(parents=True, exist_ok=True)
        (cache / part).symlink_to(settings.cache.resolve() / part)
    return cache


def test_a_benchmark_prints_its_ratio_and_leaves_nothing(checkout: Checkout, lender: Path) -> None:
    left = lender / "benchmarks" / "work" / "killed"
    left.mkdir(parents=True)
    ran = checkout.run(
        "benchmarks", "noop", "push-again", "--runs", "1", "--kernels", "1", "--json", INGOT_CACHE=str(lender)
    )
    answer = json.loads(ran.out)
    noop, push = answer["ratios"]
    assert (noop["name"], push["name"]) == ("noop", "push-again")
    assert min(noop["ours"] + noop["theirs"] + push["ours"] + push["theirs"]) > 0
    assert noop["peak_mib"] > 10
    over = [one["name"] for one in (noop, push) if one["value"] > one["limit"]]
    assert ran.code == (1 if over else 0), ran.err
    assert all(f"{name}:" in answer["error"] for name in over)
    assert not (lender / "benchmarks").exists()


def test_a_slow_pipeline_fails_its_limit(checkout: Checkout, lender: Path) -> None:
    checkout.edit(
        "build/bench/pipeline/unchanged.py",
        'return self.ground.pipeline(self.ground.built, "image", "minifork")',
        'return self.ground.pipeline(self.ground.built, "image", "minifork", "--force")',
    )
    ran = checkout.run(
        "benchmarks", "noop", "--runs", "1", "--kernels", "1", "--json", INGOT_CACHE=str(lender)
    )
    assert ran.code == 1, ran.err
    assert "noop: nothing to do / bare bake with nothing to do is " in json.loads(ran.out)["error"]
    assert not (lender / "benchmarks").exists()
