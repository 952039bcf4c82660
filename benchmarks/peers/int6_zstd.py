"""The challenge's middle period: int6 with the row's maximum as its range, torch.save, zstd level 22
(pull request 162).

Strategy: as published. Attention and MLP matrices get a float16 step of max/31 a row and codes -32..31, one a byte; the
embedding and the last layer's key projection stay float16, as do tensors up to the passthrough size; control tensors
are float32; other large tensors follow the int8 rule of the baseline.
"""

from __future__ import annotations

import io
import re

import torch
import zstandard
from torch import Tensor

from .int8_zlib import quantize_int8
from .peer import PUBLISHED_PASSTHROUGH_ELEMENTS, Peer, StateDict, is_control

LEAST_SCALE = 1e-12
HIGHEST_CODE = 31
LEVEL = 22


def compress(
    state_dict: StateDict, hessians: object = None, *, passthrough_elements: int = PUBLISHED_PASSTHROUGH_ELEMENTS
) -> tuple[bytes, dict[str, Tensor]]:
    """The file's bytes and the tensors they decode to; `hessians` are not used."""
    last_keys = f"blocks.{_last_layer(state_dict)}.attn.c_k.weight"
    tensors: dict[str, Tensor] = {}
    kinds: dict[str, str] = {}
    for name, tensor in state_dict.items():
        if is_control(name):
            tensors[name], kinds[name] = tensor.float().contiguous(), "float32"
        elif name in ("tok_emb.weight", last_keys) or tensor.numel() <= passthrough_elements:
            tensors[name], kinds[name] = tensor.half().contiguous(), "float16"
        elif ".attn." in name or ".mlp." in name:
            tensors[f"{name}.q"], tensors[f"{name}.scale"] = quantize_int6(tensor)
            kinds[name] = "int6"
        else:
            tensors[f"{name}.q"], tensors[f"{name}.scale"] = quantize_int8(tensor)
            kinds[name] = "int8"
    buffer = io.BytesIO()
    torch.save({"w": tensors, "m": kinds}, buffer)
    data = zstandard.ZstdCompressor(level=LEVEL).compress(buffer.getvalue())
    return data, decode(data)


def _last_layer(state_dict: StateDict) -> int:
    return max(int(match[1]) for name in state_dict if (match := re.match(r"blocks\.(\d+)\.", name)))


def quantize_int6(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """int8 codes -32..31 [rows, columns] and float16 scales [rows]."""
    values = matrix.float()
    scale = (values.abs().amax(1) / HIGHEST_CODE).clamp_min(LEAST_SCALE).half()
    codes = (values / scale.float()[:, None]).round().clamp(-HIGHEST_CODE - 1, HIGHEST_CODE)
    return codes.to(torch.int8), scale


def decode(data: bytes) -> dict[str, Tensor]:
    """float32 tensors of a file's bytes."""
    content = torch.load(io.BytesIO(zstandard.ZstdDecompressor().decompress(data)), weights_only=True)
    return {name: dequantize(content["w"], name, kind) for name, kind in content["m"].items()}


def dequantize(tensors: StateDict, name: str, kind: str) -> Tensor:
    """One float32 tensor: kept as it is ("float16", "float32"), or codes times scales."""
    if kind.startswith("float"):
        return tensors[name].float()
    scale = tensors[f"{name}.scale"].float()
    return tensors[f"{name}.q"].float() * (scale[:, None] if scale.ndim else scale)


PEERS = (Peer("int6-zstd", compress, ({},), published=0, needs_hessians=False),)
