"""The packed file of the public challenge's ternary record: by name, trits with a scale a group, or narrow floats.

Strategy: only the format itself, on an already loaded dictionary. Trits stand five a byte or as two bit masks. A scale
is the mean magnitude of its group before rounding; as the record's loader does, it is divided by the share of weights
that are not zero, so that the model's layers, which make their weights ternary themselves, come to the same. All
values are rounded to bfloat16, the type in which the record's model loads them.
Source: q_sd and deq_sd of openai/parameter-golf's ternary record.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import CheckpointError
from .stored import check_element_count

if TYPE_CHECKING:
    import torch

TRITS_A_BYTE = 5
NIBBLE_ZERO = 8
LEAST_SHARE = 1e-8


def is_ternary_state(content: Any) -> bool:
    """Whether every entry of a loaded file says how it is stored."""
    return (
        isinstance(content, Mapping)
        and bool(content)
        and all(isinstance(entry, Mapping) and entry.get("type") in _READERS for entry in content.values())
    )


def restore_ternary_state(content: Mapping[str, Any], path: Path) -> dict[str, torch.Tensor]:
    """The state_dict that the record's loader would make of it. CheckpointError for a part that is damaged."""
    import torch

    check_element_count([entry.get("data") for entry in content.values()], path)
    state = {}
    for name, entry in content.items():
        try:
            values = _READERS[entry["type"]](entry)
        except (KeyError, TypeError, ValueError, IndexError, RuntimeError, AttributeError) as error:
            raise CheckpointError(f"{path}: {name!r} is not whole ({error}); the file is damaged") from error
        state[name] = values.to(torch.bfloat16)
    check_element_count(state.values(), path)
    return state


def _trits(entry: Mapping[str, Any]) -> np.ndarray:
    """int8 [trits], five to a byte, the first the least digit."""
    bytes_ = np.frombuffer(entry["packed"], np.uint8).astype(np.int16)
    digits = bytes_[:, None] // 3 ** np.arange(TRITS_A_BYTE) % 3
    return (digits.ravel()[: entry["n_trits"]] - 1).astype(np.int8)


def _masked_trits(entry: Mapping[str, Any]) -> np.ndarray:
    """int8 [trits]: a bit each whether it is not zero, then a bit each of those whether it is above."""
    count = entry["n_trits"]
    split = (count + 7) // 8
    bits = np.unpackbits(np.frombuffer(entry["packed"], np.uint8))
    if not 0 <= count <= len(bits):
        raise ValueError(f"{len(bits):,} bits cannot tell {count:,} weights")
    present = bits[:count].astype(bool)
    above = bits[8 * split :][: int(present.sum())].astype(bool)
    trits = np.zeros(count, np.int8)
    trits[present] = np.where(above, 1, -1)
    return trits


def _ternary(entry: Mapping[str, Any]) -> torch.Tensor:
    """float32 of the stored shape."""
    import torch

    trits = _trits(entry) if entry["type"] == "ternary" else _masked_trits(entry)
    grouped = torch.from_numpy(trits).float().reshape(-1, entry["group_size"])
    share = grouped.abs().mean(-1, keepdim=True).clamp(min=LEAST_SHARE)
    scaled = grouped * (entry["scale"].float().reshape(-1, 1) / share)
    rows, columns = entry["shape"]
    values = scaled.reshape(-1, entry["padded_cols"])[:rows, :columns]
    return values.reshape(entry.get("orig_shape") or entry["shape"])


def _four_bits(entry: Mapping[str, Any]) -> torch.Tensor:
    """float32: two whole numbers a byte, a scale a row."""
    import torch

    packed, shape = entry["packed"], list(entry["shape"])
    both = torch.stack([packed & 15, packed >> 4], dim=-1).reshape(-1).float() - NIBBLE_ZERO
    codes = both[: int(np.prod(shape))]
    scale = entry["scale"].float().reshape(-1, 1) if len(shape) > 1 else entry["scale"].float().reshape(())
    return (codes.reshape(-1, shape[-1]) * scale).reshape(shape) if len(shape) > 1 else (codes * scale).reshape(shape)


_READERS = {
    "ternary": _ternary,
    "ternary_bitmask": _ternary,
    "fp4": _four_bits,
    "fp8": lambda entry: entry["data"].float(),
    "fp16": lambda entry: entry["data"].float(),
}
