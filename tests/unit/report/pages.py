"""One image with everything a page can say, and the same with one thing changed. Numbers are those of a real build."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from build.image.model import BuiltImage, Layer
from build.pin.model import PatchedFile, PatchProof, Pin, PinnedImage, PinnedSource
from build.plan.model import ImagePlan
from build.publish.model import PushReceipt
from build.recipe.model import (
    Driver,
    Family,
    GitSource,
    Image,
    Patch,
    Recipe,
    Runtime,
    Serve,
    Smoke,
    SmokeModel,
    Toolchain,
)
from build.recipe.refs import Commit, Digest
from build.report.difference import Area, Change, Difference, Kind
from build.report.page import Artifacts, Page, make_page
from build.report.times import BuildTimes
from build.settings import Namespace
from build.smoke.model import CheckResult, Outcome, SmokeReport
from build.smoke.run import expectations_of
from build.smoke.running import suite as running
from build.smoke.static import suite as static

__all__ = [
    "AT",
    "BUILT",
    "DETAILS",
    "DIFFERENCE",
    "HISTORY",
    "NAMES",
    "PLAN",
    "RECEIPT",
    "RUNNING",
    "STATIC",
    "artifacts",
    "page",
    "report",
]

AT = datetime(2026, 11, 21, 2, 30, tzinfo=UTC)
COMMIT = Commit("633cd34fb6df72ad88a74e9320dad03ddd788fb1")
FINGERPRINT = "5f0c1e7a2b9d" + "4" * 52
STATIC = static.names_of(Family.LLAMA_CPP)
RUNNING = running.names_of(Family.LLAMA_CPP)
NAMES = (*STATIC, *RUNNING, running.GPU)


def digest(letter: str) -> Digest:
    return Digest(f"sha256:{letter * 64}")


RECIPE = Recipe(
    name="beellama",
    title="BeeLlama.cpp server with DFlash, for consumer Blackwell",
    family=Family.LLAMA_CPP,
    image=Image(repository="beellama-cpp", tags=("latest", "v0.1.2")),
    source=GitSource(repo="https://git.example.org/beellama.cpp.git", commit=COMMIT, version="v0.1.2"),
    toolchain=Toolchain(cuda="13.0", architectures=("120a-real",), driver=Driver.LINKED),
    patches=(
        Patch(
            file="beellama/0001-keep-the-draft-cache.patch",
            why="the draft's cache was dropped after every request",
            upstream="https://git.example.org/beellama.cpp/pull/48",
            drop_when="upstream merges it",
            foundational=True,
        ),
        Patch(
            file="beellama/0002-name-the-device.patch", why="two cards of one name could not be told apart"
        ),
    ),
    runtime=Runtime(entrypoint=("/app/llama-server",), env=(("LLAMA_ARG_HOST", "0.0.0.0"),)),
    serve=Serve(
        args=(
            "--model",
            "{model}",
            "--spec-draft-model",
            "{model}",
            "--spec-type",
            "dflash",
            "--port",
            "{port}",
            "-ngl",
            "99",
            "--ctx-size",
            "262144",
            "--cache-type-k",
            "q8_0",
            "--chat-template-kwargs",
            '{"enable_thinking": false}',
        ),
    ),
    smoke=Smoke(version="version: 0 (633cd34fb)", model=SmokeModel.GGUF_LLAMA, args=("-m", "{model}")),
    notes=(
        "DFlash needs a draft GGUF made for the target (https://models.example.org/draft).",
        "Under a GPU-sharing shim take the variant no-vmm.",
    ),
)

PIN = Pin(
    recipe="beellama",
    inputs="i",
    source=PinnedSource(
        url="https://git.example.org/beellama.cpp.git",
        commit=COMMIT,
        committed_at="2026-05-13T10:00:00Z",
        tree="1" * 40,
        patched_tree="2" * 40,
        links=(),
        patches=(
            PatchProof(
                file="beellama/0001-keep-the-draft-cache.patch", sha256="9a2ac38f7aec" + "0" * 52, verdict="clean",
                touches=("common/speculative.cpp", "tools/server/server.cpp"),
                changes=(
                    PatchedFile(path="common/speculative.cpp", before="a1" * 20, after="b2" * 20),
                    PatchedFile(path="tools/server/draft.cpp", before="", after="c3" * 20),
                ),
            ),
            PatchProof(
                file="beellama/0002-name-the-device.patch", sha256="77e0b1c2d3e4" + "0" * 52, verdict="offset 12",
                touches=("ggml/src/ggml-cuda/ggml-cuda.cu",),
            ),
        ),
    ),
    toolchain=PinnedImage(lock="t" * 64, digest=digest("a"), origin="registry: debian:bookworm", packages=()),
    base=PinnedImage(lock="b" * 64, digest=digest("b"), origin="bootstrapped: debian/bookworm", packages=()),
)  # fmt: skip

PLAN = ImagePlan(
    recipe=RECIPE,
    variant="",
    pin=PIN,
    fingerprint=FINGERPRINT,
    tag="v0.1.2-cu130-sm120a-5f0c1e7a2b9d",
    moving_tags=("latest", "v0.1.2"),
    labels=(
        ("ingot.architectures", "120a-real"),
        ("ingot.cuda", "13.0"),
        ("ingot.driver.minimum", "580.65.06"),
        ("ingot.fingerprint", FINGERPRINT),
        ("org.opencontainers.image.revision", COMMIT),
        ("org.opencontainers.image.source", "https://git.example.org/beellama.cpp"),
        ("org.opencontainers.image.version", "v0.1.2"),
    ),
    files=(),
)

LAYERS = tuple(
    Layer(digest=digest(letter), diff_id=digest(letter), size=size, what=what)
    for letter, size, what in (
        ("1", 40_856_095, "ADD rootfs.tar / # buildkit"),
        ("2", 423_745_206, "COPY /collect/cuda/ /app/ # buildkit"),
        ("3", 23_148_588, "COPY /collect/kernels/ /app/ # buildkit"),
        ("4", 5_211_470, "COPY /collect/server/ /app/ # buildkit"),
        ("5", 32, "WORKDIR /app"),
    )
)

BUILT = BuiltImage(
    recipe="beellama",
    variant="",
    fingerprint=FINGERPRINT,
    digest=digest("d"),
    config_digest=digest("e"),
    platform="linux/amd64",
    size=sum(layer.size for layer in LAYERS),
    layers=LAYERS,
    seconds={
        "probe": 0.4,
        "configure": 4.1,
        "compile": 412.7,
        "collect": 3.2,
        "export": 33.0,
        "total": 461.25,
    },
    compile_cache={"hits": 361, "misses": 41},
    layer_cache="registry.example.org/me/layer-cache:beellama",
    engine={"buildx": "0.13.1", "engine": "26.1.5", "buildkit": "v0.12.5"},
)

_LIBC = {"path": "/usr/lib/x86_64-linux-gnu/libc.so.6"}
_BASE = {"path": "/app/libggml-base.so.0.9.4"}

DETAILS: dict[str, dict[str, Any]] = {
    "layout": {
        "entries": 5243,
        "layers": 5,
        "elf_files": 717,
        "largest": [
            {"path": "/app/libcublasLt.so.13", "bytes": 502_711_424, "layer": 1},
            {"path": "/app/libggml-cuda.so.0.9.4", "bytes": 62_914_560, "layer": 2},
            {"path": "/app/libcublas.so.13", "bytes": 54_001_152, "layer": 1},
            {"path": "/app/llama-server", "bytes": 6_291_456, "layer": 3},
        ],
    },
    "closure": {
        "files": 717,
        "injected": ["libcuda.so.1"],
        "tree": {
            "path": "/app/llama-server",
            "needs": {
                "libllama.so.0": {
                    "path": "/app/libllama.so.0.9.4",
                    "needs": {
                        "libggml-base.so.0": {**_BASE, "needs": {"libc.so.6": {**_LIBC, "needs": {}}}},
                        "libggml-cuda.so.0": {
                            "path": "/app/libggml-cuda.so.0.9.4",
                            "needs": {
                                "libcublas.so.13": {"path": "/app/libcublas.so.13", "needs": {"libc.so.6": _LIBC}},
                                "libggml-base.so.0": _BASE,
                                "libcuda.so.1": {"path": "", "from": "driver"},
                                "libc.so.6": _LIBC,
                            },
                        },
                        "libc.so.6": _LIBC,
                    },
                },
                "libc.so.6": _LIBC,
            },
        },
        "others": [{"path": "/app/libggml-cpu-haswell.so", "needs": {"libggml-base.so.0": _BASE, "libc.so.6": _LIBC}}],
    },
    "driver_boundary": {"run_paths": {"/app/llama-server": "$ORIGIN"}, "variables": {}},
    "link_facts": {
        "driver": "linked",
        "linked": ["/app/libggml-cuda.so.0.9.4"],
        "imports": {"/app/libggml-cuda.so.0.9.4": ["cuMemCreate", "cuMemMap", "cuDeviceGet", "cuMemUnmap"]},
    },
    "gpu_code": {
        "promised": ["sm_120a"],
        "libraries": {
            "/app/libggml-cuda.so.0.9.4": {
                "targets": {"SASS sm_120a": {"entries": 138, "compressed": 120, "bytes": 51_380_224}},
                "identity": "13910a89ab915b105287305afc872aa73abf00b86f552b27498fe6dc5ec59d8d",
            }
        },
        "vendor": {
            "/app/libcublas.so.13": ["sm_100", "sm_120", "sm_90"],
            "/app/libcudart.so.13": [],
        },
    },
    "labels": {"labels": dict(PLAN.labels)},
    "user": {"user": "10001:10001", "privileged": ["/usr/bin/su"]},
    "links": {"links": {}},
    "residue": {"host_words": 2, "findings": 0},
    "timestamps": {"epoch": 1_000_000_000, "newest": {"0": 1_000_000_000, "1": 1_000_000_000}},
    "version": {"said": "version: 0 (633cd34fb)\nbuilt with GNU 12.2.0"},
    "arguments": {"accepted": ["--spec-type dflash -ngl 99"], "refused": ["--no-such-flag"]},
    "health": {"body": '{"status":"ok"}'},
    "endpoints": {"asked": ["/props", "/props"]},
    "tokens": {"content": "abc"},
    "sigterm": {"exit": 0},
}  # fmt: skip

NO_GPU = "no NVIDIA GPU on this host (nvidia-smi does not answer)"

RECEIPT = PushReceipt(
    digest=BUILT.digest,
    refs={
        f"registry.example.org/me/beellama-cpp:{tag}": BUILT.digest for tag in (PLAN.tag, *PLAN.moving_tags)
    },
)

DIFFERENCE = Difference(
    left="registry.example.org/me/beellama-cpp:v0.1.1-cu130-sm120a-0123456789ab",
    right="beellama-cpp:v0.1.2-cu130-sm120a-5f0c1e7a2b9d",
    changes=(
        Change(area=Area.UPSTREAM, name="commit", kind=Kind.CHANGED, before="1111111111", after="633cd34fb6"),
        Change(area=Area.FLAGS, name="--draft-max", kind=Kind.GONE, before="--draft-max N"),
        Change(area=Area.FLAGS, name="--spec-dm-adaptive", kind=Kind.NEW, after="--spec-dm-adaptive"),
        Change(area=Area.SIZE, name="compressed", kind=Kind.CHANGED, before="480.1 MB", after="493.0 MB"),
    ),
    same=("patches: both", "kernels: all 138 of libggml-cuda"),
    unknown=("defaults: the published image has no record of them",),
)

HISTORY = (
    BuildTimes(
        at="2026-11-19T18:04:11Z",
        tag="v0.1.1-cu130-sm120a-0123456789ab",
        digest=str(digest("c")),
        seconds={"probe": 0.5, "configure": 4.0, "compile": 2143.0, "collect": 3.1, "export": 34.2, "total": 2190.0},
        compile_cache={"hits": 0, "misses": 402},
        smoke={"layout": 4.1, "health": 11.0},
    ),
    BuildTimes(
        at="2026-11-21T02:30:00Z",
        tag=PLAN.tag,
        digest=str(BUILT.digest),
        seconds=BUILT.seconds,
        compile_cache=BUILT.compile_cache,
        smoke={"layout": 4.5, "health": 9.6},
    ),
)  # fmt: skip


def result(name: str, number: int) -> CheckResult:
    if name == running.GPU:
        return CheckResult(name=name, outcome=Outcome.SKIPPED, reason=NO_GPU)
    return CheckResult(
        name=name, outcome=Outcome.PASSED, seconds=round(0.125 * number, 3), detail=DETAILS.get(name, {})
    )


def report(*changed: CheckResult, without: tuple[str, ...] = ()) -> SmokeReport:
    """Return what smoke found, with other results in the place of some, or without some."""
    found = {name: result(name, number) for number, name in enumerate(NAMES) if name not in without}
    found |= {one.name: one for one in changed}
    return SmokeReport.of(BUILT, expectations_of(PLAN), tuple(found.values()))


def artifacts(**changed: Any) -> Artifacts:
    whole = Artifacts(
        plan=PLAN,
        built=BUILT,
        report=report(),
        receipt=RECEIPT,
        difference=DIFFERENCE,
        history=HISTORY,
        namespace=Namespace(host="registry.example.org", path="me"),
    )
    return replace(whole, **changed)


def page(**changed: Any) -> Page:
    return make_page(artifacts(**changed))
