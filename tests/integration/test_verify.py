"""Equal inputs give equal bytes under other conditions; whatever does not is named, to the file and its section."""

import json
import os
import re
import signal
import tarfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import zstandard

from build.doors.buildx import Buildx
from build.doors.console import Console
from build.doors.effects import EngineHandle
from build.host import private
from build.image.compilecache import CompileCache
from build.pin.locks import read_cuda_lock, read_debian_lock
from build.settings import Settings
from build.verify.compare import compare
from build.verify.variations import VARIATIONS
from build.wiring import Wiring
from tests.integration.causes import Causes, build_causes, exported
from tests.integration.conftest import Checkout
from tests.integration.mounts import own_mount

pytestmark = pytest.mark.engine

TEMPLATE = "dockerfiles/llama-cpp.Dockerfile.j2"
needs_second_engine = os.geteuid() == 0
"""Else a build is made again on the engine in use, and verify.json says so."""


def small(checkout: Checkout, kernels: int) -> None:
    """Fewer kernels than twelve; four are one for each storage type."""
    checkout.edit(
        "recipes/minifork.yaml", 'MINI_CUDA: "ON"', f'MINI_CUDA: "ON"\n  MINI_CUDA_INSTANCES: "{kernels}"'
    )


def built(checkout: Checkout) -> str:
    ran = checkout.run("image", "minifork")
    assert ran.code == 0, ran.err
    return str(checkout.artifact("image")["digest"])


def test_the_same_recipe_gives_the_same_digest(checkout: Checkout) -> None:
    small(checkout, 4)
    digest = built(checkout)
    ran = checkout.run("verify", "minifork", "--json")
    assert ran.code == 0, ran.err
    (said,) = json.loads(ran.out)
    assert said == checkout.artifact("verify")
    assert said["before"]["engine"] == said["after"]["engine"], "one BuildKit, which has to pack alike"
    assert (said["verdict"], said["before"]["digest"], said["after"]["digest"]) == (
        "identical",
        digest,
        digest,
    )
    assert f"minifork: identical: {digest}" in ran.err
    varied = {one["name"]: one for one in said["varied"]}
    assert list(varied) == [name for name, _ in VARIATIONS]
    same = {name for name, one in varied.items() if one["why_not"]}
    alone = set() if needs_second_engine else {"engine"}
    assert same == alone | ({"cpus"} if alone or len(os.sched_getaffinity(0)) == 1 else set())
    assert all(one["before"] != one["after"] for name, one in varied.items() if name not in same)
    if not same:
        half = len(os.sched_getaffinity(0)) // 2
        assert f"({half} cores" in said["after"]["jobs"], "the engine's own children are limited too"
    assert not list((checkout.out / "minifork").glob("verify/*")), "nothing differs, nothing is kept"


def test_without_the_seed_the_kernels_differ(checkout: Checkout) -> None:
    small(checkout, 1)
    checkout.edit(TEMPLATE, " -frandom-seed=ingot", "")
    built(checkout)
    programs = checkout.root / "programs"
    programs.mkdir()
    (programs / "diffoscope").write_text(
        '#!/bin/sh\nwhile [ "$1" != --text ]; do shift; done\necho "$@" > "$2"\n'
    )
    (programs / "diffoscope").chmod(0o755)
    path = f"{programs}:{os.environ['PATH']}"
    ran = checkout.run("verify", "minifork", "--without", "engine,file-times", PATH=path)
    assert ran.code == 1
    found = re.search(
        r"layer 3, app/libmini-cuda\.so\.0\.1\.0, \.nv_fatbin: module id, in 1 of 2 entries", ran.err
    )
    assert found, ran.err
    said = checkout.artifact("verify")
    assert said["verdict"] == "differs"
    assert {one["file"] for one in said["differences"]} == {"app/libmini-cuda.so.0.1.0"}
    (file,) = said["diffoscope"]
    words = (checkout.out / "minifork" / file).read_text().split()
    assert [Path(word).is_file() for word in words[2:]] == [True, True], "the blobs of both layers"
    left_out = {one["name"]: one["why_not"] for one in said["varied"] if one["why_not"]}
    assert left_out["engine"] == left_out["file-times"] == "left out by --without"
    other = checkout.out / "minifork" / "verify" / "index.json"
    assert json.loads(other.read_text())["manifests"][0]["digest"] == said["after"]["digest"]
    built(checkout)
    assert (checkout.out / "minifork" / "verify.json").exists(), (
        "nothing was built: what was found still holds"
    )


def cached(checkout: Checkout, settings: Settings, folder: Path) -> CompileCache:
    """Give a checkout a compile cache that no other build sees, and return the way into it."""
    wiring = Wiring(settings=replace(settings, root=checkout.root), reporter=Console())
    return replace(wiring.compile_cache("13.0"), lock=own_mount(checkout), folder=folder)


def objects(cache: CompileCache) -> dict[str, bytes]:
    """Return what the compile cache keeps, unpacked, by the file's name."""
    cache.folder.mkdir(exist_ok=True)
    cache.keep()
    found = {}
    with tarfile.open(cache.file) as archive:
        for member in archive:
            file = archive.extractfile(member) if member.isfile() else None
            data = file.read() if file else b""
            start = data.find(b"\x28\xb5\x2f\xfd")  # zstd
            if start > 0:
                with suppress(zstandard.ZstdError):
                    data = zstandard.ZstdDecompressor().decompressobj().decompress(data[start:])
            found[member.name] = data
    return found


def test_a_poisoned_compile_cache_is_found(checkout: Checkout, settings: Settings, tmp_path: Path) -> None:
    """An object of other source under the right one's name: builds trust it, `verify` compiles for itself."""
    small(checkout, 1)
    cache = cached(checkout, settings, tmp_path / "first")
    right = built(checkout)
    checkout.edit("samples/minifork/common/json.cpp", "nested too deeply", "NESTED TOO DEEPLY")
    checkout.repin()
    assert built(checkout) != right
    kept = objects(cache)
    (good,) = (name for name, data in kept.items() if b"nested too deeply" in data)
    (bad,) = (name for name, data in kept.items() if b"NESTED TOO DEEPLY" in data)
    checkout.edit("samples/minifork/common/json.cpp", "NESTED TOO DEEPLY", "nested too deeply")
    checkout.repin()
    poisoned = cached(checkout, settings, tmp_path / "second")
    poisoned.folder.mkdir()
    with tarfile.open(cache.file) as source, tarfile.open(poisoned.file, "w") as target:
        wrong = source.extractfile(bad)
        assert wrong
        data = wrong.read()
        for member in source:
            if member.name == good:
                member.size = len(data)
                wrong.seek(0)
                target.addfile(member, wrong)
            else:
                target.addfile(member, source.extractfile(member) if member.isfile() else None)
    poisoned.restore()
    built(checkout)
    used = checkout.artifact("image")["compile_cache"]
    assert used["hits"] > 0
    assert used["misses"] == 0, "the cache's words were taken"
    ran = checkout.run("verify", "minifork", "--without", "engine")
    assert ran.code == 1
    words = " ".join(ran.err.split())
    wanted = "app/libmini-common.so.0.1.42, .rodata: another text: NESTED TOO DEEPLY, then nested too deeply"
    assert f"layer 4, {wanted}" in words, ran.err
    # What is poisoned is still there: no step was taken over, and none has emptied the compile cache.
    ran = checkout.run("verify", "minifork", "--without", "engine,ccache")
    assert ran.code == 0, ran.err
    for said in (checkout.artifact("verify")["after"], checkout.artifact("verify")["before"]):
        assert said["jobs"], "the compile step was run"
        assert said["digest"] == checkout.artifact("image")["digest"]


def test_compilers_on_another_platform(checkout: Checkout, settings: Settings) -> None:
    """An image whose plan says that its compilers ran on arm64 is built again here, with this machine's own toolchain."""
    small(checkout, 1)
    digest = built(checkout)
    cross = [path.name for path in (settings.cache / "images").glob("*-cross-*")]
    ran = checkout.run("verify", "minifork", "--build-platform", "linux/arm64", INGOT_EMULATE="")
    assert ran.code == 2
    words = " ".join(ran.err.split())
    assert "compile stages for linux/arm64 are emulated on linux/amd64" in words
    assert "hint: leave --build-platform out; INGOT_EMULATE=1 compiles all the same" in words
    assert [path.name for path in (settings.cache / "images").glob("*-cross-*")] == cross, "none is begun"
    ran = checkout.run("verify", "minifork", "--build-platform", "linux/amd64")
    assert ran.code == 2
    assert "minifork: its compilers ran on linux/amd64: that is no other platform" in ran.err
    plan = checkout.out / "minifork" / "plan.json"
    elsewhere = json.loads(plan.read_text())
    elsewhere["pin"]["toolchain"] |= {
        "platform": "linux/arm64", "cross": "c" * 64, "digest": f"sha256:{'0' * 64}",
    }  # fmt: skip
    plan.write_text(json.dumps(elsewhere))
    image = checkout.out / "minifork" / "image.json"
    ran = checkout.run("verify", "minifork", "--build-platform", "linux/amd64")
    assert ran.code == 2
    assert "its compilers ran on linux/amd64" in ran.err, "the image says that, whatever was planned since"
    ran_on = '"build platform": "linux/{}"'
    image.write_text(image.read_text().replace(ran_on.format("amd64"), ran_on.format("arm64")))
    ran = checkout.run("verify", "minifork", "--build-platform", "linux/amd64", "--without", "engine,ccache")
    assert ran.code == 0, ran.err
    said = checkout.artifact("verify")
    assert said["after"]["digest"] == digest
    assert said["varied"][-1] == {
        "name": "build-platform", "before": "linux/arm64", "after": "linux/amd64", "why_not": "",
    }  # fmt: skip


@pytest.mark.skipif(not needs_second_engine, reason="a second private engine needs root")
def test_a_killed_verify_leaves_no_engine_for_ever(good: Checkout, settings: Settings) -> None:
    second = replace(settings, engine="private", engine_name=f"{settings.engine_name}-verify")
    code = good.killed(r"prove the bundle", signal.SIGKILL, "verify", "minifork")
    assert code == -signal.SIGKILL
    assert private.status(second).state == "running", "nobody was left to stop it"
    bundles = [path for path in (settings.cache / "bundles" / "scratch").iterdir() if path.is_dir()]
    assert bundles
    # Before it ends it stops the second engine, which has 30 s for that alone.
    code = good.killed(r"prove the bundle", signal.SIGINT, "verify", "minifork", within_s=120)
    assert code == 130
    assert private.status(second).state == "stopped"
    assert not (settings.cache / "engine" / second.engine_name).exists()
    assert not list((settings.cache / "verify").glob("*minifork")), "no build is left"
    assert not any(bundle.exists() for bundle in bundles), "and no bundle"
    assert not (good.out / "minifork" / "verify.json").exists()


@pytest.fixture(scope="module")
def buildx(engine: EngineHandle) -> Buildx:
    return Buildx(engine)


@pytest.fixture(scope="module")
def differing(
    tmp_path_factory: pytest.TempPathFactory, settings: Settings, buildx: Buildx
) -> tuple[str, ...]:
    """Every difference of two images, one cause a file, as verify says it."""
    wiring = Wiring(settings=settings, reporter=Console())
    cuda, debian = read_cuda_lock(wiring.toolchains, "13.0"), read_debian_lock(wiring.toolchains)
    image = wiring.images.toolchain(cuda, debian, mode=settings.base)
    layout = wiring.images.layout(wiring.images.toolchain_name("13.0", image), image)
    folder = tmp_path_factory.mktemp("causes")
    causes: Causes = build_causes(buildx, f"oci-layout://{layout}@{image.digest}", folder)
    found = compare(causes.before, causes.after, folder / "scratch", same_versions=True)
    return tuple(map(str, found.differences))


@pytest.mark.parametrize(
    ("file", "words"),
    [
        (
            "no-objdir.o",
            r"\.strtab: nvcc's name of a temporary file: tmpxft_\w+-\S+_kernels.cudafe1.cpp, then tmpxft_",
        ),
        (
            "no-seed.so",
            r"\.nv_fatbin: module id, in 1 of 1 entries, the first for sm_120a: \w+_kernels_cu_\w+, then \w+",
        ),
        ("no-seed.so", r"\.rodata: module id: "),
        ("no-seed.so", r"\.note\.gnu\.build-id: build id: [0-9a-f]{40}, then [0-9a-f]{40}"),
        ("date.o", r"\.rodata: an embedded date or time: \d\d:\d\d:\d\d, then \d\d:\d\d:\d\d"),
        ("path.o", r"\.rodata: an embedded path: /place/first/where.cpp, then /elsewhere/second/where.cpp"),
        ("runpath.so", r"\.dynamic: RUNPATH: /place/first/lib, then /elsewhere/second/lib"),
        ("build-id.so", r"\.note\.gnu\.build-id: build id: [0-9a-f]{32}, then [0-9a-f]{32}"),
        ("order.a", r"members: another order of members, from the 2\. on: f.o, then g.o"),
        ("times.a", r"f.o, time: another value: \d+, then \d+"),
        ("mode.txt", r"mode: another value: 0644, then 0664"),
        ("level.gz", r"gzip header: another value: .*the fastest.*, then .*the smallest"),
        ("same.gz", r"gzip header: another value: .* time \d+"),
    ],
)
def test_a_cause_is_named(differing: tuple[str, ...], file: str, words: str) -> None:
    assert any(re.match(rf"layer 1, app/{re.escape(file)}, {words}", line) for line in differing), differing


def test_and_nothing_else_is(differing: tuple[str, ...]) -> None:
    files = {line.split(", ")[1] for line in differing}
    names = (
        "no-objdir.o",
        "no-seed.so",
        "date.o",
        "path.o",
        "runpath.so",
        "build-id.so",
        "order.a",
        "times.a",
        "mode.txt",
    )
    assert files == {f"app/{name}" for name in (*names, "level.gz", "same.gz", "named.gz")}


def test_what_the_exporter_decides(buildx: Buildx, tmp_path: Path) -> None:
    """File times, compression and metadata are BuildKit's: each changed alone, in an image that has nothing else."""
    (tmp_path / "context").mkdir()
    file = tmp_path / "context" / "f"
    file.write_text("words " * 2000)
    text = "FROM scratch\nCOPY --chmod=644 f /f\n"
    first = exported(buildx, tmp_path, "first", text)
    assert (
        compare(first, exported(buildx, tmp_path, "again", text), tmp_path, same_versions=True).differences
        == ()
    )

    def lines(name: str, dockerfile: str = text, **changed: str) -> tuple[str, ...]:
        other = exported(buildx, tmp_path, name, dockerfile, **changed)
        return tuple(map(str, compare(first, other, tmp_path, same_versions=True).differences))

    os.utime(file, (1_500_000_000, 1_500_000_000))
    assert lines("clamped") == ()
    rewritten, times = lines("times", rewrite_timestamp="false")
    assert rewritten == (
        "manifest layers[0].annotations.buildkit/rewritten-timestamp: removed: 1000000000, then nothing"
    )
    assert re.fullmatch(r"layer 1, f, mtime: another value: 1000000000, then 1[5-9]\d{8}", times)
    level = lines("level", compression_level="1", force_compression="true")
    assert all(line.startswith("layer 1, compression: ") for line in level)
    assert "layer 1, compression: equal content, another gzip stream" in level[-1]
    packed = lines("zstd", compression="zstd", force_compression="true")
    assert "layer 1, compression: another method: gzip, then zstd" in packed
    labels = "configuration config.Labels.a: added: nothing, then b"
    assert labels in lines("labels", text + "LABEL a=b\n")
    assert "configuration config.Env[1]: added: nothing, then A=b" in lines("env", text + "ENV A=b\n")
