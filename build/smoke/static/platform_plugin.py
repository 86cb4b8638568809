"""No plugin that decides on the platform of vLLM is left in the image; general plugins are listed.

Smoke mounts a plugin of this kind to run vLLM without a GPU. One that stays in the image wins over the GPU of the host.
"""

import re
from typing import Final

from build.image.tree import printable
from build.smoke.model import Expectations
from build.smoke.static.image import StaticCheck, StaticImage, Verdict

__all__ = ["CHECK", "check"]

_PLATFORM: Final = re.compile(r"(?P<server>\w+)\.platform(?:_plugin)?s")
"""vLLM's group is vllm.platform_plugins."""
_GENERAL: Final = ".general_plugins"


def check(image: StaticImage, _expect: Expectations) -> Verdict:
    """Read the entry points of every installed package, wherever in the image it lies."""
    announced = [(package, point) for package in image.installed.packages for point in package.entry_points]
    return Verdict(
        findings=tuple(
            f"{printable(package.folder)} announces {point.name} = {point.value} as a platform of {group['server']}: "
            "it would be used in place of the host's GPU"
            for package, point in announced
            if (group := _PLATFORM.fullmatch(point.group))
            # A server's own platforms lead into the server.
            and {package.name, point.package} != {group["server"]}
        ),
        detail={
            "general": [
                f"{package.name}: {point.name} = {point.value}"
                for package, point in announced
                if point.group.endswith(_GENERAL)
            ],
            "packages": len(image.installed.packages),
        },
    )


CHECK: Final = StaticCheck(
    name="platform_plugin",
    protects="The server takes a host with a GPU for one without: a plugin for testing was left in the image.",
    run=check,
)
