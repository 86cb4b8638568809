"""The command line: every argument that users rely on, through the built server's own parser.

`<server> <arguments> --version` parses everything and then ends, so a flag that help still lists and the parser refuses
is found here and not in somebody's crash loop. What the help says only explains a refusal: whether a flag is gone, or is
listed and rejected.
"""

import itertools
import re
import shlex

from build.doors.effects import RunResult
from build.smoke.clihelp import HelpFlag, look_up
from build.smoke.running.image import RunningImage
from build.smoke.running.words import fate, stopped, tail
from build.smoke.static.image import Verdict

__all__ = ["check", "explained", "groups"]

_LINES = 3
_ERROR = re.compile(r"\berror\b", re.IGNORECASE)


def groups(words: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """Split a command line into flags with their values: `-c 4096 --jinja` -> (`-c`, `4096`), (`--jinja`,). Pure.

    A word that begins with a dash and is no number begins a group.
    """
    found: list[list[str]] = []
    for word in words:
        is_flag = word.startswith("-") and not word[1:].replace(".", "", 1).isdigit()
        if is_flag or not found:
            found.append([])
        found[-1].append(word)
    return tuple(tuple(group) for group in found)


def check(image: RunningImage, listed: tuple[HelpFlag, ...] = ()) -> Verdict:
    """Try the promised command line as a whole, each promised flag, and each that must be refused.

    `listed` are the flags of the help text; none where it could not be read.
    """
    serve = image.arguments(image.expect.serve)
    flags = tuple(image.arguments(tuple(shlex.split(flag))) for flag in image.expect.flags)
    refused = tuple(image.arguments(tuple(shlex.split(flag))) for flag in image.expect.refused)
    promised = (serve, *flags) if serve else flags
    results = image.each((*words, "--version") for words in (*promised, *refused))
    findings = []
    for words, result in zip(promised, results, strict=False):
        if result.exit_code != 0:
            findings += _culprits(image, words, result, listed)
    for words, result in zip(refused, results[len(promised) :], strict=True):
        if result.exit_code == 0:
            findings.append(
                f"`{shlex.join(words)}` should be refused and is accepted: the parser does not look at it"
            )
        elif stopped(result):
            findings.append(f"`{shlex.join(words)}` should be refused and {fate(result)}")
    detail = {
        "accepted": [shlex.join(words) for words in promised],
        "refused": [shlex.join(words) for words in refused],
    }
    return Verdict(findings=tuple(findings), detail=detail)


def _culprits(
    image: RunningImage, words: tuple[str, ...], whole: RunResult, listed: tuple[HelpFlag, ...]
) -> list[str]:
    """Find which flag of a refused command line the parser does not take."""
    alone = groups(words)
    if len(alone) > 1:
        results = image.each((*group, "--version") for group in alone)
        found = [
            _refusal(group, result, listed)
            for group, result in zip(alone, results, strict=True)
            if result.exit_code != 0
        ]
        if found:
            return found
        # Each alone is taken, so the help's word on one of them explains nothing.
        return [_refusal(words, whole, ())]
    return [_refusal(words, whole, listed)]


def _refusal(words: tuple[str, ...], result: RunResult, listed: tuple[HelpFlag, ...]) -> str:
    if stopped(result):
        return f"the promised `{shlex.join(words)}` {fate(result)}: {tail(result.stderr or result.stdout, 3)}"
    return explained(words, _error_in(result.stderr or result.stdout), listed)


def explained(words: tuple[str, ...], said: str, listed: tuple[HelpFlag, ...]) -> str:
    """Say that a promise is broken, in the parser's words, and how the flag stands in the help. Pure."""
    standing = _standing(words, listed)
    return f"the promised `{shlex.join(words)}` is refused{f', {standing}' if standing else ''}: {said}"


def _error_in(text: str) -> str:
    """Find the parser's own words: llama.cpp puts a line about the GPU before them, and the flag's usage after."""
    lines = text.strip().splitlines()
    begins = next((at for at, line in enumerate(lines) if _ERROR.search(line)), None)
    if begins is None:
        return tail(text, _LINES)
    return "\n".join(itertools.takewhile(str.strip, lines[begins : begins + _LINES]))


def _standing(words: tuple[str, ...], listed: tuple[HelpFlag, ...]) -> str:
    """Say how a refused flag stands in the help; nothing where the help could not be read."""
    if not listed or not words[0].startswith("-"):
        return ""
    found = look_up(listed, words)
    if found.flag is None:
        return f"{found.spelling} is gone: --help does not list it either"
    if found.unlisted:
        return f"--help lists {found.spelling} without the value {', '.join(found.unlisted)}"
    return f"{found.spelling} is listed by --help and rejected by the parser"
