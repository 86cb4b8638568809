"""What compilers run on and what they compile for, in the words of OCI, of Debian, of wheels and of the kernel. Pure."""

from typing import Final, Literal

__all__ = ["TARGET", "Platform", "architecture", "machine", "platform_of"]

Platform = Literal["linux/amd64", "linux/arm64"]

TARGET: Final[Platform] = "linux/amd64"
"""What every image is for."""

_MACHINES: dict[Platform, str] = {"linux/amd64": "x86_64", "linux/arm64": "aarch64"}
_PLATFORMS: dict[str, Platform] = {
    "x86_64": "linux/amd64",
    "amd64": "linux/amd64",
    "aarch64": "linux/arm64",
    "arm64": "linux/arm64",
}


def architecture(platform: Platform) -> str:
    """Return Debian's word for a platform's architecture."""
    return platform.partition("/")[2]


def machine(platform: Platform) -> str:
    """Return the word that wheels have for a platform's architecture."""
    return _MACHINES[platform]


def platform_of(word: str) -> Platform | None:
    """Return the platform of an architecture, as `uname -m` or an engine names it; None where nothing compiles on it."""
    return _PLATFORMS.get(word.lower())
