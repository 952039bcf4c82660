"""HQQ 0.2.8, half-quadratic quantization: groups of 64 weights with a step and a zero each, without calibration.

Strategy: the package's own `Quantizer` makes the integers, steps and zeros of each matrix, in groups along its rows,
with its own proximal solver. Steps and zeros are float16, as its layers hold them. Departures in the peer's favour: its
files pack integers into bytes, while here they stand one a byte, column by column, under the best general compressor,
as steps and zeros do; "hqq-mixed" gives the embedding, which is the head too, more bits. The package is imported when
the peer runs, and needs nothing here beside torch and termcolor.
"""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .general_codec import decode_head, encode_head
from .integer_coders import CODERS
from .peer import PUBLISHED_PASSTHROUGH_ELEMENTS, Peer, StateDict, is_control

GROUP_SIZE = 64
EMBEDDING = "tok_emb.weight"
UNIFORM = (6, 5, 4, 3)
MIXED = ((5, 6), (4, 6), (4, 8), (3, 6))


def missing() -> str:
    """What has to be installed, empty when nothing."""
    found = all(importlib.util.find_spec(name) for name in ("hqq", "termcolor"))
    return "" if found else "hqq (pip install --no-deps --require-hashes -r requirements/bench-peers.txt)"


def compress(
    state_dict: StateDict,
    hessians: object = None,
    *,
    nbits: int,
    embedding_nbits: int | None = None,
    coder: str = "general",
    passthrough_elements: int = PUBLISHED_PASSTHROUGH_ELEMENTS,
) -> tuple[bytes, dict[str, Tensor]]:
    """The file's bytes and the tensors they decode to; `hessians` are not used, `coder` is one of CODERS."""
    tensors: dict[str, Tensor] = {}
    matrices: list[np.ndarray] = []
    for name, tensor in state_dict.items():
        if is_control(name) or tensor.numel() <= passthrough_elements:
            tensors[name] = tensor.half().contiguous()
            continue
        bits = embedding_nbits or nbits if name == EMBEDDING else nbits
        integers, tensors[f"{name}.scale"], tensors[f"{name}.zero"] = quantize(tensor, bits)
        matrices.append(integers.numpy())
    shapes = {name: list(tensor.shape) for name, tensor in state_dict.items()}
    data = encode_file(shapes, tensors, matrices, coder)
    return data, decode(data, coder)


def quantize(matrix: Tensor, nbits: int) -> tuple[Tensor, Tensor, Tensor]:
    """uint8 integers [rows, columns], float16 steps and zeros [groups, 1], groups in row order."""
    from hqq.core.quantize import Quantizer

    codes, meta = Quantizer.quantize(
        matrix.float(), nbits=nbits, group_size=GROUP_SIZE, axis=1, bitpack=False, device="cpu"
    )
    return codes.reshape(matrix.shape).to(torch.uint8), meta["scale"].half(), meta["zero"].half()


def encode_file(
    shapes: dict[str, list[int]], tensors: dict[str, Tensor], matrices: Sequence[np.ndarray], coder: str
) -> bytes:
    """u32 length of what torch.save makes of shapes and small tensors, that, and the integers of the others.

    Integers wait in the order of their shapes; those of a coder stand behind one another.
    """
    buffer = io.BytesIO()
    torch.save({"s": shapes, "w": tensors}, buffer)
    return encode_head(buffer.getvalue()) + CODERS[coder].encode(matrices)


def decode(data: bytes, coder: str) -> dict[str, Tensor]:
    """float32 tensors of a file's bytes."""
    head, end = decode_head(data)
    content: dict[str, Any] = torch.load(io.BytesIO(head), weights_only=True)
    tensors, shapes = content["w"], content["s"]
    quantized = [name for name in shapes if name not in tensors]
    codes = dict(zip(quantized, CODERS[coder].decode(data[end:], [shapes[name] for name in quantized]), strict=True))
    decoded = {}
    for name, shape in shapes.items():
        if name in tensors:
            decoded[name] = tensors[name].float()
            continue
        groups = torch.from_numpy(codes[name]).float().reshape(-1, GROUP_SIZE) - tensors[f"{name}.zero"].float()
        decoded[name] = (groups * tensors[f"{name}.scale"].float()).reshape(shape)
    return decoded


PEERS = (
    Peer("hqq", compress, tuple({"nbits": n} for n in UNIFORM), published=None, needs_hessians=False, missing=missing),
    Peer(
        "hqq-mixed",
        compress,
        tuple({"nbits": n, "embedding_nbits": e} for n, e in MIXED),
        published=None,
        needs_hessians=False,
        missing=missing,
    ),
)
