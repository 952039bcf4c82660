"""What GGUF metadata of one architecture say and others' do not, in Hugging Face's words, and back.

Strategy: numbers under a name of their own are a table that both directions use; what is listed layer by layer, or is a
constant of llama.cpp, takes a function. Source: conversion/ and src/models/ of ggml-org/llama.cpp.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ...errors import CheckpointError
from .configuration import CONVOLUTION, FULL, SLIDING

OWN_KEYS: Mapping[str, Mapping[str, str]] = {  # by architecture, after "ARCHITECTURE."
    "granite": {
        "attention.scale": "attention_multiplier",
        "embedding_scale": "embedding_multiplier",
        "residual_scale": "residual_multiplier",
        "logit_scale": "logits_scaling",
    },
    "olmo": {"attention.clamp_kqv": "clip_qkv"},
    "lfm2": {"shortconv.l_cache": "conv_L_cache"},
}
KEY_HEADS = "attention.head_count_kv"
EXAONE_LAYERS_WITH_WINDOWS, EXAONE_WINDOW, EXAONE_FULL_EVERY = 64, 4096, 4  # of the one size that has some


def kinds_of_layers(own: Mapping[str, object], path: Path) -> tuple[dict[str, object], dict[str, object]]:
    """LFM2's metadata with one number of key heads, and what the list of them says: 0 for a convolution.

    Raises CheckpointError where layers of attention have different ones.
    """
    heads = own.get(KEY_HEADS)
    if not isinstance(heads, np.ndarray | list):
        return dict(own), {}
    counts = heads.tolist() if isinstance(heads, np.ndarray) else heads
    if any(type(each) is not int or each < 0 for each in counts):
        raise CheckpointError(f"{path}: {KEY_HEADS} lists what are no numbers of heads; copy it again")
    found = {each for each in counts if each}
    if len(found) > 1:
        raise CheckpointError(f"{path} has another {KEY_HEADS} in every layer, which no frontend knows")
    kinds = [FULL if each else CONVOLUTION for each in counts]
    return {**own, KEY_HEADS: max(counts, default=0)}, {"layer_types": kinds}


def constants_of_llama_cpp(
    architecture: str, own: Mapping[str, object], values: Mapping[str, object], layers: int, path: Path
) -> dict[str, object]:
    """What llama.cpp computes by an architecture's name alone. CheckpointError for rotations that are switched off."""
    if architecture == "minicpm":
        return _scales_of_minicpm(own, values, layers, path)
    if architecture == "granite" and own.get("rope.scaling.finetuned") is False:
        raise CheckpointError(f"{path} is a granite without rotations, of which its model type has none")
    if architecture == "lfm2":
        return {"block_auto_adjust_ff_dim": False}  # since the length that the file has is that of the tensors
    if architecture == "exaone4":
        windowed = layers == EXAONE_LAYERS_WITH_WINDOWS
        every = [SLIDING if windowed and (n + 1) % EXAONE_FULL_EVERY else FULL for n in range(layers)]
        window = values.get("sliding_window", EXAONE_WINDOW) if windowed else None
        return {"layer_types": every, "sliding_window": window}
    return {}


MINICPM_SCALES = ("embedding_scale", "residual_scale", "logit_scale")


def _scales_of_minicpm(
    own: Mapping[str, object], values: Mapping[str, object], layers: int, path: Path
) -> dict[str, object]:
    """MiniCPM's own numbers, which are relative to its sizes. CheckpointError where a file leaves them to llama.cpp,
    whose older constants are those of one size.
    """
    scales = [own.get(name) for name in MINICPM_SCALES]
    width = values.get("hidden_size")
    if not all(isinstance(each, int | float) and each > 0 for each in (*scales, width)):
        raise CheckpointError(f"{path} lacks {', '.join(MINICPM_SCALES)}, which a minicpm is scaled by")
    embedding, residual, logit, size = (float(str(each)) for each in (*scales, width))
    return {"scale_emb": embedding, "scale_depth": residual * layers**0.5, "dim_model_base": size / logit}


def scales_of_minicpm(values: Mapping[str, object]) -> dict[str, float]:
    """The inverse, by key after "ARCHITECTURE."."""
    embedding, depth, base = (
        float(str(values.get(name) or 1)) for name in ("scale_emb", "scale_depth", "dim_model_base")
    )
    layers, width = (float(str(values[name])) for name in ("num_hidden_layers", "hidden_size"))
    found = embedding, depth / layers**0.5, width / base
    return dict(zip(MINICPM_SCALES, found, strict=True))


def key_heads(values: Mapping[str, object]) -> object:
    """The inverse of `kinds_of_layers`: key heads, layer by layer where some have a convolution."""
    kinds, full, count = (values.get(name) for name in ("layer_types", "full_attn_idxs", "num_hidden_layers"))
    if not isinstance(kinds, list) and isinstance(full, list) and isinstance(count, int):
        kinds = [FULL if layer in full else CONVOLUTION for layer in range(count)]
    heads = values["num_key_value_heads"]
    return [0 if kind == CONVOLUTION else heads for kind in kinds] if isinstance(kinds, list) else heads


def length_of_lfm2(values: Mapping[str, object]) -> int:
    """Hidden units of an MLP whose length is adjusted unless the configuration says otherwise."""
    length = int(str(values.get("block_ff_dim", values.get("intermediate_size", 12_288))))
    if values.get("block_auto_adjust_ff_dim", True):
        length = int(2 * length / 3)
        factor = values.get("block_ffn_dim_multiplier", 1.0)
        multiple = int(str(values.get("block_multiple_of", 256)))
        if isinstance(factor, int | float):
            length = multiple * ((int(factor * length) + multiple - 1) // multiple)
    return length
