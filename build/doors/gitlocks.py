"""No git outlives its run, and the lock files of one that was killed are removed once no living git can hold them."""

import time
from contextlib import suppress
from pathlib import Path

from build.errors import WorkFailed

__all__ = ["bound", "clear_locks"]

_LEADER = """trap 'trap - TERM; kill -TERM 0' INT TERM; "$@" & wait $!"""
"""Ends its whole process group when it is told to end. The words of the command are its arguments, never its text."""

_GONE_S = 10.0
"""How long a git that was told to end is waited for."""


def bound(*argv: str) -> tuple[str, ...]:
    """Put a shell in front of git that ends git's helpers too.

    When we are killed the kernel tells our child alone (see `process`); git then ends without its git-remote-https.
    """
    return ("sh", "-c", _LEADER, "sh", *argv)


def clear_locks(mirror: Path, *names: str) -> None:
    """Remove the locks of a git that was killed. The caller keeps other runs out; the killed git may not be gone yet."""
    stale = [mirror / name for name in names if (mirror / name).exists()]
    deadline = time.monotonic() + _GONE_S
    while stale and (holders := _fetching(mirror)):
        if time.monotonic() > deadline:
            message = f"git is still at work in {mirror}: process {', '.join(holders)}"
            raise WorkFailed(message, hint="an earlier run left it; wait for it, or end it")
        time.sleep(0.1)
    for path in stale:
        path.unlink(missing_ok=True)


def _fetching(mirror: Path) -> list[str]:
    """List the processes of this machine that change refs in the mirror: a git keeps it as its working directory."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        # Other people's processes do not show theirs, and any may end while we look.
        with suppress(OSError):
            words = (entry / "cmdline").read_bytes().split(b"\0")
            if {b"fetch", b"update-ref"} & set(words) and (entry / "cwd").samefile(mirror):
                found.append(entry.name)
    return found
