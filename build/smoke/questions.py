"""What smoke asks a server that runs one of the tiny models, and what the right answer is. Pure."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from build.recipe.model import SmokeModel
from build.smoke import llama, minimodel

__all__ = ["COUNT", "MANY", "MANY_COUNT", "PROMPT", "PROMPT_LONG", "Question", "question"]

PROMPT: Final = "The quick brown fox"
COUNT: Final = 16
"""Tokens asked for."""

PROMPT_LONG: Final = ("the quick brown fox jumps over the lazy dog " * 35)[:1499]
"""1,501 tokens with the begin and the blank in front: three batches of 512, llama.cpp's default."""

MANY: Final = tuple(
    f"The fox meets {name}"
    for name in (
        "alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel", "india", "juliett",
        "kilo", "lima", "mike", "november", "oscar", "papa", "quebec", "romeo", "sierra", "tango",
    )
)  # fmt: skip
"""Asked all at once. Each has an answer of its own, so that an answer that went to the wrong client is seen."""
MANY_COUNT: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One request, at temperature 0, and its answer."""

    path: str
    body: str
    """JSON."""
    right: object
    """What the answer's field must hold."""
    field: str

    def fault(self, answer: str) -> str:
        """Say what is wrong with a server's answer; empty when it is right."""
        try:
            said = json.loads(answer)
        except (ValueError, RecursionError):  # the latter for a million brackets
            return f"no JSON: {answer[:300]!r}"
        if not isinstance(said, dict) or self.field not in said:
            return f"no {self.field} in {answer[:300]}"
        if said[self.field] != self.right:
            return f"{self.field} {said[self.field]!r}, right would be {self.right!r}"
        return ""


def question(model: SmokeModel, prompt: str, count: int) -> Question:
    """Ask the model of a recipe. Raises KeyError for a recipe without one."""
    return _ASK[model](prompt, count)


def _mini(prompt: str, count: int) -> Question:
    request: dict[str, Any] = {"prompt": prompt, "max_tokens": count, "temperature": 0}
    right = minimodel.greedy_tokens(minimodel.generate(), prompt, count)
    return Question(path="/v1/completions", body=json.dumps(request), right=right, field="tokens")


def _llama(prompt: str, count: int) -> Question:
    # The prompt is not kept: an answer from llama.cpp's cache would prove nothing about the batches.
    request = {
        "prompt": prompt,
        "n_predict": count,
        "temperature": 0,
        "seed": 1,
        "grammar": llama.GRAMMAR,
        "cache_prompt": False,
    }
    right = llama.letters(prompt, count)
    return Question(path="/completion", body=json.dumps(request), right=right, field="content")


_ASK: Final[dict[SmokeModel, Callable[[str, int], Question]]] = {
    SmokeModel.MINI: _mini,
    SmokeModel.GGUF_LLAMA: _llama,
}
