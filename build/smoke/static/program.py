"""Finds the program that a container of the image starts. Pure."""

from build.image.config import ImageConfig
from build.image.tree import Entry, Kind, Rootfs

__all__ = ["find_program"]

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def find_program(rootfs: Rootfs, config: ImageConfig, command: tuple[str, ...]) -> Entry | None:
    """Return the file that the first word of a command names, links followed, looked up in the image's PATH."""
    if not command:
        return None
    name = command[0]
    folders = [""] if "/" in name else (config.variable("PATH") or _PATH).split(":")
    for folder in folders:
        entry = rootfs.resolve(f"{folder}/{name}" if folder else name, base=config.workdir)
        if entry is not None and entry.kind is Kind.FILE:
            return entry
    return None
