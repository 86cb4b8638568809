"""A model in the sample fork's file format: a recurrent net of 8 bit weights, greedy, all in integers."""

import struct
from pathlib import Path

_ALPHABET = "abcdefghijklmnopqrstuvwxyz .,!?-"
_HEAD = struct.Struct("<4s5IQ")


class BrokenModel(Exception):
    pass


class Model:
    def __init__(self, path: Path) -> None:
        data = path.read_bytes()
        if len(data) < _HEAD.size or data[:4] != b"MINI":
            raise BrokenModel(f"{path} is not a .mini file")
        _, _, self.vocab, self.dim, _, size, _ = _HEAD.unpack_from(data)
        body = data[_HEAD.size :]
        if len(body) != size:
            raise BrokenModel(f"{path} is cut: {len(body)} of {size} bytes")
        numbers = struct.unpack(f"<{size - 4 * self.vocab}b", body[: -4 * self.vocab])
        rows = [numbers[at : at + self.dim] for at in range(0, len(numbers), self.dim)]
        self.embed = rows[: self.vocab]
        self.recur = rows[self.vocab : self.vocab + self.dim]
        self.head = rows[self.vocab + self.dim :]
        self.bias = struct.unpack(f"<{self.vocab}i", body[-4 * self.vocab :])

    def answer(self, prompt: str, count: int) -> list[int]:
        state = [0] * self.dim
        for token in (0, *(byte % self.vocab for byte in prompt.encode())):
            state = self._after(state, token)
        tokens: list[int] = []
        for _ in range(count):
            scores = [bias + sum(map(int.__mul__, row, state)) for row, bias in zip(self.head, self.bias)]
            tokens.append(scores.index(max(scores)))
            state = self._after(state, tokens[-1])
        return tokens

    def _after(self, state: list[int], token: int) -> list[int]:
        sums = (
            sum(map(int.__mul__, row, state)) + 256 * own for row, own in zip(self.recur, self.embed[token])
        )
        return [((total >> 8) + 128 & 255) - 128 for total in sums]


def text(tokens: list[int]) -> str:
    return "".join(_ALPHABET[token % len(_ALPHABET)] for token in tokens)
