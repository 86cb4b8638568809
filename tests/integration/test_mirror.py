"""github.com out of reach, and a mirror in its place: a bare repository on disk under the same URL."""

import re
from pathlib import Path

import pytest

from build.doors.commits import commit_folder
from build.recipe.refs import Commit
from tests.integration.conftest import Checkout

pytestmark = pytest.mark.engine

URL = "https://github.com/Anbeeld/beellama.cpp"


@pytest.fixture
def stand_in(checkout: Checkout, tmp_path: Path) -> tuple[Path, Commit]:
    """The sample's tree as the fork's repository, and the recipe pinned to its commit."""
    mirrors = tmp_path / "mirrors"
    repository = mirrors / "Anbeeld" / "beellama.cpp"
    commit = commit_folder(
        checkout.root / "samples/minifork",
        repository,
        branch="main",
        message="stand-in",
        date="2026-01-01T00:00:00+0000",
    )
    recipe = checkout.root / "recipes/beellama.yaml"
    recipe.write_text(re.sub(r"commit: [0-9a-f]{40}", f"commit: {commit}", recipe.read_text(), count=1))
    return mirrors, commit


def test_unreachable_is_code_4_and_names_the_mend(checkout: Checkout, tmp_path: Path) -> None:
    """A proxy that refuses at once stands for a network without github.com."""
    ran = checkout.run(
        "image",
        "beellama",
        INGOT_CACHE=str(tmp_path / "cache"),
        https_proxy="http://127.0.0.1:9",
        HTTPS_PROXY="http://127.0.0.1:9",
    )
    assert ran.code == 4, ran.err
    for word in ("github.com", "INGOT_GIT_MIRROR", "insteadOf"):
        assert word in ran.err
    assert not (checkout.out / "beellama" / "pin.json").exists()


def test_ingot_git_mirror(checkout: Checkout, stand_in: tuple[Path, Commit], good: Checkout) -> None:
    mirrors, commit = stand_in
    ran = checkout.run("resolve", "beellama", INGOT_GIT_MIRROR=f"https://github.com/={mirrors}/")
    assert ran.code == 0, ran.err
    assert checkout.artifact("pin", "beellama")["source"]["commit"] == commit
    assert checkout.artifact("pin", "beellama")["source"]["url"].removesuffix(".git") == URL


def test_instead_of(
    checkout: Checkout, stand_in: tuple[Path, Commit], tmp_path: Path, good: Checkout
) -> None:
    mirrors, commit = stand_in
    config = tmp_path / "gitconfig"
    config.write_text(f'[url "file://{mirrors}/"]\n\tinsteadOf = https://github.com/\n')
    ran = checkout.run("resolve", "beellama", GIT_CONFIG_GLOBAL=str(config))
    assert ran.code == 0, ran.err
    assert checkout.artifact("pin", "beellama")["source"]["commit"] == commit
