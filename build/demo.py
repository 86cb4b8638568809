"""The demo: the sample fork goes the whole road on this machine, into a real registry on loopback."""

from dataclasses import dataclass, replace

from build.doors.effects import Reporter
from build.host import registry
from build.plan.model import ImagePlan
from build.recipe.check import check
from build.recipe.select import select
from build.road import Road
from build.settings import Namespace, Settings

__all__ = ["Demo", "demo"]

_SAMPLE = "minifork"


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """What the demo made."""

    digest: str
    refs: tuple[str, ...]
    artifacts: str


def demo(settings: Settings, reporter: Reporter) -> Demo:
    """Build, smoke-test and push the sample fork. The engine and the registry run on, for a look around."""
    server = registry.start(settings, reporter)
    here = replace(settings, registry=Namespace(host=server.address, path="ingot"))
    road = Road(settings=here, reporter=reporter)
    (recipe,) = select(check(here.root), [_SAMPLE])
    road.image(recipe, "")
    receipt = road.push(recipe.name)
    plan: ImagePlan = road.read_plan(recipe.name)
    out = here.out / recipe.name
    stop = "stop engine and registry: ./noxw -s engine -- stop"
    reporter.summary(
        "demo",
        ("what", "where"),
        (
            ("image", next(iter(receipt.refs))),
            ("digest", str(receipt.digest)),
            ("upstream commit", plan.pin.source.commit),
            ("artifacts", str(out)),
            ("report", str(out / "report.html")),
            (
                "run it",
                f"docker run --rm --gpus all -v $PWD:/models {next(iter(receipt.refs))} -m /models/<file>",
            ),
        ),
    )
    reporter.note(stop)
    return Demo(digest=str(receipt.digest), refs=tuple(receipt.refs), artifacts=str(out))
