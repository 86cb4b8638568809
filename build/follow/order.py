"""Which of two versions is the newer, by the numbers in their names: b9999 comes before b10000. Pure."""

import re

__all__ = ["is_early", "version_key"]

_PART = re.compile(r"[0-9]+|[A-Za-z]+")
_EARLY = ("dev", "a", "alpha", "b", "beta", "pre", "preview", "c", "rc")
"""Words that stand behind a number and mean: before that number's release. In the order of PEP 440."""
_EARLY_KIND, _END_KIND, _WORD_KIND, _NUMBER_KIND = range(4)

Key = tuple[tuple[int, int, str], ...]


def version_key(name: str) -> Key:
    """Return what to sort by. Numbers count as numbers; `1.0-rc1` comes before `1.0`, `1.0.1` and `1.0-hotfix` after."""
    key: list[tuple[int, int, str]] = []
    numbers = 0
    for part in _PART.findall(name):
        word = part.lower()
        if part.isdigit():
            numbers += 1
            key.append((_NUMBER_KIND, int(part), ""))
        elif numbers and word in _EARLY:
            key.append((_EARLY_KIND, _EARLY.index(word), ""))
        else:
            key.append((_WORD_KIND, 0, word))
    return (*key, (_END_KIND, 0, ""))


def is_early(name: str) -> bool:
    """Say whether the name is one of a version before a release."""
    return any(kind == _EARLY_KIND for kind, _, _ in version_key(name))
