"""Tensors of a model of the challenge as its program reads them, and back as the checkpoint had them.

Strategy: a program reads matrices and vectors, and vectors where the scripts compute something of weights alone. So
banks become their matrices, numbers become vectors of one, gates become their sigmoids. Each rewrite and its
inverse stand side by side; names say which was done, so that an artifact needs nothing else to undo it. Ternary
weights come back as the model uses them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from ...model.model import ModelTensor
from ..parts import PART, join_parts, split_bank, split_rows
from .hyperparameters import Hyperparameters
from .sizes import BLOCK, TABLE
from .traits import BANK_NAMES

SIGMOID, GATED = ".sigmoid", ".gated"
SKIP_GATES, SKIP_WEIGHTS = "skip_gates", "skip_weights"
FREQUENCIES = "rope.inv_freq"
NUMBERS = ("bigram.scale", "ve_shared.scale", "lane_merge")  # tensors without dimensions
POST_LAMBDAS, RESIDUAL_LAMBDAS = "parallel_post_lambdas", "parallel_resid_lambdas"
GATE_VECTORS = (SKIP_GATES, "smear.gate", "smeargate.gate")
TERNARY = re.compile(r"blocks\.\d{1,4}\.(attn\.c_qkv|attn\.proj|mlp\.fc|mlp\.proj)\.weight")
EIGHT_BIT = (TABLE, "embed_proj.weight", "embed_proj_rev.weight")
LEAST_SHARE = 2.0**-24  # of what a gate keeps or lets go: float32 has nothing between 1 and the share beside it
Arrays = dict[str, np.ndarray]


def rewrite(tensors: Mapping[str, np.ndarray], h: Hyperparameters) -> Arrays:
    """The tensors that a program may read, by its names, float32."""
    values = _as_used(tensors, h)
    for name in BANK_NAMES:
        if name in values:
            values |= split_bank(name, values.pop(name))
    for name in [name for name in values if name.endswith("attn.c_qkv.weight")]:
        values |= split_rows(name, values.pop(name), [h.model_dim, h.key_dim, h.key_dim])
    for name in NUMBERS:
        if name in values:
            values[name] = values[name].reshape(1)
    for name in (POST_LAMBDAS, RESIDUAL_LAMBDAS):
        if name in values:
            values[name] = np.ascontiguousarray(values[name].reshape(-1, 1))
    for name in GATE_VECTORS:
        if name in values:
            values[name + SIGMOID] = _sigmoid(values.pop(name))
    if SKIP_GATES + SIGMOID in values:
        values[SKIP_WEIGHTS + GATED] = values.pop(SKIP_WEIGHTS) * (1 - values[SKIP_GATES + SIGMOID])
    if h.rope_type == "yarn":
        values[FREQUENCIES] = yarn_frequencies(h)
    return values


def restore(tensors: Sequence[ModelTensor]) -> list[ModelTensor]:
    """The inverse of `rewrite`. Weights that the program does not read come back as zeros."""
    read = {tensor.name: tensor for tensor in tensors if tensor.name != FREQUENCIES}
    whole = {tensor.name: tensor for tensor in join_parts([*read.values(), *_unread_of_banks(read)])}
    kept = whole.get(SKIP_GATES + SIGMOID)
    restored = [_restored(tensor, kept) for tensor in whole.values()]
    return restored + _unread_of_blocks(restored)


def _restored(tensor: ModelTensor, kept: ModelTensor | None) -> ModelTensor:
    name, values = tensor.name, tensor.values
    if name.endswith(SIGMOID):
        name, values = name.removesuffix(SIGMOID), _logit(values)
    elif name == SKIP_WEIGHTS + GATED and kept is not None:
        name, values = SKIP_WEIGHTS, (values / (1 - _shares(kept.values))).astype(np.float32)
    elif name in NUMBERS:
        values = values.reshape(())
    elif name == POST_LAMBDAS:
        values = values.reshape(-1, 2, 2)
    elif name == RESIDUAL_LAMBDAS:
        values = values.reshape(-1, 2)
    return ModelTensor(name, values, tensor.dtype)


def _unread_of_banks(read: Mapping[str, ModelTensor]) -> list[ModelTensor]:
    """Matrices of banks that the program does not read, below the last one that it does."""
    parts: dict[str, dict[int, ModelTensor]] = {}
    for tensor in read.values():
        match = PART.fullmatch(tensor.name)
        if match and match["whole"] in BANK_NAMES:
            parts.setdefault(match["whole"], {})[int(match["start"])] = tensor
    return [
        ModelTensor(f"{bank}[{index}]", np.zeros_like(like.values), like.dtype)
        for bank, found in parts.items()
        for like in [next(iter(found.values()))]
        for index in range(max(found))
        if index not in found
    ]


def _unread_of_blocks(restored: Sequence[ModelTensor]) -> list[ModelTensor]:
    """Tensors of a block that the program does not read, below the last block that has such: of an attention that
    is left out.
    """
    found: dict[str, dict[int, ModelTensor]] = {}
    for tensor in restored:
        match = BLOCK.fullmatch(tensor.name)
        if match:
            found.setdefault(match[2], {})[int(match[1])] = tensor
    return [
        ModelTensor(f"blocks.{block}.{suffix}", np.zeros_like(like.values), like.dtype)
        for suffix, blocks in found.items()
        for like in [next(iter(blocks.values()))]
        for block in range(max(blocks))
        if block not in blocks
    ]


def yarn_frequencies(h: Hyperparameters) -> np.ndarray:
    """Inverse frequencies by which the ternary script rotates, float32 [rotary_dims / 2]: low ones are slowed down.

    Source: YaRN (arXiv:2309.00071) with a ramp over the dimensions, as the script has it.
    """
    dimension = np.arange(0, h.rotary_dims, 2) / h.rotary_dims
    ramp = np.clip((dimension - 0.25) / 0.75, 0, 1)
    slower = ramp * (h.yarn_max_len / h.rope_train_seq_len - 1) + 1
    return (h.rope_base**-dimension / slower).astype(np.float32)


def _as_used(tensors: Mapping[str, np.ndarray], h: Hyperparameters) -> Arrays:
    """The weights as the script's layers use them: ternary ones and eight-bit tables rounded."""
    values = dict(tensors)
    for name in tensors:
        if h.bitnet_group_size and TERNARY.fullmatch(name):
            values[name] = ternary(tensors[name], h.bitnet_group_size)
        if h.fp_storage == "fp8" and name in EIGHT_BIT:
            values[name] = eight_bit(tensors[name])
    return values


def ternary(values: np.ndarray, group: int) -> np.ndarray:
    """-1, 0 or 1 times the mean magnitude of each group of consecutive weights, in bfloat16 as the script computes it.

    float32 of the same shape; `group` divides the number of weights.
    """
    import torch

    weights = torch.from_numpy(np.ascontiguousarray(values)).bfloat16()
    grouped = weights.reshape(-1, group)
    scale = grouped.abs().mean(-1, keepdim=True).clamp(min=1e-8)
    rounded = ((grouped / scale).round().clamp(-1, 1) * scale).reshape(weights.shape)
    return (weights + (rounded - weights)).float().numpy()  # the sum is not `rounded`: bfloat16 rounds it


def eight_bit(values: np.ndarray) -> np.ndarray:
    """Rounded to float8 (4 bits of exponent, 3 of mantissa), float32."""
    import torch

    return torch.from_numpy(np.ascontiguousarray(values)).to(torch.float8_e4m3fn).float().numpy()


def _sigmoid(values: np.ndarray) -> np.ndarray:
    return (1 / (1 + np.exp(-values.astype(np.float64)))).astype(np.float32)


def _shares(values: np.ndarray) -> np.ndarray:
    """float64 within (0, 1); quantization may have put a share beyond."""
    return np.clip(values.astype(np.float64), LEAST_SHARE, 1 - LEAST_SHARE)


def _logit(values: np.ndarray) -> np.ndarray:
    shares = _shares(values)
    return np.log(shares / (1 - shares)).astype(np.float32)
