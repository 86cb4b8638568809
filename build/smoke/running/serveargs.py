"""The command line of a Python server: through its own parser and validation, and by name through its registries.

vLLM's parser takes any attention backend, quantization, tool parser, reasoning parser and speculative method; what it
does not know is refused only when a model is loaded. So the names are asked for in the registries themselves, and each
registry is held to a name that nobody gave.
"""

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from build.smoke.clihelp import HelpFlag
from build.smoke.running.arguments import explained, groups
from build.smoke.running.image import RunningImage
from build.smoke.running.inside import ask
from build.smoke.static.image import Verdict

__all__ = ["Judged", "check", "judge", "registries"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Name:
    """A name on a command line, looked up."""

    registry: str
    value: str
    refused: str
    """Why the registry does not have it; empty where it has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One command line, judged."""

    words: tuple[str, ...]
    refused: str
    """The parser's words; empty where it takes the line."""
    names: tuple[Name, ...]

    @property
    def fault(self) -> str:
        """Why it would not do, by whomever."""
        return self.refused or next((name.refused for name in self.names if name.refused), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """All command lines that the recipe tells of."""

    serve: tuple[Line, ...]
    """The promised command line; none where the recipe promises none."""
    flags: tuple[Line, ...]
    refused: tuple[Line, ...]
    twins: tuple[tuple[str, str], ...]
    """Each registry, and why it does not have a name that nobody gave; empty where it takes that too."""

    @property
    def promised(self) -> tuple[Line, ...]:
        return (*self.serve, *self.flags)


def judge(image: RunningImage) -> Judged:
    """Have the image judge everything at once: starting its interpreter is what takes long.

    Raises:
        WorkFailed: it gives no answer.
    """
    serve = image.arguments(image.expect.serve)
    alone = tuple(
        image.arguments(tuple(shlex.split(one))) for one in (*image.expect.flags, *image.expect.refused)
    )
    # Each behind the whole promised line: a parser that misses what it requires says nothing of a flag.
    asked = (serve, *((*serve, *group) for group in alone))
    answer = ask(image, "lines", entrypoint=list(image.expect.entrypoint), lines=asked)
    whole, *lines = _lines((serve, *alone), answer)
    count = len(image.expect.flags)
    return Judged(
        serve=(whole,) if serve else (),
        flags=tuple(lines[:count]),
        refused=tuple(lines[count:]),
        twins=tuple((str(name), str(why)) for name, why in dict(answer.get("twins") or {}).items()),
    )


def check(judged: Judged, listed: tuple[HelpFlag, ...] = ()) -> Verdict:
    """What is promised is taken, what must be refused is refused: by the parser, or for its name."""
    findings: list[str] = []
    for line in judged.serve:
        if line.refused:
            findings += (explained(words, line.refused, listed) for words in _culprits(line))
    # What is said of the promised line already is not said again of each flag behind it.
    said = {"", *(line.refused for line in judged.serve)}
    findings += (
        explained(line.words, line.refused, listed) for line in judged.flags if line.refused not in said
    )
    findings += (
        f"`{shlex.join(line.words)}` should be refused and is accepted: neither parser nor registries look at it"
        for line in judged.refused
        if not line.fault
    )
    return Verdict(
        findings=tuple(findings),
        detail={
            "accepted": [shlex.join(line.words) for line in judged.promised],
            "refused": [shlex.join(line.words) for line in judged.refused],
        },
    )


def registries(judged: Judged) -> Verdict:
    """Every name on the promised command lines is known to its registry, and no registry takes just any name."""
    names = tuple(dict.fromkeys(name for line in judged.promised for name in line.names))
    findings = [
        *(
            f"the {name.registry} '{name.value}' is not known: {name.refused}"
            for name in names
            if name.refused
        ),
        *(
            f"the registry of each {name} takes any name: nothing is proven by it"
            for name, why in judged.twins
            if not why
        ),
    ]
    return Verdict(
        findings=tuple(findings),
        detail={
            "known": [f"{name.registry}: {name.value}" for name in names if not name.refused],
            "registries": [name for name, why in judged.twins if why],
        },
    )


def _culprits(line: Line) -> tuple[tuple[str, ...], ...]:
    """Find the flags that the parser names in its refusal; the whole line where it names none of them."""
    named = (words for words in groups(line.words) if words[0].startswith("-"))
    found = (
        words
        for words in named
        if re.search(rf"(?<![\w-]){re.escape(words[0].partition('=')[0])}(?![\w-])", line.refused)
    )
    return tuple(found) or (line.words,)


def _lines(asked: tuple[tuple[str, ...], ...], answer: Mapping[str, Any]) -> Iterator[Line]:
    """Pair the answers with what was asked; a line without an answer was not taken."""
    said = answer.get("lines")
    answers = said if isinstance(said, list) else []
    for at, words in enumerate(asked):
        one = answers[at] if at < len(answers) else None
        if not isinstance(one, dict):
            yield Line(words=words, refused="the image gave no answer", names=())
            continue
        names = one.get("names")
        yield Line(
            words=words,
            refused=str(one.get("refused") or ""),
            names=tuple(
                Name(**{key: str(name.get(key) or "") for key in ("registry", "value", "refused")})
                for name in (names if isinstance(names, list) else ())
                if isinstance(name, dict)
            ),
        )
