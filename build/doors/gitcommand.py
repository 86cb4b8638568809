"""How git is called: settings that make its answers the same on every machine. Runs nothing."""

from collections.abc import Mapping
from pathlib import Path

from build.doors.gitlocks import bound
from build.doors.process import Command

__all__ = ["CONFIGURATION", "ENVIRONMENT", "remote_command"]

ENVIRONMENT = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ALLOW_PROTOCOL": "https:http:ssh:git:file",
    "LC_ALL": "C",
    # A ref below refs/replace would pass another commit off as the pinned one.
    "GIT_NO_REPLACE_OBJECTS": "1",
}
CONFIGURATION = tuple(
    word
    for setting in (
        "core.autocrlf=false",
        "core.symlinks=true",
        "apply.ignoreWhitespace=no",
        "gc.auto=0",
    )
    for word in ("-c", setting)
)
"""The user's own configuration is honoured (insteadOf, proxies, credentials), but not where it would change bytes."""


def remote_command(directory: Path, *arguments: str, env: Mapping[str, str] | None = None) -> Command:
    """Write down a git command that waits for a remote: it ends with its helpers when it is told to."""
    return Command(
        argv=bound("git", *CONFIGURATION, *arguments),
        cwd=directory,
        env={**ENVIRONMENT, "GIT_DIR": str(directory.absolute()), **(env or {})},
    )
