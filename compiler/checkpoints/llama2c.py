"""The `.bin` files of llama2.c, header version 0: seven sizes, then float32 weights, role by role over all layers.

Strategy: there is no magic number, so a file is one when its sizes are sane and give the file's length
to the byte. Tensors get the names that llama2.c's own Python model has for them. The tables of
rotations that such a file ends with are not weights; they are held against what the sizes say. Source:
karpathy/llama2.c, export.py (legacy_export) and run.c.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...errors import CheckpointError
from .configuration import META_MODEL_TYPE, Configuration

HEADER = struct.Struct("<7i")
MOST = 1 << 24  # of any size; above what has ever been in such a file, below what other kinds of file begin with
ROPE_THETA, EPSILON, BOUNDARY_TOKEN = 10_000.0, 1e-5, 1  # constants of run.c
TABLE_TOLERANCE = 1e-3
Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Sizes:
    """The header. tied : whether the table is the head as well, which a negative vocabulary size denies"""

    width: int
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    vocabulary: int
    length: int
    tied: bool

    @property
    def head_width(self) -> int:
        return self.width // self.heads

    def sections(self) -> Iterator[tuple[str, int, Shape]]:
        """(name, layers, shape of one) in file order; layers 0 for a tensor that stands once."""
        d, keys = self.width, self.kv_heads * self.head_width
        yield "tok_embeddings.weight", 0, (self.vocabulary, d)
        yield "attention_norm.weight", self.layers, (d,)
        yield "attention.wq.weight", self.layers, (d, d)
        yield "attention.wk.weight", self.layers, (keys, d)
        yield "attention.wv.weight", self.layers, (keys, d)
        yield "attention.wo.weight", self.layers, (d, d)
        yield "ffn_norm.weight", self.layers, (d,)
        yield "feed_forward.w1.weight", self.layers, (self.hidden, d)
        yield "feed_forward.w2.weight", self.layers, (d, self.hidden)
        yield "feed_forward.w3.weight", self.layers, (self.hidden, d)
        yield "norm.weight", 0, (d,)
        yield "freqs_cos", 0, (self.length, self.head_width // 2)
        yield "freqs_sin", 0, (self.length, self.head_width // 2)
        if not self.tied:
            yield "output.weight", 0, (self.vocabulary, d)

    @property
    def file_bytes(self) -> int:
        return HEADER.size + 4 * sum(max(layers, 1) * math.prod(shape) for _, layers, shape in self.sections())


def llama2c_sizes(data: bytes) -> Sizes | None:
    """The sizes in the header of a llama2.c file; None when the bytes are not one."""
    if len(data) < HEADER.size:
        return None
    width, hidden, layers, heads, kv_heads, vocabulary, length = HEADER.unpack_from(data)
    numbers = (width, hidden, layers, heads, kv_heads, abs(vocabulary), length)
    if min(numbers) < 1 or max(numbers) > MOST or width % heads or heads % kv_heads or width // heads % 2:
        return None
    sizes = Sizes(width, hidden, layers, heads, kv_heads, abs(vocabulary), length, vocabulary > 0)
    return sizes if sizes.file_bytes == len(data) else None


def read_llama2c(data: bytes, path: Path) -> tuple[dict[str, np.ndarray], Configuration]:
    """float32 tensors by name, and what header and format say of the model. CheckpointError for other rotations."""
    sizes = llama2c_sizes(data)
    if sizes is None:
        raise CheckpointError(f"{path} is not a llama2.c file of version 0")
    values, tensors, start = np.frombuffer(data, "<f4", offset=HEADER.size), {}, 0
    for name, layers, shape in sizes.sections():
        names = [f"layers.{layer}.{name}" for layer in range(layers)] or [name]
        for each in names:
            count = math.prod(shape)
            tensors[each] = np.array(values[start : start + count], np.float32).reshape(shape)
            start += count
    _check_rotations(sizes, tensors.pop("freqs_cos"), tensors.pop("freqs_sin"), path)
    told = {
        "model_type": META_MODEL_TYPE,
        "hidden_size": sizes.width,
        "intermediate_size": sizes.hidden,
        "num_hidden_layers": sizes.layers,
        "num_attention_heads": sizes.heads,
        "num_key_value_heads": sizes.kv_heads,
        "vocab_size": sizes.vocabulary,
        "max_position_embeddings": sizes.length,
        "tie_word_embeddings": sizes.tied,
        "rope_theta": ROPE_THETA,
        "rms_norm_eps": EPSILON,
        "hidden_act": "silu",
        "bos_token_id": BOUNDARY_TOKEN,
    }
    return tensors, Configuration(told, "its llama2.c header")


def _check_rotations(sizes: Sizes, cosines: np.ndarray, sines: np.ndarray, path: Path) -> None:
    """run.c computes the rotations anew; tables of others would be of another model.

    Of nothing but zeros, they were left out.
    """
    if not cosines.any() and not sines.any():
        return
    r = sizes.head_width
    angles = np.arange(sizes.length)[:, None] * ROPE_THETA ** (-np.arange(0, r, 2) / r)
    if max(np.abs(cosines - np.cos(angles)).max(), np.abs(sines - np.sin(angles)).max()) > TABLE_TOLERANCE:
        raise CheckpointError(
            f"{path} has tables of rotations that are not those of base {ROPE_THETA:g}, which llama2.c computes with; "
            "give the checkpoint that it was exported from"
        )
