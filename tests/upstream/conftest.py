"""One fork that is one commit ahead of the pin."""

from pathlib import Path

import pytest

from tests.unit.follow.making import commit_files
from tests.unit.follow.places import TREE, Place, Shelf
from tests.upstream.machines import checkout


@pytest.fixture
def world(tmp_path: Path) -> Place:
    """The upstream, one commit ahead of the pin of the checkout `one`."""
    place = Place(root=tmp_path / "world", index=Shelf())
    pinned = commit_files(place.upstream, TREE, subject="first")
    commit_files(place.upstream, {"cuda/kernel.cu": "n\n"}, subject="second")
    checkout(tmp_path / "one", pinned)
    return place
