"""Versions in order."""

import itertools
import random

import pytest

from build.follow.order import is_early, version_key

ORDERED = (
    ("b9", "b42", "b999", "b1000", "b9999", "b10000"),
    ("v0.9.0", "v0.10.0-alpha1", "v0.10.0-beta2", "v0.10.0-rc1", "v0.10.0-rc2", "v0.10.0", "v0.10.1", "v1.0"),
    ("1.0.dev3", "1.0a1", "1.0b1", "1.0rc1", "1.0", "1.0.post1", "1.0.1"),
    ("turboquant-kv-cache-b9019", "turboquant-kv-cache-b10001"),
    ("b10269-1.5.0", "b10269-1.6.0", "b10270-1.0.0"),
    ("13.0.2", "13.0.3.0", "13.0.10"),
)


@pytest.mark.parametrize("names", ORDERED, ids=lambda names: names[0])
def test_numbers_are_numbers(names: tuple[str, ...]) -> None:
    mixed = list(names)
    random.Random(7).shuffle(mixed)
    assert sorted(mixed, key=version_key) == list(names)
    assert all(version_key(one) < version_key(other) for one, other in itertools.pairwise(names))


@pytest.mark.parametrize(
    ("name", "early"),
    [
        ("1.0rc1", True),
        ("v2.0-alpha", True),
        ("1.0", False),
        ("b9400", False),
        ("1.0.post1", False),
        ("rc", False),
    ],
)
def test_what_comes_before_a_release(name: str, *, early: bool) -> None:
    assert is_early(name) is early
