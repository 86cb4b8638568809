"""The tiny models that servers are tested with have the same bytes everywhere."""

import hashlib
from pathlib import Path

from build.smoke import gguf, minimodel

MINI = "ab7eea47dd8e566db2703e0791aa9ff09c14460f1e8a07fdc3588672e0635a67"
GGUF = "ecfe7274ddef429b13449def1ef5ed4c4c53f792853d38aabc2323a0ec58ffbc"


def test_the_samples_model() -> None:
    assert hashlib.sha256(minimodel.generate().to_bytes()).hexdigest() == MINI


def test_the_llama(tmp_path: Path) -> None:
    gguf.write_llama(tmp_path / "tiny.gguf")
    assert hashlib.sha256((tmp_path / "tiny.gguf").read_bytes()).hexdigest() == GGUF


def test_another_seed_is_another_llama(tmp_path: Path) -> None:
    gguf.write_llama(tmp_path / "a.gguf", seed=1)
    gguf.write_llama(tmp_path / "b.gguf", seed=2)
    assert (tmp_path / "a.gguf").read_bytes() != (tmp_path / "b.gguf").read_bytes()
