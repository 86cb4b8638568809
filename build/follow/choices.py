"""Which -D options a first recipe says, and why: what makes builds differ or fetch something. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from build.follow.survey import Survey

__all__ = ["Line", "choose"]

_SAID = (
    (r"[A-Z0-9]+_CUDA", "ON", "The default is a server for the CPU."),
    (r"\w*_NO_VMM", "OFF", "Virtual memory management of the driver; the variant no-vmm does without."),
    (r"\w+_NATIVE", "OFF", "The default asks the build machine's CPU."),
    (
        r"\w*CUDA_FA_ALL_QUANTS",
        "OFF",
        "ON compiles a kernel for every pair of cache types: needed for unusual ones.",
    ),
    (r"\w*_NCCL", "OFF", "The default takes NCCL where it happens to be installed."),
    (r"\w+_CCACHE", "OFF", "The pipeline sets ccache itself."),
    (r"\w+_OPENMP", "ON", "Threads of the CPU backend; libgomp1 is in the base."),
    (r"\w+_OPENSSL", "OFF", "HTTPS belongs to the proxy in front."),
    (r"\w+_CURL", "OFF", "Nothing is downloaded by the server."),
    (
        r"\w+_(BUILD_UI|PREBUILT_UI|BUILD_WEBUI|PREBUILT_WEBUI|WEBUI)",
        "OFF",
        "Web assets are downloaded at build time.",
    ),
    (r"\w+_BUILD_TESTS", "OFF", "Only the server is shipped."),
    (r"\w+_BUILD_EXAMPLES", "OFF", "Only the server is shipped."),
    (r"\w+_BUILD_NUMBER", "", "The build context has no git history to ask."),
    (r"\w+_BUILD_COMMIT", "{commit9}", "The build context has no git history to ask."),
)
"""Options that a reproducible build says itself: pattern, value, reason."""
_LOADS = re.compile(r"DOWNLOAD|FETCH|PREBUILT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One option as the recipe says it."""

    name: str
    value: str
    why: str
    unused_ok: str = ""


def choose(version: str, found: Survey) -> tuple[Line, ...]:
    """Choose the options that are said, in the order in which the project declares them."""
    return tuple(_lines(version, found))


def _lines(version: str, found: Survey) -> Iterator[Line]:
    number = "{build}" if re.fullmatch(r"b[0-9]+", version) else "0"
    for option in found.options:
        said = next(
            ((value, why) for pattern, value, why in _SAID if re.fullmatch(pattern, option.name)), None
        )
        if said:
            yield Line(name=option.name, value=said[0] or number, why=said[1])
        elif _LOADS.search(option.name) and option.default.upper() in {"ON", "TRUE", "YES", "1"}:
            yield Line(name=option.name, value="OFF", why=option.help or "Sounds like a download.")
    if found.is_llama and not any(option.name == "GGML_CUDA_CUB_3DOT2" for option in found.options):
        yield Line(
            name="GGML_CUDA_CUB_3DOT2",
            value="OFF",
            why="ON would fetch CCCL from GitHub while configuring.",
            unused_ok="read by a plain if and never declared",
        )
