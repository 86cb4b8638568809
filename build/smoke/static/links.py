"""The names under which users call the server: links of the recipe, each leading to a program of the image."""

from typing import Final

from build.image.tree import Kind
from build.smoke.model import Expectations
from build.smoke.static.image import StaticCheck, StaticImage, Verdict

__all__ = ["CHECK", "check"]


def check(image: StaticImage, expect: Expectations) -> Verdict:
    """Follow every promised link."""
    findings = []
    for link, target in expect.links:
        found = image.rootfs.resolve(link)
        wanted = image.rootfs.resolve(target)
        if found is None:
            findings.append(f"{link} leads nowhere, the recipe promises a link to {target}")
        elif wanted is None or found.path != wanted.path:
            findings.append(f"{link} leads to /{found.path.lstrip('/')}, the recipe promises {target}")
        elif found.kind is not Kind.FILE or not found.mode & 0o111:
            findings.append(f"{link} leads to {target}, which is no program")
    return Verdict(findings=tuple(findings), detail={"links": dict(expect.links)})


CHECK: Final = StaticCheck(
    name="links",
    protects="A chart that calls the server by its old path ends with 'no such file or directory'.",
    run=check,
)
