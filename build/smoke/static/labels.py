"""The labels say what the image is: every expected one is there and equal."""

from collections.abc import Iterator
from typing import Final

from build.smoke.model import Expectations
from build.smoke.static.image import StaticCheck, StaticImage, Verdict

__all__ = ["CHECK", "check"]

_ALWAYS: Final = (
    *(f"org.opencontainers.image.{name}" for name in ("source", "version", "title")),
    *(f"ingot.{name}" for name in ("fingerprint", "recipe", "cuda", "architectures")),
)


def check(image: StaticImage, expect: Expectations) -> Verdict:
    """Compare the configuration's labels with the plan's."""
    return Verdict(findings=tuple(_findings(image, expect)), detail={"labels": dict(image.config.labels)})


CHECK: Final = StaticCheck(
    name="labels",
    protects="Nobody can tell which commit the image was built from, or whether it fits the driver of a host.",
    run=check,
)


def _findings(image: StaticImage, expect: Expectations) -> Iterator[str]:
    labels = dict(image.config.labels)
    wanted = dict(expect.labels)
    for name in dict.fromkeys([*_ALWAYS, *wanted]):
        if name not in labels:
            yield f"the label {name} is missing"
        elif name in wanted and labels[name] != wanted[name]:
            yield f"the label {name} is '{labels[name]}', expected is '{wanted[name]}'"
        elif name not in wanted and not labels[name]:
            yield f"the label {name} is empty"
