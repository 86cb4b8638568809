"""An image of wheels, for real: pip, BuildKit, the layers that come out of it, and what happens when the index is not itself."""

import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zstandard

from build.doors.bakefile import EPOCH, layout_digest
from build.doors.effects import EngineHandle
from build.host import registry
from build.settings import Settings
from tests.integration.conftest import Checkout, make_checkout

pytestmark = pytest.mark.engine

SITE = "opt/venv/lib/python3.11/site-packages/"
CHECKED_HASH = 3
"""PEP 552: by hash, and held against the source at each import."""


@pytest.fixture(name="wheeled", scope="module")
def one_wheeled(
    tmp_path_factory: pytest.TempPathFactory,
    settings: Settings,
    engine: EngineHandle,
    loopback: registry.RegistryServer,
) -> Checkout:
    made = make_checkout(tmp_path_factory.mktemp("wheeled") / "wheeled", settings, engine, loopback)
    ran = made.run("image", "miniserve")
    assert (made.out / "miniserve" / "image.json").exists(), ran.err
    return made


def layers(made: Checkout) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = made.artifact("image", "miniserve")["layers"]
    return found


def members(made: Checkout, layer: dict[str, Any]) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    blob = made.out / "miniserve" / "image" / "blobs" / "sha256" / layer["digest"].removeprefix("sha256:")
    with blob.open("rb") as packed, tarfile.open(
        fileobj=zstandard.ZstdDecompressor().stream_reader(packed), mode="r|"
    ) as archive:  # fmt: skip
        for member in archive:
            file = archive.extractfile(member) if member.isfile() else None
            yield member, file.read() if file else b""


def layer_of(made: Checkout, name: str) -> dict[str, tuple[tarfile.TarInfo, bytes]]:
    (layer,) = [one for one in layers(made) if f"install-wheels.sh {name} " in one["what"]]
    return {member.name: (member, data) for member, data in members(made, layer)}


def test_layers_come_in_the_order_in_which_they_change(wheeled: Checkout) -> None:
    made_by = [one["what"] for one in layers(wheeled)]
    order = [
        next(at for at, what in enumerate(made_by) if f"install-wheels.sh {name} " in what)
        for name in ("cuda", "dependencies", "application")
    ]
    assert order == sorted(order)
    assert layers(wheeled)[order[2]]["size"] < 100_000, "the sample alone"


def test_each_package_is_in_its_own_layer(wheeled: Checkout) -> None:
    assert f"{SITE}nvidia/cu13/lib/libcudart.so.13" in layer_of(wheeled, "cuda")
    assert f"{SITE}packaging/version.py" in layer_of(wheeled, "dependencies")
    found = layer_of(wheeled, "application")
    assert "opt/venv/bin/miniserve" in found
    others = [
        name
        for name in found
        if name.startswith(SITE) and not name.removeprefix(SITE).startswith("miniserve")
    ]
    assert others in ([], [SITE])


def test_byte_code_is_checked_by_hash_and_there_for_every_module(wheeled: Checkout) -> None:
    found = layer_of(wheeled, "dependencies") | layer_of(wheeled, "application")
    compiled = {name: data for name, (_, data) in found.items() if name.endswith(".pyc")}
    sources = [name for name in found if name.endswith(".py")]
    assert len(compiled) == len(sources) > 20
    assert {int.from_bytes(data[4:8], "little") for data in compiled.values()} == {CHECKED_HASH}


def test_nothing_tells_of_the_day_or_of_the_tools(wheeled: Checkout) -> None:
    for layer in layers(wheeled)[1:]:
        for member, data in members(wheeled, layer):
            assert member.mtime <= EPOCH, member.name
            assert not member.name.startswith(("tmp/", "root/", "wheels", "installer")), member.name
            assert Path(member.name).name not in {"direct_url.json", "uv_cache.json"}
            assert "/pip" not in member.name.removeprefix(SITE.rstrip("/")) or not member.name.startswith(
                SITE
            )
            if member.name.endswith("/RECORD"):
                assert b".pyc" not in data


def test_from_scratch_the_bytes_are_the_same(wheeled: Checkout, engine: EngineHandle, tmp_path: Path) -> None:
    output = tmp_path / "again"
    target = json.loads((wheeled.out / "miniserve" / "docker-bake.json").read_text())["target"]["miniserve"]
    (said,) = target["output"]
    kept = ",".join(part for part in said.split(",") if not part.startswith("dest="))
    command = (
        *(
            "docker",
            "buildx",
            "bake",
            "--no-cache",
            "-f",
            str(wheeled.out / "miniserve" / "docker-bake.json"),
        ),
        *("--set", f"miniserve.output={kept},dest={output}", "miniserve"),
    )
    env = {**os.environ, **dict(engine.environment)}
    done = subprocess.run(command, cwd=wheeled.root, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert str(layout_digest(output)) == wheeled.artifact("image", "miniserve")["digest"]


def nowhere(tmp_path: Path, **env: str) -> dict[str, Any]:
    """Point pip at nothing, and the pipeline at an empty cache."""
    return {
        "INGOT_CACHE": str(tmp_path / "cache"), "PIP_CONFIG_FILE": os.devnull, "PIP_EXTRA_INDEX_URL": "",
        "PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_FIND_LINKS": "", **env,
    }  # fmt: skip


def test_an_index_that_cannot_be_reached_is_code_4_with_the_reason(wheeled: Checkout, tmp_path: Path) -> None:
    ran = wheeled.run("resolve", "miniserve", **nowhere(tmp_path, INGOT_OUT=str(tmp_path / "out")))
    assert ran.code == 4, ran.err
    assert "the wheels of miniserve could not be downloaded" in ran.err
    assert "Connection refused" in ran.err
    assert not list((tmp_path / "cache" / "wheels").glob("packages-*/cuda"))


def test_a_wheel_with_other_bytes_is_refused_with_both_hashes(
    wheeled: Checkout, settings: Settings, tmp_path: Path
) -> None:
    pin = wheeled.artifact("pin", "miniserve")
    place = settings.cache / "wheels" / f"packages-{pin['source']['archive_sha256'][:12]}"
    links = tmp_path / "links"
    links.mkdir()
    for wheel in place.glob("*/*.whl"):
        shutil.copy(wheel, links)
    (evil,) = links.glob("packaging-*.whl")
    evil.write_bytes(evil.read_bytes() + b"\0")
    env = nowhere(tmp_path, INGOT_OUT=str(tmp_path / "out"), PIP_NO_INDEX="1", PIP_FIND_LINKS=str(links))
    ran = wheeled.run("resolve", "miniserve", **env)
    assert ran.code == 1, ran.err
    assert "a wheel of miniserve is not the one that miniserve.txt names" in ran.err
    (right,) = [one["sha256"] for one in pin["source"]["wheels"] if one["name"] == "packaging"]
    assert right in ran.err
    assert "Got" in ran.err
