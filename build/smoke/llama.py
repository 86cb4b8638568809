"""The tiny llama of `gguf.py`, computed a second time in numpy: what a server that runs it right must answer.

Independent of ggml: written from the architecture (RMS norm, rotary positions on neighbouring pairs, causal attention,
SwiGLU) as https://github.com/ggml-org/llama.cpp/blob/master/src/models/llama.cpp builds it.
"""

from functools import cache
from typing import TYPE_CHECKING, Any

from build.smoke.gguf import BYTES_FROM, EOS, EPSILON, HEADS, LAYERS, PIECES, SPACE, WIDTH, weights

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

__all__ = ["GRAMMAR", "letters", "margin", "tokenize"]

GRAMMAR = "root ::= [a-z]+"
"""Keeps answers to letters: unconstrained tokens of a random model are invalid UTF-8, which llama.cpp answers with 500."""

_FIRST = BYTES_FROM + 256
_LETTERS = {BYTES_FROM + ord(letter): letter for letter in PIECES[:26]} | {
    _FIRST + number: letter for number, letter in enumerate(PIECES[:26])
}
"""Tokens that the grammar lets through: each letter as a byte and as a piece."""
_HEAD = WIDTH // HEADS
_ROPE_BASE = 10000.0


def tokenize(text: str) -> tuple[int, ...]:
    """Split a prompt as the tokenizer does: begin, a blank in front, pieces of one character, else bytes."""
    tokens = [1]
    for char in f" {text}".replace(" ", SPACE):
        number = PIECES.find(char)
        tokens += [_FIRST + number] if number >= 0 else [BYTES_FROM + byte for byte in char.encode()]
    return tuple(tokens)


@cache
def letters(prompt: str, count: int) -> str:
    """Answer a prompt at temperature 0, kept to letters by GRAMMAR."""
    return _answer(prompt, count)[0]


def margin(prompt: str, count: int) -> float:
    """Say by how much the best token led the second at the closest step, in units of the logits."""
    return _answer(prompt, count)[1]


def _answer(prompt: str, count: int) -> tuple[str, float]:
    model = _Llama()
    logits = model.feed(tokenize(prompt))
    said, closest = "", float("inf")
    for _ in range(count):
        allowed = sorted((*_LETTERS, *((EOS,) if said else ())), key=lambda token: -logits[token])
        closest = min(closest, float(logits[allowed[0]] - logits[allowed[1]]))
        if allowed[0] == EOS:
            break
        said += _LETTERS[allowed[0]]
        logits = model.feed((allowed[0],))
    return said, closest


@cache
def _weights() -> dict[str, Any]:
    return {name: matrix.astype("float64") for name, matrix in weights()}


class _Llama:
    """The model with what it was fed so far. Keys and values are kept as 16-bit floats, as the server keeps them."""

    def __init__(self) -> None:
        import numpy as np

        self._keys = [np.zeros((0, HEADS, _HEAD)) for _ in range(LAYERS)]
        self._values = [np.zeros((0, HEADS, _HEAD)) for _ in range(LAYERS)]

    def feed(self, tokens: tuple[int, ...]) -> "Array":
        """Take tokens in; returns the logits after the last."""
        x = _weights()["token_embd"][list(tokens)]
        for layer in range(LAYERS):
            x = x + self._attention(layer, _norm(x))
            x = x + _feed_forward(layer, _norm(x))
        logits: Array = _norm(x[-1]) @ _weights()["output"].T
        return logits

    def _attention(self, layer: int, x: "Array") -> "Array":
        import numpy as np

        seen = len(self._keys[layer])
        places = np.arange(seen, seen + len(x))
        query, key, value = (
            (x @ _weights()[f"blk.{layer}.attn_{part}"].T).reshape(-1, HEADS, _HEAD) for part in "qkv"
        )
        self._keys[layer] = np.concatenate((self._keys[layer], _half(_rotated(key, places))))
        self._values[layer] = np.concatenate((self._values[layer], _half(value)))
        scores = np.einsum("nhd,mhd->hnm", _rotated(query, places), self._keys[layer]) / np.sqrt(_HEAD)
        scores[:, np.arange(seen + len(x))[None, :] > places[:, None]] = -np.inf
        shares = np.exp(scores - scores.max(-1, keepdims=True))
        shares /= shares.sum(-1, keepdims=True)
        mixed = np.einsum("hnm,mhd->nhd", shares, self._values[layer]).reshape(len(x), WIDTH)
        attended: Array = mixed @ _weights()[f"blk.{layer}.attn_output"].T
        return attended


def _feed_forward(layer: int, x: "Array") -> "Array":
    import numpy as np

    up, gate, down = (_weights()[f"blk.{layer}.ffn_{part}"].T for part in ("up", "gate", "down"))
    gated = x @ gate
    fed: Array = (gated / (1 + np.exp(-gated)) * (x @ up)) @ down
    return fed


def _norm(x: "Array") -> "Array":
    import numpy as np

    normed: Array = x / np.sqrt((x * x).mean(-1, keepdims=True) + EPSILON)
    return normed


def _rotated(x: "Array", places: "NDArray[np.int64]") -> "Array":
    """Turn each pair of neighbouring values by an angle that grows with the place."""
    import numpy as np

    angles = places[:, None, None] * _ROPE_BASE ** (-np.arange(0, _HEAD, 2) / _HEAD)
    turned = np.empty_like(x)
    turned[..., 0::2] = x[..., 0::2] * np.cos(angles) - x[..., 1::2] * np.sin(angles)
    turned[..., 1::2] = x[..., 0::2] * np.sin(angles) + x[..., 1::2] * np.cos(angles)
    return turned


def _half(x: "Array") -> "Array":
    import numpy as np

    rounded: Array = x.astype(np.float16).astype(np.float64)
    return rounded
