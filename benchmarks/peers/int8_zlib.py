"""The challenge's baseline: int8 with a step a row, torch.save, zlib level 9 (final_model.int8.ptz).

Strategy: as published. The row's step is its 0.9999984 quantile of magnitudes over 127, at least 1/127; codes are made
with the float32 step and decoded with its float16 rounding. Small tensors pass through in float16, control tensors in
float32. Decoding is the compiler's own reader of this format.
"""

from __future__ import annotations

import io
import zlib
from pathlib import Path

import torch
from torch import Tensor

from bytecap.compiler.checkpoints.compressed import decompress
from bytecap.compiler.checkpoints.int8_checkpoint import FORMAT_KEY, FORMAT_NAME, restore_int8_state

from .peer import PUBLISHED_PASSTHROUGH_ELEMENTS, Peer, StateDict, is_control

CLIP_QUANTILE = 0.9999984
LEVELS = 127
TABLES = ("quantized", "scales", "dtypes", "passthrough")
OPTIONAL_TABLES = ("qmeta", "passthrough_orig_dtypes")


def compress(
    state_dict: StateDict, hessians: object = None, *, passthrough_elements: int = PUBLISHED_PASSTHROUGH_ELEMENTS
) -> tuple[bytes, dict[str, Tensor]]:
    """The file's bytes and what the published loader makes of them; `hessians` are not used."""
    content = {FORMAT_KEY: FORMAT_NAME, **{key: {} for key in (*TABLES, *OPTIONAL_TABLES)}}
    for name, tensor in state_dict.items():
        dtype = str(tensor.dtype).removeprefix("torch.")
        if tensor.numel() > passthrough_elements:
            content["quantized"][name], content["scales"][name] = quantize_int8(tensor)
            content["dtypes"][name] = dtype
            if tensor.ndim == 2:
                content["qmeta"][name] = {"scheme": "per_row", "axis": 0}
        elif is_control(name):
            content["passthrough"][name] = tensor.float().contiguous()
        else:
            content["passthrough"][name] = tensor.half().contiguous()
            content["passthrough_orig_dtypes"][name] = dtype
    buffer = io.BytesIO()
    torch.save({key: part for key, part in content.items() if part or key not in OPTIONAL_TABLES}, buffer)
    data = zlib.compress(buffer.getvalue(), 9)
    return data, decode(data)


def quantize_int8(tensor: Tensor) -> tuple[Tensor, Tensor]:
    """int8 codes and their scales: float16 [rows] of a matrix, one float32 of anything else."""
    values = tensor.float()
    if values.ndim != 2:
        clip = values.abs().flatten().quantile(CLIP_QUANTILE)
        scale = (clip / LEVELS).clamp_min(1 / LEVELS)
        return (values.clamp(-clip, clip) / scale).round().clamp(-LEVELS, LEVELS).to(torch.int8), scale
    clip = values.abs().quantile(CLIP_QUANTILE, dim=1)[:, None]
    scale = (clip / LEVELS).clamp_min(1 / LEVELS)
    codes = (values.clamp(-clip, clip) / scale).round().clamp(-LEVELS, LEVELS).to(torch.int8)
    return codes, scale[:, 0].half()


def decode(data: bytes) -> dict[str, Tensor]:
    """float32 tensors of a file's bytes."""
    path = Path("final_model.int8.ptz")
    content = torch.load(io.BytesIO(decompress(data, path, "zlib")), weights_only=True)
    return {name: tensor.float() for name, tensor in restore_int8_state(content, path).items()}


PEERS = (Peer("int8-zlib", compress, ({},), published=0, needs_hessians=False),)
