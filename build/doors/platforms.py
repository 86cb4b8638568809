"""What compilers run on and what they compile for, in the words of OCI, of Debian, of wheels and of the kernel. Pure."""

__all__ = ["TARGET", "architecture", "machine", "platform_of"]

TARGET = "linux/amd64"
"""What every image is for."""

_MACHINES = {TARGET: "x86_64", "linux/arm64": "aarch64"}
_PLATFORMS = {"x86_64": TARGET, "amd64": TARGET, "aarch64": "linux/arm64", "arm64": "linux/arm64"}


def architecture(platform: str) -> str:
    """Return Debian's word for a platform's architecture."""
    return platform.partition("/")[2]


def machine(platform: str) -> str:
    """Return the word that wheels have for a platform's architecture."""
    return _MACHINES[platform]


def platform_of(word: str) -> str:
    """Return the platform of an architecture, as `uname -m` or an engine names it; empty where nothing compiles on it."""
    return _PLATFORMS.get(word.lower(), "")
