"""What somebody changed below the cache after it was pinned is not built, as it is typed."""

import json
import shutil
from pathlib import Path

import pytest

from build.doors.bakefile import BakeTarget, bake_json
from build.doors.buildx import Buildx
from build.doors.effects import EngineHandle
from build.doors.gitobjects import read_folder
from build.pin.exported import date
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


def test_a_pin_of_an_earlier_version_is_proven_anew(checkout: Checkout) -> None:
    assert checkout.run("resolve", "minifork").code == 0
    path = checkout.out / "minifork" / "pin.json"
    whole = path.read_bytes()
    pin = json.loads(whole)
    del pin["source"]["links"]
    path.write_text(json.dumps(pin))
    assert checkout.run("resolve", "minifork").code == 0
    assert path.read_bytes() == whole


def test_another_source_of_the_same_length_is_another_image(engine: EngineHandle, tmp_path: Path) -> None:
    """BuildKit compares size and time of what it was sent before, whichever folder it came from."""
    (tmp_path / "context").mkdir()
    (tmp_path / "context" / "Dockerfile").write_text("FROM scratch\nCOPY --from=source / /\n")
    found = []
    for number in range(3):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "f").write_text(f"{tmp_path} {number % 2}")
        date(folder, read_folder(folder))
        target = BakeTarget(
            name="x",
            context="context",
            contexts=(("source", f"{number}"),),
            output=f"out{number}",
            kind="local",
        )
        (tmp_path / "bake.json").write_text(bake_json(target))
        Buildx(engine).bake(
            tmp_path / "bake.json", ("x",), cwd=tmp_path, log=tmp_path / "log", on_event=lambda _event: None
        )
        found.append((tmp_path / f"out{number}" / "f").read_text())
    assert found == [f"{tmp_path} {number % 2}" for number in range(3)]
