"""A recipe, a pin and a plan to change one thing of."""

from pathlib import Path

from build.pin.model import PatchProof, Pin, PinnedImage, PinnedSource
from build.plan.plan import Places
from build.recipe.model import (
    CMakeOption,
    Driver,
    Family,
    GitSource,
    Image,
    LinkFix,
    Patch,
    Recipe,
    Runtime,
    Serve,
    Smoke,
    SmokeEndpoint,
    Step,
    Toolchain,
)
from build.recipe.refs import Commit, Digest

__all__ = ["PIN", "PLACES", "RECIPE", "TEMPLATES"]

TEMPLATES = Path(__file__).parents[3] / "dockerfiles"
COMMIT = Commit("0123456789" * 4)

RECIPE = Recipe(
    name="mini",
    title="Mini",
    family=Family.LLAMA_CPP,
    image=Image(repository="mini", tags=("latest", "{version}-{commit7}")),
    source=GitSource(repo="https://git.example.org/mini.git", commit=COMMIT, version="b42"),
    toolchain=Toolchain(cuda="13.0", architectures=("120a-real",), driver=Driver.LINKED),
    link_fix=LinkFix.STUB_RPATH_LINK,
    cmake=(
        CMakeOption(name="GGML_CUDA", value="ON"),
        CMakeOption(name="LLAMA_BUILD_NUMBER", value="{build}"),
        CMakeOption(name="OLD_NAME", value="OFF", unused_ok="an older name"),
    ),
    targets=("server",),
    steps=(Step(name="tools", dir="tools", cmake=(CMakeOption(name="ROOT", value="/build/main"),)),),
    patches=(Patch(file="mini/0001-a.patch", why="a test"),),
    runtime=Runtime(entrypoint=("/app/server",), env=(("LLAMA_ARG_HOST", "0.0.0.0"),)),
    serve=Serve(args=("-m", "{model}", "--alias", "mini-{commit7}")),
    smoke=Smoke(
        version="version: {build} ({commit9})",
        endpoints=(SmokeEndpoint(path="/props", expect="b{build}"),),
        args=("-m", "{model}", "--port", "{port}"),
    ),
)

TOOLCHAIN = PinnedImage(
    lock="5" * 64, digest=Digest(f"sha256:{'6' * 64}"), origin="registry: x", packages=("g++=12",)
)

PIN = Pin(
    recipe="mini",
    inputs="i",
    source=PinnedSource(
        url="https://git.example.org/mini.git", commit=COMMIT, committed_at="2026-03-01T10:00:00Z",
        tree="1" * 40, patched_tree="2" * 40, submodules=(("vendor/x", "3" * 40),),
        patches=(PatchProof(file="mini/0001-a.patch", sha256="4" * 64, verdict="clean", touches=("a.cpp",)),),
    ),
    toolchain=TOOLCHAIN,
    base=PinnedImage(lock="7" * 64, digest=Digest(f"sha256:{'8' * 64}"), origin="registry: x", packages=("bash=5",)),
)  # fmt: skip

PLACES = Places(
    root=Path("/checkout"),
    out=Path("/checkout/out/mini"),
    folders=(("source", Path("/checkout/.cache/sources/2")),),
    layouts=(
        ("toolchain", Path("/elsewhere/toolchain/layout"), Digest(f"sha256:{'6' * 64}")),
        ("base", Path("/checkout/.cache/base/layout"), Digest(f"sha256:{'8' * 64}")),
    ),
)
