"""SDClip: GPTQ with steps of k standard deviations a row, torch.save, byte shuffle, brotli 11 (pull request 1394).

Strategy: as published. A row's step is k * std / (2**(bits - 1) - 1), float16, so that k alone sets the
ratio of step to weight: 12.85 at 6 bits for the matrices, 20 at 8 bits for the embedding, which is
quantized as the head it is tied to. Everything up to the passthrough size is float16. Departure in the
peer's favour: codes are stored column by column, which brotli packs 2 % smaller than the published row
order. Sweeping k sweeps the embedding's k with it, in the published ratio, unless it is given;
"sdclip-tuned" is the same pipeline by somebody who sweeps both, which pays where a model's embedding is
more sensitive than the published one's.
"""

from __future__ import annotations

import io
from collections.abc import Mapping

import brotli
import torch
from torch import Tensor

from .gptq import quantize_gptq
from .int6_zstd import dequantize
from .peer import PUBLISHED_PASSTHROUGH_ELEMENTS, Peer, StateDict, is_control

MATRIX_BITS, EMBEDDING_BITS = 6, 8
PUBLISHED_MATRIX_K, PUBLISHED_EMBEDDING_K = 12.85, 20.0
LEAST_SCALE = 1e-10
SHUFFLE_MAGIC = b"BSHF"
SHUFFLE_STRIDE = 2
EMBEDDING_RATIO = PUBLISHED_EMBEDDING_K / PUBLISHED_MATRIX_K
TUNED = ((6, 5), (8, 5), (10, 5), (10, 7), (12.85, 5), (12.85, 7), (16, 7), (16, 10), (20, 7), (24, 10))
SWEPT_K = (4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.5, PUBLISHED_MATRIX_K, 16.0, 20.0)


def compress(
    state_dict: StateDict,
    hessians: Mapping[str, Tensor],
    *,
    k: float = PUBLISHED_MATRIX_K,
    embedding_k: float | None = None,
    passthrough_elements: int = PUBLISHED_PASSTHROUGH_ELEMENTS,
) -> tuple[bytes, dict[str, Tensor]]:
    """The file's bytes and the tensors they decode to."""
    tensors: dict[str, Tensor] = {}
    kinds: dict[str, str] = {}
    for name, tensor in state_dict.items():
        if is_control(name) or tensor.numel() <= passthrough_elements:
            tensors[name], kinds[name] = tensor.half().contiguous(), "float16"
            continue
        bits, deviations = (
            (EMBEDDING_BITS, embedding_k or k * EMBEDDING_RATIO) if name == "tok_emb.weight" else (MATRIX_BITS, k)
        )
        highest_code = 2 ** (bits - 1) - 1
        scale = row_scales(tensor, deviations, highest_code)
        codes = quantize_gptq(tensor, hessians[name], scale, highest_code)
        tensors[f"{name}.q"], tensors[f"{name}.scale"] = codes.T.contiguous(), scale
        kinds[name] = f"gptq (int{bits})"
    buffer = io.BytesIO()
    torch.save({"w": tensors, "m": kinds}, buffer)
    data = brotli.compress(shuffle_bytes(buffer.getvalue()), quality=11)
    return data, decode(data)


def row_scales(weight: Tensor, deviations: float, highest_code: int) -> Tensor:
    """float16 steps [rows]: `deviations` standard deviations (of n - 1) over the highest code."""
    return (deviations * weight.float().std(1) / highest_code).clamp_min(LEAST_SCALE).half()


def shuffle_bytes(data: bytes) -> bytes:
    """Bytes at even places, then those at odd places, behind a magic and the stride."""
    return (
        SHUFFLE_MAGIC
        + bytes([SHUFFLE_STRIDE])
        + b"".join(data[place::SHUFFLE_STRIDE] for place in range(SHUFFLE_STRIDE))
    )


def unshuffle_bytes(data: bytes) -> bytes:
    """Inverse of `shuffle_bytes`."""
    stride, body = data[len(SHUFFLE_MAGIC)], data[len(SHUFFLE_MAGIC) + 1 :]
    result, start = bytearray(len(body)), 0
    for place in range(stride):
        count = len(range(place, len(body), stride))
        result[place::stride] = body[start : start + count]
        start += count
    return bytes(result)


def decode(data: bytes) -> dict[str, Tensor]:
    """float32 tensors of a file's bytes."""
    content = torch.load(io.BytesIO(unshuffle_bytes(brotli.decompress(data))), weights_only=True)
    tensors = {name: tensor.T if name.endswith(".q") else tensor for name, tensor in content["w"].items()}
    return {name: dequantize(tensors, name, kind).contiguous() for name, kind in content["m"].items()}


PEERS = (
    Peer(
        "sdclip",
        compress,
        tuple({"k": k} for k in SWEPT_K),
        published=SWEPT_K.index(PUBLISHED_MATRIX_K),
        needs_hessians=True,
    ),
    Peer(
        "sdclip-tuned",
        compress,
        tuple({"k": k, "embedding_k": e} for k, e in TUNED),
        published=None,
        needs_hessians=True,
    ),
)
