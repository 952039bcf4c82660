"""GGUF files made on the spot, by the gguf package and the formulas of llama.cpp's converter."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import gguf
import numpy as np

from bytecap.compiler.checkpoints.gguf_names import ARCHITECTURES

Kind = gguf.GGMLQuantizationType
LLAMA = {  # of naive_llama.Llama(width=32, hidden=32, heads=4, head=8)
    "context_length": 48,
    "embedding_length": 32,
    "block_count": 2,
    "feed_forward_length": 32,
    "attention.head_count": 4,
    "attention.head_count_kv": 2,
    "attention.layer_norm_rms_epsilon": 1e-5,
    "rope.freq_base": 10_000.0,
    "tokenizer.ggml.bos_token_id": 1,
}


def write_gguf(
    path: Path,
    architecture: str,
    metadata: Mapping[str, object],
    tensors: Mapping[str, np.ndarray],
    kinds: Mapping[str, Kind] | None = None,
) -> Path:
    """A file of these tensors under GGUF's names, as float32 unless `kinds` says otherwise.

    metadata : numbers, bools and texts; a key without a dot-separated owner gets the architecture's
    """
    writer = gguf.GGUFWriter(path, architecture)
    for key, value in metadata.items():
        name = key if key.startswith(("general.", "tokenizer.")) else f"{architecture}.{key}"
        add = {bool: writer.add_bool, int: writer.add_uint32, float: writer.add_float32, str: writer.add_string}
        writer.add_array(name, value) if isinstance(value, list) else add[type(value)](name, value)
    for name, values in tensors.items():
        kind = (kinds or {}).get(name, Kind.F32)
        data = gguf.quants.quantize(np.ascontiguousarray(values, np.float32), kind)
        writer.add_tensor(name, data, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def interleaved(values: np.ndarray, heads: int) -> np.ndarray:
    """Rows of queries or keys in the order in which llama.cpp rotates Llama's: the converter's `permute`."""
    halves = values.reshape(heads, 2, len(values) // heads // 2, *values.shape[1:])
    return halves.swapaxes(1, 2).reshape(values.shape)


def one_after_the_other(values: np.ndarray, heads: int) -> np.ndarray:
    """GPT-NeoX's fused rows [query, key, value of each head] as all queries, all keys, all values."""
    by_head = values.reshape(heads, 3, len(values) // heads // 3, *values.shape[1:])
    return np.concatenate([by_head[:, part].reshape(-1, *values.shape[1:]) for part in range(3)])


def under_ggufs_names(state: Mapping[str, np.ndarray], architecture: str = "llama") -> dict[str, np.ndarray]:
    """A Llama's tensors as llama.cpp's converter writes them."""
    names = ARCHITECTURES[architecture]
    found = {names.gguf_name(name): values for name, values in state.items()}
    for name, values in found.items():
        if names.permuted and ("attn_q." in name or "attn_k." in name):
            found[name] = interleaved(values, 4 if "attn_q." in name else 2)
    return found
