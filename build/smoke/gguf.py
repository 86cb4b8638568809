"""A tiny random llama in GGUF: two layers, 288 tokens, the same bytes on every machine. Written with the `gguf` package.

`llama.py` computes its answers a second time.
"""

import hashlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "BYTES_FROM",
    "EOS",
    "EPSILON",
    "HEADS",
    "LAYERS",
    "PIECES",
    "SPACE",
    "WIDTH",
    "weights",
    "write_llama",
]

LAYERS: Final = 2
WIDTH: Final = 64
HEADS: Final = 4
EPSILON: Final = 1e-5
_FEED, _CONTEXT = 128, 8192

_BOS = 1
EOS: Final = 2
BYTES_FROM: Final = 3
"""Tokens 0, 1, 2 are unknown, begin and end; then the 256 bytes; then letters, so that text can be made."""
SPACE: Final = "\N{LOWER ONE EIGHTH BLOCK}"
"""How a blank is written in a piece, a convention of SentencePiece."""
PIECES: Final = "abcdefghijklmnopqrstuvwxyz" + SPACE + ".,"

_SCALE: Final = {"attn_q": 3, "attn_k": 3, "attn_v": 3, "attn_output": 4, "ffn_down": 2, "output": 2}
"""With these every word of the prompt matters to the answer; with all at one the model repeats itself."""
_SEED: Final = 81
"""Chosen so that the best token of each answer that smoke asks for leads clearly: kernels may add in any order."""


def weights(seed: int = _SEED) -> "Iterator[tuple[str, NDArray[np.float32]]]":
    """Yield each matrix under its name in the file, `blk.0.attn_q`, in the order of the file; norms are all ones."""
    import numpy as np

    shapes = {"token_embd": (BYTES_FROM + 256 + len(PIECES), WIDTH)}
    shapes["output"] = shapes["token_embd"]
    for layer in range(LAYERS):
        shapes |= {f"blk.{layer}.attn_{part}": (WIDTH, WIDTH) for part in ("q", "k", "v", "output")}
        shapes |= {f"blk.{layer}.ffn_{part}": (_FEED, WIDTH) for part in ("gate", "up")}
        shapes[f"blk.{layer}.ffn_down"] = (WIDTH, _FEED)
    for name, shape in shapes.items():
        # Random bytes from a hash, whose output is specified; numpy's generators may change between versions.
        noise = hashlib.shake_256(f"{seed} {name}".encode()).digest(math.prod(shape))
        scale = np.float32(_SCALE.get(name.rpartition(".")[2], 1))
        yield (
            name,
            (np.frombuffer(noise, dtype=np.int8).astype(np.float32) / np.float32(640) * scale).reshape(shape),
        )


def write_llama(path: Path, *, seed: int = _SEED) -> None:
    """Write the model. https://github.com/ggml-org/ggml/blob/master/docs/gguf.md has the format."""
    import gguf
    import numpy as np

    writer = gguf.GGUFWriter(path, "llama")
    pieces = [b"<unk>", b"<s>", b"</s>", *(b"<0x%02X>" % byte for byte in range(256))]
    kinds = [gguf.TokenType.UNKNOWN, gguf.TokenType.CONTROL, gguf.TokenType.CONTROL]
    kinds += [gguf.TokenType.BYTE] * 256 + [gguf.TokenType.NORMAL] * len(PIECES)
    pieces += [piece.encode() for piece in PIECES]
    writer.add_name("ingot smoke")
    writer.add_context_length(_CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(_FEED)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(EPSILON)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_vocab_size(len(pieces))
    writer.add_tokenizer_model("llama")
    writer.add_token_list(pieces)
    writer.add_token_scores([0.0 if number < BYTES_FROM else -float(number) for number in range(len(pieces))])
    writer.add_token_types(kinds)
    writer.add_bos_token_id(_BOS)
    writer.add_eos_token_id(EOS)
    writer.add_unk_token_id(0)
    for name, matrix in weights(seed):
        writer.add_tensor(f"{name}.weight", matrix)
    norms = (f"blk.{layer}.{part}_norm" for layer in range(LAYERS) for part in ("attn", "ffn"))
    for name in ("output_norm", *norms):
        writer.add_tensor(f"{name}.weight", np.ones(WIDTH, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
