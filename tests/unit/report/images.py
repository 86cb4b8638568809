"""Images as folders of artifacts, with one thing to change."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from build.doors import store
from build.image.layout import open_layout
from build.image.model import BuiltImage
from build.plan.model import ImagePlan
from build.plan.plan import make_plan
from build.report.facts import ImageFacts, Kernels, SourceFacts
from build.smoke.clihelp import HelpFlag, ImageHelp
from build.smoke.model import CheckResult, Outcome, SmokeReport
from build.smoke.run import expectations_of
from tests.layouts import write_layout
from tests.unit.plan.plans import PIN, PLACES, RECIPE, TEMPLATES

__all__ = ["FACTS", "FLAGS", "Built", "build"]

FLAGS = (HelpFlag(spellings=("-c", "--ctx-size"), value="N", default="4096"),)
LIBRARY = "/app/libmini-cuda.so.0.1.0"

FACTS = ImageFacts(
    name="mini",
    source=SourceFacts(
        url="https://git.example.org/mini", commit="a" * 40, version="b42",
        repo="https://git.example.org/mini.git", submodules=(("vendor/x", "3" * 40),),
    ),
    patches=(("mini/0001-a.patch", "4" * 12),),
    toolchain=(("CUDA", "13.0"), ("architectures", "120a-real")),
    pinned=(("toolchain lock", "5" * 12), ("base package bash", "5.2")),
    flags=FLAGS,
    kernels=(Kernels(library=LIBRARY, identity="9" * 64, targets=("SASS sm_120a",)),),
    layers=(),
    labels=(("ingot.recipe", "mini"),),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Built:
    """What was written."""

    folder: Path
    plan: ImagePlan
    built: BuiltImage


def build(
    folder: Path, *, content: bytes = b"x", identity: str = "9" * 64, flags: Any = FLAGS, **recipe: Any
) -> Built:
    """Write an image and every artifact of it."""
    plan = make_plan(replace(RECIPE, **recipe), "", PIN, templates=TEMPLATES, places=PLACES)
    trees = [{"base": b"debian"}, {"app/x": content}]
    layout = open_layout(write_layout(folder / "image", trees, config={"Labels": dict(plan.labels)}))
    built = BuiltImage(
        recipe="mini", variant="", fingerprint=plan.fingerprint, digest=layout.digest,
        config_digest=layout.config_digest, platform=layout.platform, size=sum(one.size for one in layout.layers),
        layers=layout.layers, seconds={}, compile_cache={}, engine={},
    )  # fmt: skip
    expect = expectations_of(plan)
    libraries = {LIBRARY: {"targets": {"SASS sm_120a": {"entries": 1}}, "identity": identity}}
    checks = tuple(
        CheckResult(
            name=name,
            outcome=Outcome.PASSED,
            detail={"libraries": libraries} if name == "gpu_code" else {},
        )
        for name in expect.required
    )
    for name, value in (
        ("plan.json", plan),
        ("pin.json", plan.pin),
        ("image.json", built),
        ("smoke.json", SmokeReport.of(built, expect, checks)),
        ("help.json", ImageHelp(digest=built.digest, flags=flags)),
    ):
        store.write_artifact(folder / name, value)
    return Built(folder=folder, plan=plan, built=built)
