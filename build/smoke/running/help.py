"""The help text: it can be read, and what it says of the promised flags. The parser itself stays the judge of those."""

import shlex
from dataclasses import dataclass
from typing import Final

from build.smoke.clihelp import HelpFlag, look_up, parse_help
from build.smoke.model import Expectations
from build.smoke.running.arguments import groups
from build.smoke.running.image import RunningImage
from build.smoke.running.words import tail
from build.smoke.static.image import Verdict

__all__ = ["Read", "check"]

_WHOLE: Final = "--help=all"
"""vLLM's plain help names its sections alone, and this as the way to see the flags."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """What the check found, and the flags that it read for those who come after it."""

    verdict: Verdict
    flags: tuple[HelpFlag, ...] = ()


def check(image: RunningImage) -> Read:
    """Run `<entrypoint> --help` and take it apart. Forks print it on stdout, some older ones on stderr."""
    result = image.run("--help")
    if _WHOLE in result.stdout:
        result = image.run(_WHOLE)
    if result.exit_code != 0:
        said = tail(result.stderr or result.stdout)
        return _unread(f"`--help` ended with status {result.exit_code}: {said}")
    flags = parse_help(result.stdout) or parse_help(result.stderr)
    if flags:
        return Read(verdict=Verdict(findings=(), detail=_detail(flags, image.expect)), flags=flags)
    if not (result.stdout + result.stderr).strip():
        return _unread("`--help` prints nothing")
    return _unread(f"`--help` lists no flag that could be read: {tail(result.stdout or result.stderr, 3)}")


def _unread(finding: str) -> Read:
    return Read(verdict=Verdict(findings=(finding,)))


def _detail(flags: tuple[HelpFlag, ...], expect: Expectations) -> dict[str, object]:
    """Note how the promises stand in the help. A flag that is hidden and works breaks no promise, so none of it fails."""
    unlisted, removed, values = [], [], []
    for words in _promised(expect):
        listed = look_up(flags, words)
        if listed.flag is None:
            unlisted.append(listed.spelling)
        elif listed.flag.removed:
            removed.append(listed.spelling)
        if listed.unlisted:
            values.append(shlex.join(words))
    return {"flags": len(flags), "unlisted": unlisted, "removed": removed, "unlisted_values": values}


def _promised(expect: Expectations) -> tuple[tuple[str, ...], ...]:
    """List the promised flags with their values, each once; words that are no flag are the server's own business."""
    words = (expect.serve, *(tuple(shlex.split(flag)) for flag in expect.flags))
    found = (group for line in words for group in groups(line) if group[0].startswith("-"))
    return tuple(dict.fromkeys(found))
