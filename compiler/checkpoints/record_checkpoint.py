"""The quantized files of the public challenge's records: a table "w" of integers and scales, and "m" of what each is.

Strategy: only the format itself, on an already loaded dictionary. A matrix is int8 `NAME.q` times `NAME.scale`, one
scale or one a row (gates: `NAME.gq` and `NAME.gs`), plus a product of two narrow matrices where "m" says lqer (LQER,
arXiv:2402.02446); everything else passes through. The loader of the records rounds to the type that the tensor has in
its model, which the file does not say: values stay float32 products.
Source: dequantize_mixed and dequantize_mixed_int6 of openai/parameter-golf's records.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import CheckpointError
from .stored import check_element_count

if TYPE_CHECKING:
    import torch

TABLES = ("w", "m")
PASSED = "passthrough"
PAIRS = ((".q", ".scale"), (".gq", ".gs"))


def is_record_state(content: Any) -> bool:
    """Whether a loaded file has the two tables and nothing else that could be a set of weights."""
    return isinstance(content, Mapping) and all(isinstance(content.get(key), Mapping) for key in TABLES)


def restore_record_state(content: Mapping[str, Any], path: Path) -> dict[str, torch.Tensor]:
    """The state_dict that the file stands for. CheckpointError for a part that is missing or does not fit."""
    import torch

    weights, kinds = (content[key] for key in TABLES)
    check_element_count(weights.values(), path)
    state: dict[str, torch.Tensor] = {}
    for name, kind in kinds.items():
        passed = weights.get(name)
        if isinstance(passed, torch.Tensor) and (PASSED in str(kind) or not isinstance(kind, Mapping)):
            state[name] = passed
            continue
        pair = next(((f"{name}{q}", f"{name}{s}") for q, s in PAIRS if f"{name}{q}" in weights), None)
        codes, scale = (weights.get(part) for part in pair) if pair else (None, None)
        if not isinstance(codes, torch.Tensor) or not isinstance(scale, torch.Tensor):
            raise CheckpointError(f"{path} lacks the codes or the scales of {name!r}; the file is damaged")
        if scale.numel() not in (1, len(codes) if codes.ndim else 1):
            raise CheckpointError(
                f"{path}: {list(scale.shape)} scales do not fit the codes of {name!r}, {list(codes.shape)}"
            )
        shape = () if scale.numel() == 1 else (len(codes), *(1 for _ in codes.shape[1:]))
        state[name] = codes.float() * scale.float().reshape(shape)
        if "lqer" in str(kind):
            state[name] = state[name] + _correction(weights, name, "_asym" in str(kind), path)
    if not state:
        raise CheckpointError(f"{path} holds no tensors")
    return state


def _correction(weights: Mapping[str, Any], name: str, asymmetric: bool, path: Path) -> torch.Tensor:
    """The product of two narrow matrices, each with a scale a row, or one for all of the first and one a group of
    the second.
    """
    import torch

    suffixes = ("lqA_a", "lqAs_a", "lqB_a", "lqBs_a") if asymmetric else ("lqA", "lqAs", "lqB", "lqBs")
    parts = [weights.get(f"{name}.{suffix}") for suffix in suffixes]
    if not all(isinstance(part, torch.Tensor) for part in parts):
        raise CheckpointError(f"{path} lacks a factor of the correction of {name!r}; the file is damaged")
    first, second = (_scaled(codes, scales) for codes, scales in (parts[:2], parts[2:]))
    if first is None or second is None or first.shape[1] != second.shape[0]:
        raise CheckpointError(f"{path}: the factors of the correction of {name!r} do not fit each other")
    return first @ second


def _scaled(codes: torch.Tensor, scales: torch.Tensor) -> torch.Tensor | None:
    """Codes [rows, columns] in as many equal groups as there are scales; None when they do not divide."""
    if codes.ndim != 2 or not scales.numel() or codes.numel() % scales.numel():
        return None
    return (codes.float().reshape(scales.numel(), -1) * scales.float().reshape(-1, 1)).reshape(codes.shape)
