"""The command line: every argument that users rely on, through the built server's own parser.

`<server> <arguments> --version` parses everything and then ends, so a flag that help still lists and the parser refuses
is found here and not in somebody's crash loop.
"""

import shlex

from build.doors.effects import RunResult
from build.smoke.running.image import RunningImage
from build.smoke.running.words import fate, stopped, tail
from build.smoke.static.image import Verdict

__all__ = ["check", "groups"]


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


def check(image: RunningImage) -> Verdict:
    """Try the promised command line as a whole, each promised flag, and each that must be refused."""
    serve = image.arguments(image.expect.serve)
    flags = tuple(image.arguments(tuple(shlex.split(flag))) for flag in image.expect.flags)
    refused = tuple(image.arguments(tuple(shlex.split(flag))) for flag in image.expect.refused)
    promised = (serve, *flags) if serve else flags
    results = image.each((*words, "--version") for words in (*promised, *refused))
    findings = []
    for words, result in zip(promised, results, strict=False):
        if result.exit_code != 0:
            findings += _culprits(image, words, result)
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


def _culprits(image: RunningImage, words: tuple[str, ...], whole: RunResult) -> list[str]:
    """Find which flag of a refused command line the parser does not take."""
    alone = groups(words)
    if len(alone) > 1:
        results = image.each((*group, "--version") for group in alone)
        found = [
            _refusal(group, result)
            for group, result in zip(alone, results, strict=True)
            if result.exit_code != 0
        ]
        if found:
            return found
    return [_refusal(words, whole)]


def _refusal(words: tuple[str, ...], result: RunResult) -> str:
    how = fate(result) if stopped(result) else "is refused"
    return f"the promised `{shlex.join(words)}` {how}: {tail(result.stderr or result.stdout, 3)}"
