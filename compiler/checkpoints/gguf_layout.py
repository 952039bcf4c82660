"""How llama.cpp lays out the tensors of a Hugging Face model, and back.

Strategy: one pair of functions over the traits of an architecture (gguf_names.py): rows of queries and keys
in the order of interleaved rotations, gains with one added, Conv1D matrices transposed, fused projections
cut by part instead of by head. Both are exact but for the added one. Source: convert_hf_to_gguf.py of
ggml-org/llama.cpp.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...errors import CheckpointError
from .gguf_names import GgufArchitecture, part_of


def to_hugging_face(
    values: np.ndarray, name: str, architecture: GgufArchitecture, heads: Mapping[str, int], source: str
) -> np.ndarray:
    """A tensor under its GGUF `name` as Hugging Face stores it.

    heads : of "attn_q" and "attn_k", 0 where unknown;  source : the file, for the error

    Raises CheckpointError when the rows do not belong to so many heads.
    """
    part = part_of(name)
    if architecture.gain_offset and name.endswith("norm.weight"):
        return values - np.float32(architecture.gain_offset)
    if part in architecture.transposed and values.ndim == 2:
        return np.ascontiguousarray(values.T)
    if part in architecture.flat and values.ndim == 2:
        return values[:, None]
    if part in architecture.fused_by_head:
        return _by_head(values, _whole_heads(len(values), heads["attn_q"], 3, name, source))
    if architecture.permuted and part in ("attn_q", "attn_k"):
        return apart(values, _whole_heads(len(values), heads[part], 2, name, source))
    return values


def to_gguf(
    values: np.ndarray, name: str, architecture: GgufArchitecture, heads: Mapping[str, int], source: str
) -> np.ndarray:
    """The inverse of `to_hugging_face`, for the same GGUF `name`."""
    part = part_of(name)
    if architecture.gain_offset and name.endswith("norm.weight"):
        return values + np.float32(architecture.gain_offset)
    if part in architecture.transposed and values.ndim == 2:
        return np.ascontiguousarray(values.T)
    if part in architecture.flat and values.ndim == 3:
        return values[:, 0]
    if part in architecture.fused_by_head:
        return _by_part(values, _whole_heads(len(values), heads["attn_q"], 3, name, source))
    if architecture.permuted and part in ("attn_q", "attn_k"):
        return _interleaved(values, _whole_heads(len(values), heads[part], 2, name, source))
    return values


def head_counts(values: Mapping[str, object]) -> dict[str, int]:
    """Query heads and key-value heads of a configuration by GGUF's parts; 0 where it does not say."""
    queries = values.get("num_attention_heads", 0)
    keys = values.get("num_key_value_heads", queries)
    return {"attn_q": queries if type(queries) is int else 0, "attn_k": keys if type(keys) is int else 0}


def _whole_heads(rows: int, heads: int, parts: int, name: str, source: str) -> int:
    if heads < 1 or rows % (parts * heads):
        raise CheckpointError(f"{source}: the {rows:,} rows of {name!r} do not belong to {heads} heads; copy it again")
    return heads


def apart(values: np.ndarray, heads: int) -> np.ndarray:
    """Rows of every head from interleaved pairs (2j, 2j + 1) to halves (j, j + d/2), as Hugging Face has them."""
    pairs = values.reshape(heads, len(values) // heads // 2, 2, *values.shape[1:])
    return np.ascontiguousarray(pairs.swapaxes(1, 2)).reshape(values.shape)


def _interleaved(values: np.ndarray, heads: int) -> np.ndarray:
    """The inverse of `apart`."""
    halves = values.reshape(heads, 2, len(values) // heads // 2, *values.shape[1:])
    return np.ascontiguousarray(halves.swapaxes(1, 2)).reshape(values.shape)


def _by_head(values: np.ndarray, heads: int) -> np.ndarray:
    """Rows from all queries, all keys, all values to query, key and value of every head."""
    parts = values.reshape(3, heads, len(values) // heads // 3, *values.shape[1:])
    return np.ascontiguousarray(parts.swapaxes(0, 1)).reshape(values.shape)


def _by_part(values: np.ndarray, heads: int) -> np.ndarray:
    """The inverse of `_by_head`."""
    parts = values.reshape(heads, 3, len(values) // heads // 3, *values.shape[1:])
    return np.ascontiguousarray(parts.swapaxes(0, 1)).reshape(values.shape)
