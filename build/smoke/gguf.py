"""A tiny random llama in GGUF: two layers, 288 tokens, the same bytes on every machine. Written with the `gguf` package."""

import hashlib
import math
from pathlib import Path

__all__ = ["write_llama"]

_LAYERS, _WIDTH, _HEADS, _FEED, _CONTEXT = 2, 64, 4, 128, 2048
_BYTES_FROM = 3
"""Tokens 0, 1, 2 are unknown, begin and end; then the 256 bytes; then letters, so that text can be made."""


def write_llama(path: Path, *, seed: int = 42) -> None:
    """Write the model. https://github.com/ggml-org/ggml/blob/master/docs/gguf.md has the format."""
    import gguf
    import numpy as np

    writer = gguf.GGUFWriter(path, "llama")
    pieces = [b"<unk>", b"<s>", b"</s>", *(b"<0x%02X>" % byte for byte in range(256))]
    kinds = [gguf.TokenType.UNKNOWN, gguf.TokenType.CONTROL, gguf.TokenType.CONTROL] + [
        gguf.TokenType.BYTE
    ] * 256
    letters = [bytes([letter]) for letter in b"abcdefghijklmnopqrstuvwxyz"] + [b"\xe2\x96\x81", b".", b","]
    pieces, kinds = pieces + letters, kinds + [gguf.TokenType.NORMAL] * len(letters)
    writer.add_name("ingot smoke")
    writer.add_context_length(_CONTEXT)
    writer.add_embedding_length(_WIDTH)
    writer.add_block_count(_LAYERS)
    writer.add_feed_forward_length(_FEED)
    writer.add_head_count(_HEADS)
    writer.add_head_count_kv(_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(_WIDTH // _HEADS)
    writer.add_vocab_size(len(pieces))
    writer.add_tokenizer_model("llama")
    writer.add_token_list(pieces)
    writer.add_token_scores(
        [0.0 if number < _BYTES_FROM else -float(number) for number in range(len(pieces))]
    )
    writer.add_token_types(kinds)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    shapes = {"token_embd": (len(pieces), _WIDTH), "output": (len(pieces), _WIDTH)}
    for layer in range(_LAYERS):
        shapes |= {f"blk.{layer}.attn_{part}": (_WIDTH, _WIDTH) for part in ("q", "k", "v", "output")}
        shapes |= {f"blk.{layer}.ffn_{part}": (_FEED, _WIDTH) for part in ("gate", "up")}
        shapes[f"blk.{layer}.ffn_down"] = (_WIDTH, _FEED)
    norms = [
        "output_norm",
        *(f"blk.{layer}.{part}_norm" for layer in range(_LAYERS) for part in ("attn", "ffn")),
    ]
    for name, shape in shapes.items():
        # Random bytes from a hash, whose output is specified; numpy's generators may change between versions.
        noise = hashlib.shake_256(f"{seed} {name}".encode()).digest(math.prod(shape))
        weights = np.frombuffer(noise, dtype=np.int8).astype(np.float32) / 640
        writer.add_tensor(f"{name}.weight", weights.reshape(shape))
    for name in norms:
        writer.add_tensor(f"{name}.weight", np.ones(_WIDTH, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
