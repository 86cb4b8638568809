"""The independent model against values that are known: golden bytes and tokens, and its file format."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest

from build.smoke.minimodel import Model, ModelError, generate, greedy_tokens, text, tokenize

DEFAULT_SHA256 = "ab7eea47dd8e566db2703e0791aa9ff09c14460f1e8a07fdc3588672e0635a67"


@pytest.fixture(scope="module")
def default_model() -> Model:
    return generate()


@pytest.fixture(scope="module")
def small_model() -> Model:
    return generate(vocab=32, dim=8, seed=7)


def test_the_default_model_has_the_bytes_that_mini_gen_writes(default_model: Model) -> None:
    data = default_model.to_bytes()
    assert len(data) == 37920
    assert hashlib.sha256(data).hexdigest() == DEFAULT_SHA256


def test_file_bytes_round_trip(small_model: Model) -> None:
    assert Model.from_bytes(small_model.to_bytes()) == small_model


def test_a_different_seed_gives_a_different_model(small_model: Model) -> None:
    assert generate(vocab=32, dim=8, seed=8).to_bytes() != small_model.to_bytes()


def test_greedy_tokens_of_a_known_prompt(default_model: Model) -> None:
    tokens = greedy_tokens(default_model, "hello", 16)
    assert tokens == [180, 12, 188, 32, 255, 187, 255, 190, 46, 21, 209, 55, 107, 157, 157, 177]
    assert text(tokens) == "um,a-.-?ovrxl!!r"


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("The quick brown fox", [23, 15, 23, 25, 14, 14, 14, 10, 25, 0, 23, 10]),
        ("", [14, 0, 20, 30, 16, 14]),
    ],
)
def test_greedy_tokens_of_a_small_model(small_model: Model, prompt: str, expected: list[int]) -> None:
    assert greedy_tokens(small_model, prompt, len(expected)) == expected


def test_a_longer_answer_continues_a_shorter_one(small_model: Model) -> None:
    assert greedy_tokens(small_model, "abc", 20)[:5] == greedy_tokens(small_model, "abc", 5)


def test_a_prompt_given_as_tokens_is_the_same_prompt(small_model: Model) -> None:
    assert greedy_tokens(small_model, tokenize(small_model, "abc"), 5) == greedy_tokens(small_model, "abc", 5)


def test_tokenize_opens_with_zero_and_wraps_at_the_vocabulary(small_model: Model) -> None:
    assert tokenize(small_model, "A\u00e9") == [0, 0x41 % 32, 0xC3 % 32, 0xA9 % 32]


def _flip_last_byte(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data[:0], "not a .mini file"),
        (lambda data: b"GGUF" + data[4:], "not a .mini file"),
        (lambda data: data[:4] + b"\x02" + data[5:], "unsupported format version 2"),
        (lambda data: data[:-1], "truncated or overlong"),
        (lambda data: data + b"\0", "truncated or overlong"),
        (_flip_last_byte, "checksum mismatch"),
    ],
    ids=["empty", "magic", "version", "truncated", "overlong", "bit-flip"],
)
def test_a_damaged_file_is_refused(
    small_model: Model, damage: Callable[[bytes], bytes], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        Model.from_bytes(damage(small_model.to_bytes()))
