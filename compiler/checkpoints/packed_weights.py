"""Weights that a file stores in few bits beside their scales: decoded where the file says how, else named.

Strategy: by the names and types that stand together. 8-bit floats and int8 with a scale a tensor, a row or a block;
MLX's groups of 2 to 8 bits in uint32 words. What other programs pack in layouts of their own (GPTQ, AWQ, bitsandbytes)
is named, with the way out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import CheckpointError
from ...files.listing import counted, listed
from .stored import FLOAT8, Stored

SCALED_TYPES = (*FLOAT8, "int8")
SCALE_ENDINGS = ("_scale", "_scale_inv", ".scale", ".weight_scale")
OF_A_MODULE = {".weight": ".scales", "._data": "._scale"}  # gpt-fast and quanto: what ends so, and the scale beside it
OF_ACTIVATIONS = (".input_scale", ".k_scale", ".v_scale", ".output_scale", ".activation_scale")
BLOCK = 128  # rows and columns of a block, unless they divide another way
WORD_BITS = 32
MLX_BITS = (2, 3, 4, 5, 6, 8)
FOREIGN = {  # ending of a name, and who packs so
    ".qweight": "GPTQ or AWQ",
    ".quant_state.bitsandbytes__nf4": "bitsandbytes",
    ".quant_state.bitsandbytes__fp4": "bitsandbytes",
    ".weight_packed": "compressed-tensors",
    ".codebooks": "AQLM",
    ".SCB": "bitsandbytes (LLM.int8)",
    "_blocks": "MXFP4",
}


@dataclass(frozen=True, slots=True, eq=False)
class Unpacked:
    """tensors : with the packed ones decoded and their scales gone;  notes : what was decoded, in words"""

    tensors: dict[str, Stored]
    notes: tuple[str, ...]


def unpack_weights(tensors: Mapping[str, Stored], configuration: Mapping[str, Any], path: Path) -> Unpacked:
    """Decode what is packed; `configuration` may say how (MLX's `quantization`).

    Raises CheckpointError for layouts that are not known here and for scales that do not fit.
    """
    for ending, packer in FOREIGN.items():
        found = [name for name in tensors if name.endswith(ending)]
        if found:
            raise CheckpointError(
                f"{path} holds weights that {packer} packed in few bits ({listed(found, 2)}); give the model before "
                "that, or dequantize it with the library that made it"
            )
    plain, mlx = _without_mlx(tensors, configuration, path)
    plain, scaled = _without_scales(plain, path)
    return Unpacked(plain, (*mlx, *scaled))


def _without_scales(tensors: Mapping[str, Stored], path: Path) -> tuple[dict[str, Stored], tuple[str, ...]]:
    """8-bit weights times their scales."""
    found = dict(tensors)
    scaled: dict[str, list[str]] = {}
    for name, tensor in tensors.items():
        if tensor.dtype not in SCALED_TYPES or tensor.values is None:
            continue
        scale = next((each for each in _scale_names(name) if each in tensors), None)
        if scale is None and tensor.dtype == "int8":
            continue
        values = tensor.values.astype(np.float32, copy=False)
        if scale is not None:
            values = _times(values, found.pop(scale), name, scale, path)
        found[name] = Stored(values, "float32")
        if scale == name.removesuffix("._data") + "._scale":
            found = {key.removesuffix("._data") if key == name else key: each for key, each in found.items()}
        scaled.setdefault(f"{tensor.dtype} {'times their scales' if scale else 'without scales'}", []).append(name)
    if not scaled:
        return found, ()
    unused = [name for name in found if name.endswith(OF_ACTIVATIONS)]
    notes = [f"{counted(len(names))} of {kind}" for kind, names in scaled.items()]
    if unused:
        found = {name: tensor for name, tensor in found.items() if name not in unused}
        notes.append(f"left out, scales of activations: {listed(unused)}")
    return found, tuple(notes)


def _scale_names(name: str) -> Iterator[str]:
    """What the scale of a tensor may be called."""
    yield from (f"{name}{ending}" for ending in SCALE_ENDINGS)
    yield from (name.removesuffix(end) + scale for end, scale in OF_A_MODULE.items() if name.endswith(end))


def _times(values: np.ndarray, scale: Stored, name: str, scale_name: str, path: Path) -> np.ndarray:
    """`values` times a scale for all, for every row, or for every block of a matrix."""
    factors = scale.values
    if factors is None or not np.issubdtype(factors.dtype, np.floating):
        raise CheckpointError(f"{path}: {scale_name!r} is of type {scale.dtype}, not a scale")
    if factors.size == 1:
        return values * factors.reshape(())
    if values.ndim and factors.size == len(values) and factors.shape[:1] == values.shape[:1]:
        return values * factors.reshape(-1, *(1 for _ in values.shape[1:]))
    if values.ndim == factors.ndim == 2:
        edges = [_block_edge(n, count) for n, count in zip(values.shape, factors.shape, strict=True)]
        if all(edges):
            rows, columns = (np.arange(n) // edge for n, edge in zip(values.shape, edges, strict=True))
            return values * factors[rows][:, columns]
    raise CheckpointError(
        f"{path}: the {list(factors.shape)} scales of {name!r} do not fit its shape {list(values.shape)}"
    )


def _block_edge(length: int, blocks: int) -> int:
    """Numbers along one edge of a block; 0 where they do not fit."""
    if blocks and -(-length // BLOCK) == blocks:
        return BLOCK
    return length // blocks if blocks and length % blocks == 0 else 0


def _without_mlx(
    tensors: Mapping[str, Stored], configuration: Mapping[str, Any], path: Path
) -> tuple[dict[str, Stored], tuple[str, ...]]:
    """MLX's groups: an unsigned number of `bits` times the group's scale plus its bias."""
    modules = [
        name.removesuffix(".weight")
        for name, tensor in tensors.items()
        if tensor.dtype == "uint32" and name.endswith(".weight") and f"{name.removesuffix('.weight')}.scales" in tensors
    ]
    if not modules:
        return dict(tensors), ()
    how = configuration.get("quantization")
    if not isinstance(how, Mapping):
        raise CheckpointError(
            f"{path} holds weights that MLX packed; put the config.json with its `quantization` beside it"
        )
    found, decoded = dict(tensors), Counter[int]()
    for module in modules:
        own = how.get(module)
        group = (own if isinstance(own, Mapping) else how).get("group_size", how.get("group_size"))
        parts = [found.pop(f"{module}.{part}", None) for part in ("weight", "scales", "biases")]
        values, bits = _mlx_matrix(parts, group, module, path)
        found[f"{module}.weight"] = Stored(values, "float32")
        decoded[bits] += 1
    return found, tuple(f"{counted(count)} of MLX's {bits} bits decoded to float32" for bits, count in decoded.items())


def _mlx_matrix(parts: Sequence[Stored | None], group: object, module: str, path: Path) -> tuple[np.ndarray, int]:
    """float32 [rows, columns], and the bits of a number, which the shapes tell."""
    words, scales, biases = (None if part is None else part.values for part in parts)
    if words is None or scales is None or biases is None or words.ndim != 2 or scales.shape != biases.shape:
        raise CheckpointError(
            f"{path}: {module!r} has no weight, scales and biases that fit; MLX's affine mode alone is known"
        )
    columns = scales.shape[1] * group if isinstance(group, int) and scales.ndim == 2 else 0
    bits = words.shape[1] * WORD_BITS // columns if columns else 0
    if bits not in MLX_BITS or bits * columns != words.shape[1] * WORD_BITS or len(scales) != len(words):
        raise CheckpointError(f"{path}: the words of {module!r} are no groups of {group} numbers of 2 to 8 bits")
    values = np.empty((len(words), columns), np.float32)
    weights = (1 << np.arange(bits)).astype(np.uint8)
    for row, packed in enumerate(np.ascontiguousarray(words, "<u4")):
        stream = np.unpackbits(packed.view(np.uint8), bitorder="little").reshape(columns, bits)
        values[row] = stream @ weights
    grouped = values.reshape(len(words), -1, columns // scales.shape[1])
    grouped *= scales[:, :, None].astype(np.float32)
    grouped += biases[:, :, None].astype(np.float32)
    return values, bits
