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


def test_a_ratio_is_printed_a_slow_pipeline_fails_its_limit_and_nothing_is_left(
    checkout: Checkout, lender: Path
) -> None:
    """One run for all three: an engine of its own and a build cost minutes."""
    checkout.edit(
        "build/bench/pipeline/unchanged.py",
        'return self.ground.pipeline(self.ground.built, "image", "minifork")',
        'return self.ground.pipeline(self.ground.built, "image", "minifork", "--force")',
    )
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
    assert ran.code == 1, ran.err
    assert noop["value"] > noop["limit"]
    assert "noop: nothing to do / bare bake with nothing to do is " in answer["error"]
    assert ("push-again:" in answer["error"]) == (push["value"] > push["limit"])
    assert not (lender / "benchmarks").exists()
