"""The `.bin` files of a GPT-2 that llm.c writes: a header of 256 numbers, then weights, role by role over all layers.

Strategy: a file is one by its magic number; its sizes must give its length to the byte. Tensors get the names and the
layout that Hugging Face has for a GPT-2, so that an export is one; rows that pad the vocabulary are left out. Source:
karpathy/llm.c, train_gpt2.py and train_gpt2.cu.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ...errors import CheckpointError
from ...format.tensors.raw_planes import from_storage
from .configuration import Configuration
from .stored import Stored

MAGIC = struct.pack("<i", 20240326)
HEADER = struct.Struct("<4s7i")  # magic, version, length, vocabulary, layers, heads, width, vocabulary with padding
HEADER_BYTES = 256 * 4
VERSIONS = {3: "float32", 5: "bfloat16"}
MOST = 1 << 24  # of any size
TABLE = "wte.weight"
CALLED = "its llm.c header"
Section = tuple[str, int, tuple[int, ...]]  # name, layers (0 for a tensor that stands once), shape of one


def read_llm_c(data: bytes | memoryview, path: Path) -> tuple[dict[str, Stored], Configuration, tuple[str, ...]]:
    """Tensors by name, what the file says of the model, and what was left out, in words.

    Raises CheckpointError for another version and for a file whose length is not that of its sizes.
    """
    if len(data) < HEADER_BYTES:
        raise CheckpointError(f"{path} is cut: an llm.c header has {HEADER_BYTES:,} bytes; copy it again")
    _, version, length, vocabulary, layers, heads, width, padded = HEADER.unpack_from(data)
    if version not in VERSIONS:
        raise CheckpointError(
            f"{path} is llm.c's file of version {version}; known are 3 (float32) and 5 (bfloat16), which newer code has"
        )
    sizes = (length, vocabulary, layers, heads, width, padded)
    sane = min(sizes) > 0 and max(sizes) < MOST and padded >= vocabulary and width % heads == 0
    dtype, sections = VERSIONS[version], [*_sections(length, layers, width, padded)] if sane else []
    count = sum(max(of, 1) * math.prod(shape) for _, of, shape in sections)
    if not sane or len(data) != HEADER_BYTES + count * (4 if dtype == "float32" else 2):
        raise CheckpointError(f"{path} is an llm.c file whose length is not that of its sizes; copy it again")
    codes = np.frombuffer(data, "<u4" if dtype == "float32" else "<u2", offset=HEADER_BYTES)
    tensors = {}
    for name, values in _tensors(sections, codes):
        kept = values[:vocabulary] if name == TABLE else values.T if ".c_" in name else values
        tensors[f"transformer.{name}"] = Stored(from_storage(np.ascontiguousarray(kept), dtype), dtype)
    told = {"n_layer": layers, "n_head": heads, "n_embd": width, "vocab_size": vocabulary, "block_size": length}
    notes = (f"left out, rows that pad the vocabulary: {padded - vocabulary}",) if padded > vocabulary else ()
    return tensors, Configuration({"model_type": "gpt2", **told}, CALLED), notes


def _sections(length: int, layers: int, width: int, vocabulary: int) -> Iterator[Section]:
    """Of all tensors, in the order of the file."""
    yield TABLE, 0, (vocabulary, width)
    yield "wpe.weight", 0, (length, width)
    inner = {
        "ln_1": (),
        "attn.c_attn": (3 * width, width),
        "attn.c_proj": (width, width),
        "ln_2": (),
        "mlp.c_fc": (4 * width, width),
        "mlp.c_proj": (width, 4 * width),
    }
    for name, shape in inner.items():
        yield f"{name}.weight", layers, shape or (width,)
        yield f"{name}.bias", layers, (shape[0] if shape else width,)
    yield "ln_f.weight", 0, (width,)
    yield "ln_f.bias", 0, (width,)


def _tensors(sections: list[Section], codes: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    start = 0
    for name, layers, shape in sections:
        for each in [f"h.{layer}.{name}" for layer in range(layers)] or [name]:
            stop = start + math.prod(shape)
            yield each, codes[start:stop].reshape(shape)
            start = stop
