"""The prompt of a benchmark: the same text everywhere, cut to about so many tokens. Pure.

English sentences from a short list of words, chosen by a generator of numbers written down here, so that no version of
Python changes them. A text that repeated itself would flatter speculative decoding.
"""

from collections.abc import Iterator

__all__ = ["INSTRUCTION", "Prompt", "text"]

Prompt = str | tuple[int, ...]
"""Text, or tokens of the server's own tokenizer: then it is exactly as long as was asked."""

INSTRUCTION = "Write down, in order, what the following report says about each place and each person.\n\n"

_TEXT = (
    "harbour letter engine garden winter captain market river stone window paper bridge doctor candle forest mirror "
    "station coffee blanket valley teacher orange button thunder ladder copper village pencil shadow ticket island "
    "hammer quiet broken early distant heavy narrow bright careful hollow silver patient crooked sudden ancient "
    "carried opened followed counted painted forgot repaired watched borrowed gathered answered measured across behind "
    "beneath toward without during against beside around until because although while"
)
_WORDS = tuple(_TEXT.split(" "))
_LONGEST = 14
_SHORTEST = 6


def text(characters: int) -> str:
    """Return so many characters of sentences; a longer text begins with the shorter one."""
    found, length = [INSTRUCTION], len(INSTRUCTION)
    for sentence in _sentences():
        if length >= characters:
            break
        found.append(sentence)
        length += len(sentence)
    return "".join(found)[:characters]


def _sentences() -> Iterator[str]:
    numbers = _numbers()
    while True:
        count = _SHORTEST + next(numbers) % (_LONGEST - _SHORTEST)
        words = [_WORDS[next(numbers) % len(_WORDS)] for _ in range(count)]
        yield f"The {' '.join(words)}. "


def _numbers() -> Iterator[int]:
    """Yield the numbers of the linear congruential generator that the C standard prints as an example for rand."""
    state = 1
    while True:
        state = (state * 1_103_515_245 + 12_345) & 0x7FFF_FFFF
        yield state >> 8
