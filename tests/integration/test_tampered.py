"""What somebody changed below the cache after it was pinned is not built, as it is typed."""

import json
import shutil
from pathlib import Path

import pytest

from build.settings import Settings
from tests.integration.conftest import Checkout

pytestmark = pytest.mark.engine


def test_an_export_that_was_edited_is_not_built(checkout: Checkout, settings: Settings) -> None:
    """The patch is this test's own, and so is its export: nobody else builds from it."""
    (patch,) = sorted((checkout.root / "patches" / "minifork").glob("*.patch"))
    text = patch.read_text()
    added = next(line for line in text.splitlines() if line.startswith("+") and not line.startswith("+++"))
    patch.write_text(text.replace(added, f"{added} // a test's own"))
    assert checkout.run("resolve", "minifork").code == 0
    pin = json.loads((checkout.out / "minifork" / "pin.json").read_text())
    tree = pin["source"]["patched_tree"]
    (export,) = (settings.cache / "sources").glob(f"{tree}*")
    try:
        file = next(path for path in sorted(export.rglob("*.cpp")))
        file.write_text(file.read_text() + "// edited\n")
        for verb in ("resolve", "image"):
            ran = checkout.run(verb, "minifork")
            assert ran.code == 1
            words = " ".join(ran.err.split())
            assert "was changed after it was pinned: its files are those of the tree " in words
            assert f"the pin says {tree} (changed: {file.relative_to(export)})" in words
            assert f"delete {export}; it is then exported again" in words
        assert not (checkout.out / "minifork" / "image.json").exists()
        assert not (checkout.out / "minifork" / "build.log").exists()
    finally:
        shutil.rmtree(export)
    assert checkout.run("resolve", "minifork").code == 0
    assert Path(export).is_dir()
    shutil.rmtree(export)
