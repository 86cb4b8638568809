"""The layer cache of a real registry between two real engines, with layers of zstd: warm, gone, poisoned."""

import gzip
import hashlib
import io
import json
import os
import secrets
import subprocess
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import zstandard

from build.doors import store
from build.doors.buildx import Buildx
from build.doors.console import Console
from build.doors.effects import EngineHandle
from build.doors.registry import HttpRegistry
from build.host import private, registry
from build.image.build import build_image, write_rendered
from build.image.layercache import LayerCache
from build.image.layout import open_layout
from build.image.model import BuiltImage
from build.namespaces import Namespace
from build.plan.model import ImagePlan
from build.recipe.naming import LAYER_CACHE_REPOSITORY
from build.recipe.refs import Digest, ImageRef
from build.settings import Settings
from build.verify.compare import compare
from build.verify.model import Verdict
from tests.fakes import RecordingReporter
from tests.integration.conftest import Checkout, make_checkout
from tests.integration.nodes import node

pytestmark = [pytest.mark.engine, pytest.mark.skipif(os.geteuid() != 0, reason="a private engine needs root")]

SMALL = 4_000_000
"""Bytes of a layer that is worth a look: the server's has some hundred thousand."""


@dataclass(frozen=True, kw_only=True)
class Shared:
    """An image that one engine built, the cache that it left, and another engine that has nothing."""

    checkout: Checkout
    place: Namespace
    said: str
    engine: EngineHandle

    @property
    def out(self) -> Path:
        return self.checkout.out / "minifork"

    @property
    def plan(self) -> ImagePlan:
        return store.read_artifact(self.out / "plan.json", ImagePlan, made_by="image")

    @property
    def first(self) -> BuiltImage:
        return store.read_artifact(self.out / "image.json", BuiltImage, made_by="image")

    def forget(self) -> None:
        """Leave the engine nothing of what it knows."""
        argv = ("docker", "buildx", "prune", "--all", "--force")
        subprocess.run(
            argv, env={**os.environ, **dict(self.engine.environment)}, check=True, capture_output=True
        )

    def build(self, name: str, place: Namespace, *, write: bool = False) -> tuple[BuiltImage, list[str]]:
        """Build on the engine that has nothing; also return the warnings."""
        reporter, out = RecordingReporter(), self.checkout.out / name
        write_rendered(self.plan, out)
        cache = LayerCache(place=place, write=write, reporter=reporter)
        builder = Buildx(self.engine)
        built = build_image(
            self.plan, out, root=self.checkout.root, builder=builder, reporter=reporter, cache=cache
        )
        return built, [text for kind, text in reporter.said if kind == "warning"]


@pytest.fixture(scope="module")
def shared(
    tmp_path_factory: pytest.TempPathFactory,
    settings: Settings,
    engine: EngineHandle,
    loopback: registry.RegistryServer,
) -> Iterator[Shared]:
    name = f"cached-{secrets.token_hex(4)}"
    checkout = make_checkout(tmp_path_factory.mktemp("cached") / name, settings, engine, loopback)
    checkout.edit("recipes/minifork.yaml", 'MINI_CUDA: "ON"', 'MINI_CUDA: "ON"\n  MINI_CUDA_INSTANCES: "1"')
    checkout.edit(
        "recipes/minifork.yaml", "  repository: minifork\n", "  repository: minifork\n  compression: zstd\n"
    )
    place = Namespace(host=loopback.address, path=name)
    fresh = replace(settings, engine="private", engine_name="fresh", builder="")
    try:
        # Of a builder with a history BuildKit may leave out steps (docs/builders.md), so the one that writes is new too.
        private.stop(fresh, Console(), purge=True)
        ran = checkout.run(
            *("image", "minifork"),
            INGOT_ENGINE="private",
            INGOT_ENGINE_NAME=fresh.engine_name,
            INGOT_LAYER_CACHE=str(place),
            INGOT_LAYER_CACHE_WRITE="1",
        )
        assert ran.code == 0, ran.err
        private.stop(fresh, Console(), purge=True)
        yield Shared(checkout=checkout, place=place, said=ran.err, engine=private.start(fresh, Console()))
    finally:
        private.stop(fresh, Console(), purge=True)


def test_a_fresh_engine_starts_warm_and_makes_the_same_bytes(shared: Shared) -> None:
    reference = f"{shared.place}/{LAYER_CACHE_REPOSITORY}:minifork"
    assert f"nothing in the layer cache yet: {reference}" in shared.said
    assert shared.first.layer_cache == ""
    built, warnings = shared.build("fresh", shared.place)
    assert built.digest == shared.first.digest
    assert (built.layer_cache, built.compile_cache) == (reference, {"hits": 0, "misses": 0})
    log = (shared.checkout.out / "fresh" / "build.log").read_text()
    assert "RUN --network=none --mount=type=cache" in log
    assert "ccache: hits=" not in log, "no stage had to compile"
    assert built.seconds.keys() <= {"image", "runtime", "export", "total"}, "nothing ran but the last stage"
    assert warnings == []


def test_an_image_of_zstd_is_read_by_everything(shared: Shared) -> None:
    run = shared.checkout.run
    layout = open_layout(shared.out / "image")
    assert set(layout.packing) == {"zstd"}
    assert {one["outcome"] for one in shared.checkout.artifact("smoke")["checks"]} <= {"passed", "skipped"}
    assert run("push", "minifork").code == 0
    (tag, *_) = shared.checkout.artifact("push")["refs"]
    seen = run("inspect", tag, "--json")
    assert json.loads(seen.out)["digest"] == layout.digest, seen.err
    (sizes,) = json.loads(run("size", "minifork", "--json").out)
    assert [layer["what"] for layer in sizes["layers"]][:3] == ["base", "CUDA's libraries", "kernels"]
    compared = run("diff", "published", "minifork")
    assert compared.code == 0, compared.err


def test_a_named_builder_builds_on_its_node_and_without_a_cache_that_answers(
    shared: Shared, tmp_path: Path
) -> None:
    nobody = Namespace(host="127.0.0.1:9", path="nobody")
    with node(shared.engine.docker_host) as arm, node(shared.engine.docker_host) as amd:
        environment = {
            **dict(shared.engine.environment),
            "BUILDX_CONFIG": str(tmp_path),
            "BUILDX_BUILDER": "farm",
        }
        handle = replace(shared.engine, builder="farm", environment=tuple(environment.items()))
        for words in (
            ("--driver", "remote", "--platform", "linux/arm64", arm.endpoint),
            ("--append", "--platform", "linux/amd64", amd.endpoint),
        ):
            argv = ("docker", "buildx", "create", "--name", "farm", *words)
            subprocess.run(argv, env={**os.environ, **environment}, check=True, capture_output=True)
        shared = replace(shared, engine=handle)
        known = Buildx(handle).inspect()
        assert (known.name, known.driver, known.can_export_oci) == ("farm", "remote", True)
        built, warnings = shared.build("farm", nobody, write=True)
    assert (built.digest, built.layer_cache) == (shared.first.digest, "")
    assert arm.moved < 1_000_000 < sum(layer.size for layer in built.layers) < amd.moved
    read, written = warnings
    assert read.startswith("the layer cache cannot be read, so all is built here: ")
    assert written.startswith("the layer cache was not written, other machines find nothing new: ")
    assert all("connection refused" in one for one in warnings)


def poisoned(shared: Shared) -> Namespace:
    """Write a copy of the cache in which the server's layer holds another server, every digest right."""
    door = HttpRegistry(docker_config=Path("/nonexistent"))
    place = Namespace(host=shared.place.host, path=f"{shared.place.path}/poisoned")
    theirs = ImageRef(registry=shared.place.host, repository=f"{shared.place.path}/{LAYER_CACHE_REPOSITORY}")
    ours = ImageRef(registry=place.host, repository=f"{place.path}/{LAYER_CACHE_REPOSITORY}", tag="minifork")
    found = door.manifest(replace(theirs, tag="minifork"))
    assert found
    manifest: dict[str, Any] = json.loads(found.data)
    config = door.read_blob(theirs, Digest(manifest["config"]["digest"])) or b""

    def put(data: bytes) -> str:
        digest = Digest(sha256(data))
        file = shared.checkout.root / "blob"
        file.write_bytes(data)
        door.push_blob(ours, digest, file)
        return str(digest)

    text, whole = config.decode(), json.dumps(manifest)
    for layer in manifest["layers"]:
        digest = Digest(layer["digest"])
        packed = (door.read_blob(theirs, digest) if layer["size"] < SMALL else None) or b""
        # A layer that the first engine had as gzip, from an earlier build, is sent as it is.
        zstd = layer["mediaType"].endswith("+zstd")
        plain = (zstandard.ZstdDecompressor().decompressobj() if zstd else zlib.decompressobj(31)).decompress(
            packed
        )
        if b"app/mini-server\0" not in plain:
            door.push_blob(ours, digest, shared.checkout.root / "nothing", mount_from=theirs.repository)
            continue
        changed = _changed(plain)
        again = zstandard.compress(changed) if zstd else gzip.compress(changed)
        values = ((digest, put(again)), (sha256(plain), sha256(changed)), (str(len(packed)), str(len(again))))
        for old, new in values:
            text, whole = text.replace(old, new), whole.replace(old, new)
    assert text != config.decode(), "no layer holds the server"
    changed_manifest = json.loads(whole)
    changed_manifest["config"] |= {"digest": put(text.encode()), "size": len(text.encode())}
    door.put_manifest(ours, json.dumps(changed_manifest).encode(), found.media_type)
    return place


def sha256(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _changed(plain: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(plain)) as old, tarfile.open(fileobj=out, mode="w") as new:
        for member in old:
            file = old.extractfile(member) if member.isfile() else None
            data = file.read() if file else b""
            if member.name == "app/mini-server":
                data += b"poison"
            member.size = len(data)
            new.addfile(member, io.BytesIO(data))
    return out.getvalue()


def test_a_poisoned_cache_is_believed_and_another_build_shows_it(shared: Shared, tmp_path: Path) -> None:
    """A builder's word is taken; the record says whose, and a build that reads no cache comes out otherwise."""
    shared.forget()
    place = poisoned(shared)
    built, _ = shared.build("poisoned", place)
    assert built.layer_cache == f"{place}/{LAYER_CACHE_REPOSITORY}:minifork"
    assert built.digest != shared.first.digest
    before, after = (
        open_layout(folder / "image") for folder in (shared.out, shared.checkout.out / "poisoned")
    )
    found = compare(before, after, tmp_path, same_versions=True)
    assert found.verdict is Verdict.DIFFERS
    assert {one.file for one in found.differences if one.file} == {"app/mini-server"}
