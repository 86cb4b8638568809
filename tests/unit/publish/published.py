"""Images in a registry, put there by push itself, with the labels that a build gives them."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from build.image.layout import open_layout
from build.image.model import BuiltImage
from build.publish.model import PushReceipt, Registry
from build.publish.push import push
from build.recipe.model import GitSource, Image, Recipe, Variant
from build.recipe.naming import immutable_tag, moving_tags
from build.recipe.refs import Commit
from build.settings import Namespace
from build.smoke.model import CheckResult, ExpectationsId, Outcome, SmokeReport, VerifiedImage
from tests.layouts import write_layout
from tests.unit.publish.images import make_plan

__all__ = ["RECIPE", "Silent", "Upstream", "labels_of", "publish"]

RECIPE = replace(
    make_plan().recipe,
    image=Image(repository="minifork", tags=("latest", "{version}")),
    variants=(("no-vmm", Variant()),),
)


class Silent:
    """A reporter that says nothing."""

    def step(self, title: str, *, parallel: bool = False) -> AbstractContextManager["Silent"]:  # noqa: ARG002
        return nullcontext(self)

    def update(self, detail: str) -> None: ...

    def verdict(self, word: str) -> None: ...

    def output(self, line: str) -> None: ...

    def note(self, message: str) -> None: ...

    def warning(self, message: str) -> None: ...

    def error(self, message: str, hint: str = "") -> None: ...

    def summary(self, title: str, header: tuple[str, ...], rows: tuple[tuple[str, ...], ...]) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Upstream:
    """A state of upstream that an image is made of, and which of its images (`salt`)."""

    number: int
    day: str = ""
    salt: str = ""

    @property
    def version(self) -> str:
        return f"b{self.number}"

    @property
    def commit(self) -> str:
        return f"{self.number:040x}"

    @property
    def created(self) -> str:
        return f"{self.day or f'2026-05-{self.number:02}'}T12:00:00+02:00"

    @property
    def fingerprint(self) -> str:
        return f"{self.number:x}{self.salt}".ljust(64, "e")


def recipe_at(state: Upstream, recipe: Recipe = RECIPE) -> Recipe:
    source = recipe.source
    assert isinstance(source, GitSource)
    return replace(recipe, source=replace(source, version=state.version, commit=Commit(state.commit)))


def labels_of(state: Upstream, variant: str = "", recipe: Recipe = RECIPE) -> dict[str, str]:
    toolchain = recipe.toolchain
    return {
        "ingot.recipe": recipe.name,
        **({"ingot.variant": variant} if variant else {}),
        "ingot.fingerprint": state.fingerprint,
        "ingot.cuda": toolchain.cuda,
        "ingot.architectures": ";".join(toolchain.architectures),
        "org.opencontainers.image.version": state.version,
        "org.opencontainers.image.revision": state.commit,
        "org.opencontainers.image.created": state.created,
    }


def publish(  # noqa: PLR0913  (what a published image is)
    registry: Registry,
    namespace: Namespace,
    work: Path,
    state: Upstream,
    *,
    variant: str = "",
    recipe: Recipe = RECIPE,
    labels: Mapping[str, str] | None = None,
    tag: str = "",
) -> PushReceipt:
    """Push an image of a state of upstream, its moving tags with it."""
    path = work / f"{state.number}{state.salt}{variant}{tag}"
    said = labels_of(state, variant, recipe) if labels is None else labels
    contents = (b"base" * 1000, f"{state} {variant}".encode() * 1000)
    layout = open_layout(write_layout(path, contents, how="gzip", config={"Labels": dict(said)}))
    built = BuiltImage(
        recipe=recipe.name, variant=variant, fingerprint=state.fingerprint, digest=layout.digest,
        config_digest=layout.config_digest, platform="linux/amd64", size=1, layers=layout.layers, seconds={},
        compile_cache={}, engine={},
    )  # fmt: skip
    report = SmokeReport(
        digest=built.digest, config_digest=built.config_digest, outcome=Outcome.PASSED,
        expectations=ExpectationsId(hash="0"), required=("closure",),
        checks=(CheckResult(name="closure", outcome=Outcome.PASSED),),
    )  # fmt: skip
    then = recipe_at(state, recipe)
    plan = replace(
        make_plan(),
        recipe=then,
        variant=variant,
        fingerprint=state.fingerprint,
        tag=tag or immutable_tag(then, variant, state.fingerprint),
        moving_tags=moving_tags(then, variant),
    )
    verified = VerifiedImage(built=built, report=report)
    return push(verified, plan, path, namespace, registry, Silent())
