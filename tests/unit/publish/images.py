"""Images in OCI layouts, with a plan and a smoke report that fit them."""

from dataclasses import dataclass
from pathlib import Path

from build.image.layout import open_layout
from build.image.model import BuiltImage
from build.pin.model import Pin, PinnedImage, PinnedSource
from build.plan.model import ImagePlan
from build.recipe.model import Family, GitSource, Image, Recipe, Runtime, Smoke, Toolchain
from build.recipe.refs import Commit, Digest
from build.smoke.model import CheckResult, ExpectationsId, Outcome, SmokeReport, VerifiedImage
from tests.layouts import write_layout

__all__ = ["FINGERPRINT", "TAG", "Pushable", "make_plan", "make_pushable"]

FINGERPRINT = "f" * 64
TAG = "1.0-cu130-sm120a-ffffffffffff"


@dataclass(frozen=True, kw_only=True)
class Pushable:
    """What push is handed."""

    verified: VerifiedImage
    plan: ImagePlan
    layout: Path


def make_pushable(path: Path, *contents: bytes, fingerprint: str = FINGERPRINT) -> Pushable:
    layout = open_layout(write_layout(path, contents, how=""))
    built = BuiltImage(
        recipe="mini", variant="", fingerprint=fingerprint, digest=layout.digest, config_digest=layout.config_digest,
        platform="linux/amd64", size=1, layers=layout.layers, seconds={}, compile_cache={}, engine={},
    )  # fmt: skip
    report = SmokeReport(
        digest=built.digest, config_digest=built.config_digest, outcome=Outcome.PASSED,
        expectations=ExpectationsId(hash="0"), required=("closure",),
        checks=(CheckResult(name="closure", outcome=Outcome.PASSED),),
    )  # fmt: skip
    return Pushable(verified=VerifiedImage(built=built, report=report), plan=make_plan(), layout=path)


def make_plan(*moving: str) -> ImagePlan:
    pinned = PinnedImage(lock="0", digest=Digest(f"sha256:{'0' * 64}"), origin="registry: x", packages=())
    source = PinnedSource(url="u", commit="c", committed_at="", tree="t", patched_tree="t", links=())
    recipe = Recipe(
        name="mini", title="Mini", family=Family.LLAMA_CPP, image=Image(repository="minifork"),
        source=GitSource(repo="https://example.org/x", commit=Commit("a" * 40), version="1.0"),
        toolchain=Toolchain(cuda="13.0", architectures=("120a-real",)), runtime=Runtime(entrypoint=("/app/x",)),
        smoke=Smoke(version="1.0"),
    )  # fmt: skip
    return ImagePlan(
        recipe=recipe, variant="", pin=Pin(recipe="mini", inputs="", source=source, toolchain=pinned, base=pinned),
        fingerprint=FINGERPRINT, tag=TAG, moving_tags=moving or ("latest", "stable"), labels=(), files=(),
    )  # fmt: skip
