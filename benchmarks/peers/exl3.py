"""EXL3, the format of exllamav3 (commit 4f8ad01): QTIP's trellis at whole bits a weight, behind Hadamard transforms.

Strategy: exllamav3 quantizes on NVIDIA's GPUs alone, so its steps are written here again from what its quantizer does,
for the processor: second moments with 2.5 % of their mean added; signs and Hadamard blocks on both sides; scales of
inputs, and of outputs unless a fiftieth of the inputs holds 15 % of the amplitude; one more scale a matrix, searched
for on a diagonal of tiles; LDL feedback from the last 16 inputs to the first, and the trellis (bitshift_trellis.py) in
tiles of 16 x 16 with the codebook "mcg". Scales are float16, as in its files. Departures: costs are float32 instead of
float16; the weights of a tile stand in the order of its rows, not of a GPU's registers; blocks of Hadamard transforms
are those powers of two that divide narrow matrices. It leaves embeddings in 16 bits and gives the head bits of its own;
here the table, which is both, is quantized like a head.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bytecap.format.parallel import usable_cores

from .bitshift_trellis import pack_rings, search_rings, unpack_rings
from .general_codec import decode_head, encode_head
from .peer import PUBLISHED_PASSTHROUGH_ELEMENTS, Peer, StateDict, UnsuitableModel, is_control

EMBEDDING = "tok_emb.weight"
BITS = 16  # of a window
MULTIPLIER = 0xCBAC1FED  # of the codebook "mcg"
CODEBOOK_SCALE = 1.24371088
TILE, LARGEST_BLOCK = 16, 128
DAMPING = 0.025
SKEWED = 0.15, 50  # amplitude of one of so many inputs from where outputs get no scales
SAMPLE_WIDTH = 3  # tiles of each row or column of tiles that the scale of a matrix is searched on
COARSE, FINE_STEP = tuple(0.1 + 0.2 * i for i in range(10)), 0.075
SEED = 787
SETTINGS = ((4, 6), (3, 6), (3, 5), (3, 4), (2, 4))


def codebook() -> np.ndarray:
    """float32[2**16]: two float16 numbers out of the bits of each window times a constant, added."""
    bits = np.arange(1 << BITS, dtype=np.uint32) * np.uint32(MULTIPLIER)
    halves = ((bits & np.uint32(0x8FFF8FFF)) ^ np.uint32(0x3B603B60)).view(np.float16).reshape(-1, 2)
    return (halves[:, 0] + halves[:, 1]).astype(np.float32)


CODEBOOK = codebook()


@dataclass(frozen=True)
class Quantized:
    """A matrix [outputs, inputs]: uint16 windows [tiles, 256], tiles by inputs, then outputs, and float16 scales."""

    windows: np.ndarray
    inputs: Tensor
    outputs: Tensor


def hadamard(x: Tensor) -> Tensor:
    """The columns of [n, m] in blocks, each block times an orthonormal Hadamard matrix; its own inverse."""
    block = math.gcd(x.shape[0], LARGEST_BLOCK)
    matrix = torch.ones(1, 1)
    while len(matrix) < block:
        matrix = torch.cat([torch.cat([matrix, matrix], 1), torch.cat([matrix, -matrix], 1)])
    return (matrix / math.sqrt(block) @ x.reshape(-1, block, x.shape[1])).reshape(x.shape)


def quantize(matrix: Tensor, hessian: Tensor, rate: int) -> Quantized:
    """A matrix [outputs, inputs] with the second moment of its inputs at so many bits a weight."""
    if any(size % TILE for size in matrix.shape):
        raise UnsuitableModel(f"EXL3 has tiles of {TILE} x {TILE}, which {tuple(matrix.shape)} is no multiple of")
    random = torch.Generator().manual_seed(SEED)
    signs_in, signs_out = (torch.randint(2, (n, 1), generator=random) * 2.0 - 1 for n in reversed(matrix.shape))
    hessian = hessian.float() + DAMPING * hessian.diagonal().mean().float() * torch.eye(len(hessian))
    factor = _block_factor(hadamard(hadamard(hessian * signs_in * signs_in.T).T).T)
    weights, outputs = matrix.float().T, signs_out.T
    if not _is_skewed(hessian.diagonal()):
        amplitudes = _rms(weights, 0)
        outputs = outputs * amplitudes / amplitudes.mean().clamp_min(1e-30) + 1e-10
    weights = hadamard((weights / outputs).T).T
    inputs = signs_in * _rms(weights, 1).clamp_min(1e-30) / -CODEBOOK_SCALE
    weights = hadamard(weights / inputs)
    scale = _best_scale(weights, rate)
    windows = _quantize_rows(weights * scale, factor, rate)
    return Quantized(windows, (inputs / scale).half().flatten(), outputs.half().flatten())


def dequantize(quantized: Quantized) -> Tensor:
    """float32 [outputs, inputs]."""
    inputs, outputs = len(quantized.inputs), len(quantized.outputs)
    tiles = CODEBOOK[quantized.windows].reshape(inputs // TILE, outputs // TILE, TILE, TILE)
    weights = torch.from_numpy(tiles.transpose(0, 2, 1, 3).reshape(inputs, outputs).copy())
    return hadamard((hadamard(weights) * quantized.inputs.float()[:, None]).T) * quantized.outputs.float()[:, None]


def _rms(weights: Tensor, axis: int) -> Tensor:
    return weights.square().mean(axis, keepdim=True).sqrt()


def _is_skewed(diagonal: Tensor) -> bool:
    """Whether few inputs hold much of the amplitude."""
    limit, parts = SKEWED
    amplitudes = diagonal.sqrt().sort(descending=True).values
    return bool(amplitudes[: len(amplitudes) // parts].sum() / amplitudes.sum() >= limit)


def _block_factor(hessian: Tensor) -> Tensor:
    """L without its diagonal: H = L D Lᵀ with identities of TILE rows on the diagonal of L, [inputs, inputs]."""
    lower = torch.linalg.cholesky(hessian.double())
    for start in range(0, len(lower), TILE):
        part = slice(start, start + TILE)
        lower[:, part] = lower[:, part] @ torch.linalg.inv(lower[part, part])
    return (lower - torch.eye(len(lower), dtype=lower.dtype)).float()


def _quantize_rows(weights: Tensor, factor: Tensor, rate: int) -> np.ndarray:
    """Windows of weights [inputs, outputs], 16 inputs at a time from the last on, errors fed back by the factor."""
    inputs, outputs = weights.shape
    windows = np.empty((inputs // TILE, outputs // TILE, TILE * TILE), np.uint16)
    errors = torch.zeros_like(weights)
    for start in range(inputs - TILE, -1, -TILE):
        later = slice(start + TILE, None)
        rows = weights[start : start + TILE] + factor[later, start : start + TILE].T @ errors[later]
        tiles = rows.reshape(TILE, -1, TILE).transpose(0, 1).reshape(-1, TILE * TILE)
        windows[start // TILE] = _search(tiles.numpy(), rate)
        found = torch.from_numpy(CODEBOOK[windows[start // TILE]]).reshape(-1, TILE, TILE).transpose(0, 1)
        errors[start : start + TILE] = weights[start : start + TILE] - found.reshape(TILE, outputs)
    return windows.reshape(-1, TILE * TILE)


def _search(tiles: np.ndarray, rate: int) -> np.ndarray:
    """`search_rings` on all cores."""
    parts = np.array_split(tiles, usable_cores())
    with ThreadPoolExecutor(len(parts)) as pool:
        return np.concatenate(list(pool.map(lambda part: search_rings(part, CODEBOOK, rate), parts)))


def _best_scale(weights: Tensor, rate: int) -> float:
    """The factor by which a sample of tiles is quantized best: a coarse grid, a fine one about it, and a parabola."""
    sample = _sample_tiles(weights)

    def error(scale: float, tiles: np.ndarray) -> float:
        found = CODEBOOK[_search(tiles * np.float32(scale), rate)] / scale
        return float(np.square(found - tiles).mean())

    centre = min(COARSE, key=lambda scale: error(scale, sample[::3]))
    fine = [centre + FINE_STEP * (i - 2) for i in range(5)]
    errors = [error(scale, sample) for scale in fine]
    best = int(np.argmin(errors))
    if not 0 < best < 4:
        return max(fine[best], 0.01)
    before, here, after = errors[best - 1 : best + 2]
    bend = before - 2 * here + after
    offset = 0.5 * (before - after) / bend if bend > 0 else 0.0
    return max(fine[best] + min(max(offset, -0.5), 0.5) * FINE_STEP, 0.01)


def _sample_tiles(weights: Tensor) -> np.ndarray:
    """float32[n, 256]: a diagonal of tiles that wraps around, and those of the largest and the smallest amplitude."""
    inputs, outputs = (size // TILE for size in weights.shape)
    tiles = weights.reshape(inputs, TILE, outputs, TILE).transpose(1, 2).reshape(inputs * outputs, -1).numpy()
    along = np.repeat(np.arange(max(inputs, outputs)), SAMPLE_WIDTH)
    beside = np.tile(np.arange(SAMPLE_WIDTH), max(inputs, outputs))
    diagonal = along % inputs * outputs + (along + beside) % outputs
    order = np.argsort(np.square(tiles).mean(1), kind="stable")
    extremes = min(max(8, len(along) // 16), (len(tiles) + 1) // 2)
    return tiles[np.unique(np.concatenate([diagonal, order[-extremes:], order[:extremes]]))]


def compress(
    state_dict: StateDict,
    hessians: Mapping[str, Tensor],
    *,
    bits: int,
    embedding_bits: int,
    passthrough_elements: int = PUBLISHED_PASSTHROUGH_ELEMENTS,
) -> tuple[bytes, dict[str, Tensor]]:
    """The file's bytes and the tensors they decode to."""
    tensors: dict[str, Tensor] = {}
    rings, rates = [], {}
    for name, tensor in state_dict.items():
        if is_control(name) or tensor.numel() <= passthrough_elements:
            tensors[name] = tensor.half().contiguous()
            continue
        rates[name] = embedding_bits if name == EMBEDDING else bits
        quantized = quantize(tensor, hessians[name], rates[name])
        tensors |= {f"{name}.inputs": quantized.inputs, f"{name}.outputs": quantized.outputs}
        rings.append(pack_rings(quantized.windows, rates[name]))
    buffer = io.BytesIO()
    torch.save(
        {"r": rates, "s": {name: list(tensor.shape) for name, tensor in state_dict.items()}, "w": tensors}, buffer
    )
    data = encode_head(buffer.getvalue()) + b"".join(rings)
    return data, decode(data)


def decode(data: bytes) -> dict[str, Tensor]:
    """float32 tensors of a file's bytes."""
    head, place = decode_head(data)
    content: dict[str, Any] = torch.load(io.BytesIO(head), weights_only=True)
    tensors, decoded = content["w"], {}
    for name, shape in content["s"].items():
        if name in tensors:
            decoded[name] = tensors[name].float()
            continue
        rate, size = content["r"][name], math.prod(shape)
        length = size * rate // 8
        windows = unpack_rings(data[place : place + length], size // TILE**2, TILE**2, BITS, rate)
        place += length
        decoded[name] = dequantize(Quantized(windows, tensors[f"{name}.inputs"], tensors[f"{name}.outputs"]))
    return decoded


PEERS = (
    Peer(
        "exl3",
        compress,
        tuple({"bits": bits, "embedding_bits": embedding_bits} for bits, embedding_bits in SETTINGS),
        published=None,
        needs_hessians=True,
    ),
)
