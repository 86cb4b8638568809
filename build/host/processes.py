"""Processes and mounts that belong to a folder: found through /proc, ended, unmounted. Linux only."""

import os
import signal
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from build.doors import process

__all__ = ["alive", "belonging_to", "end", "mounts_under", "pid_in", "unmount"]

_PROC = Path("/proc")


def pid_in(file: Path) -> int | None:
    """Read a pid file; None where there is none or it holds no number."""
    try:
        return int(file.read_text().strip())
    except (OSError, ValueError):
        return None


def alive(pid: int, *, names: str = "") -> bool:
    """Say whether a process runs (a zombie does not) and, if asked, whether its command line names something."""
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    try:
        stat = (_PROC / str(pid) / "stat").read_text()
        command = (_PROC / str(pid) / "cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in {"Z", "X"} and names in command


def belonging_to(*folders: Path) -> tuple[int, ...]:
    """Find processes that name a folder on their command line, or whose root file system lies in one.

    The second kind are containers whose daemon was killed: they keep running, and only their root mount tells.
    """
    texts = tuple(str(folder) + "/" for folder in folders)
    ours = _link(_PROC / "self" / "ns" / "mnt")
    found = []
    for entry in _PROC.iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        if _names(entry, texts) or (_link(entry / "ns" / "mnt") not in {ours, ""} and _rooted(entry, texts)):
            found.append(int(entry.name))
    return tuple(found)


def _link(path: Path) -> str:
    try:
        return str(path.readlink())
    except OSError:
        return ""


def _names(entry: Path, texts: tuple[str, ...]) -> bool:
    """Look at the daemons of an engine only: an editor that has a file of the folder open is not one."""
    try:
        command = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return False
    program = Path(command[0]).name
    daemons = ("dockerd", "containerd", "docker-proxy", "runc", "docker-registry")
    return program.startswith(daemons) and any(text in word for word in command for text in texts)


def _rooted(entry: Path, texts: tuple[str, ...]) -> bool:
    try:
        lines = (entry / "mountinfo").read_text().splitlines()
    except OSError:
        return False
    roots = (line for line in lines if line.split()[4] == "/")
    return any(text in line for line in roots for text in texts)


def end(
    pids: Iterable[int],
    *,
    patience_s: float,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Ask processes to end, wait, then kill those that did not."""
    waiting = tuple(pids)
    for number, patience in ((signal.SIGTERM, patience_s), (signal.SIGKILL, 10.0)):
        for pid in waiting:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        until = clock() + patience
        while (waiting := tuple(pid for pid in waiting if alive(pid))) and clock() < until:
            sleep(0.05)
        if not waiting:
            return


def mounts_under(mountinfo: str, *folders: Path) -> tuple[str, ...]:
    """List mount points inside folders, innermost first, out of the text of /proc/self/mountinfo."""
    points = (line.split()[4].encode().decode("unicode_escape") for line in mountinfo.splitlines() if line)
    inside = [point for point in points if any(point == str(f) or point.startswith(f"{f}/") for f in folders)]
    return tuple(sorted(inside, key=len, reverse=True))


def unmount(*folders: Path) -> None:
    """Unmount everything inside folders."""
    for point in mounts_under((_PROC / "self" / "mountinfo").read_text(), *folders):
        process.run(("umount", "--lazy", point), check=False)
