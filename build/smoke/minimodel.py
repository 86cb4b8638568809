"""The sample fork's model, computed a second time: same file bytes, same greedy tokens, no C++.

Written from the description in samples/minifork/include/mini.h and base/model.cpp. Standard library only.

    model = generate(vocab=256, dim=64, seed=42)
    model.to_bytes()                    # what `mini-gen --vocab 256 --dim 64 --seed 42 FILE` writes
    greedy_tokens(model, "hello", 8)    # the "tokens" of {"prompt": "hello", "max_tokens": 8}
    text(tokens)                        # the text of the same answer
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

__all__ = ["Model", "ModelError", "generate", "greedy_tokens", "text", "tokenize"]

MAGIC = b"MINI"
FORMAT_VERSION = 1
ALPHABET = "abcdefghijklmnopqrstuvwxyz .,!?-"
_CHECKED_HEADER = struct.Struct("<4s5I")
_HEADER_SIZE = _CHECKED_HEADER.size + 8
_U32 = 0xFFFFFFFF
_U64 = 0xFFFFFFFFFFFFFFFF

Matrix = tuple[tuple[int, ...], ...]


class ModelError(ValueError):
    """The bytes are not a model file."""


@dataclass(frozen=True)
class Model:
    vocab: int
    dim: int
    seed: int
    embed: Matrix
    recur: Matrix
    head: Matrix
    bias: tuple[int, ...]

    def to_bytes(self) -> bytes:
        payload = b"".join(
            struct.pack(f"<{self.dim}b", *row)
            for matrix in (self.embed, self.recur, self.head)
            for row in matrix
        )
        payload += struct.pack(f"<{self.vocab}i", *self.bias)
        header = _CHECKED_HEADER.pack(MAGIC, FORMAT_VERSION, self.vocab, self.dim, self.seed, len(payload))
        return header + struct.pack("<Q", _fnv1a(header + payload)) + payload

    @staticmethod
    def from_bytes(data: bytes) -> Model:
        problem = _problem(data)
        if problem:
            raise ModelError(problem)
        _, _, vocab, dim, seed, _ = _CHECKED_HEADER.unpack_from(data)
        payload = data[_HEADER_SIZE:]
        weights = iter(struct.unpack_from(f"<{len(payload) - 4 * vocab}b", payload))
        bias = struct.unpack_from(f"<{vocab}i", payload, len(payload) - 4 * vocab)
        return _assemble(vocab, dim, seed, weights, bias)


def generate(vocab: int = 256, dim: int = 64, seed: int = 42) -> Model:
    numbers = _splitmix64(seed)
    weights = (_signed_byte(next(numbers) >> 56) for _ in range(2 * vocab * dim + dim * dim))
    bias = ((next(numbers) >> 48) - 32768 for _ in range(vocab))
    return _assemble(vocab, dim, seed, weights, bias)


def tokenize(model: Model, prompt: str | bytes) -> list[int]:
    data = prompt.encode() if isinstance(prompt, str) else prompt
    return [0, *(byte % model.vocab for byte in data)]


def greedy_tokens(model: Model, prompt: str | bytes | Sequence[int], count: int) -> list[int]:
    """The tokens that a server must answer with at temperature 0. A sequence of numbers is taken as tokens."""
    fed = tokenize(model, prompt) if isinstance(prompt, str | bytes) else list(prompt)
    state: Sequence[int] = [0] * model.dim
    for token in fed:
        state = _advance(model, state, token)
    answer: list[int] = []
    while len(answer) < count:
        answer.append(_best(model, state))
        state = _advance(model, state, answer[-1])
    return answer


def text(tokens: Iterable[int]) -> str:
    return "".join(ALPHABET[token % len(ALPHABET)] for token in tokens)


def _problem(data: bytes) -> str | None:
    if len(data) < _HEADER_SIZE or data[:4] != MAGIC:
        return "not a .mini file"
    _, version, vocab, dim, _, size = _CHECKED_HEADER.unpack_from(data)
    payload = data[_HEADER_SIZE:]
    if version != FORMAT_VERSION:
        return f"unsupported format version {version}"
    if not size == len(payload) == 2 * vocab * dim + dim * dim + 4 * vocab:
        return "truncated or overlong"
    (checksum,) = struct.unpack_from("<Q", data, _CHECKED_HEADER.size)
    if checksum != _fnv1a(data[: _CHECKED_HEADER.size] + payload):
        return "checksum mismatch"
    return None


def _advance(model: Model, state: Sequence[int], token: int) -> list[int]:
    sums = (_dot(row, state) + 256 * e for row, e in zip(model.recur, model.embed[token], strict=True))
    return [_signed_byte((total & _U32) >> 8 & 0xFF) for total in sums]


def _best(model: Model, state: Sequence[int]) -> int:
    logits = [_signed_word(b + _dot(row, state)) for row, b in zip(model.head, model.bias, strict=True)]
    return logits.index(max(logits))


def _dot(left: Sequence[int], right: Sequence[int]) -> int:
    return sum(a * b for a, b in zip(left, right, strict=True))


def _signed_byte(value: int) -> int:
    return value - 256 if value & 0x80 else value


def _signed_word(value: int) -> int:
    value &= _U32
    return value - (1 << 32) if value >> 31 else value


def _assemble(vocab: int, dim: int, seed: int, weights: Iterator[int], bias: Iterable[int]) -> Model:
    def matrix(rows: int) -> Matrix:
        return tuple(tuple(next(weights) for _ in range(dim)) for _ in range(rows))

    embed, recur, head = matrix(vocab), matrix(dim), matrix(vocab)
    return Model(vocab, dim, seed, embed, recur, head, tuple(bias))


def _fnv1a(data: bytes) -> int:
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 & _U64
    return value


def _splitmix64(seed: int) -> Iterator[int]:
    state = seed
    while True:
        state = state + 0x9E3779B97F4A7C15 & _U64
        z = state
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & _U64
        z = (z ^ z >> 27) * 0x94D049BB133111EB & _U64
        yield z ^ z >> 31
