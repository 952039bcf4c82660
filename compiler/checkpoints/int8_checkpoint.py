"""The public challenge's `final_model.int8.ptz`: int8 rows and their scales, saved by torch and compressed.

Strategy: only the format itself, on an already loaded dictionary; what opens it stays in `containers`. A matrix is
int8 [rows, columns] times one float16 scale a row, any other tensor int8 times one float32 scale; small tensors pass
through in float16 or float32. As the published loader does, values are rounded to the type the tensor had in training.
Source: the challenge's baseline script, format "int8_clean_per_row_v1".
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import CheckpointError
from .stored import check_element_count

if TYPE_CHECKING:
    import torch

FORMAT_NAME = "int8_clean_per_row_v1"
FORMAT_KEY = "__quant_format__"
ORIGINAL_TYPES = ("float32", "float16", "bfloat16", "float64")


def is_int8_state(content: Any) -> bool:
    """Whether a loaded file names this format."""
    return isinstance(content, Mapping) and content.get(FORMAT_KEY) == FORMAT_NAME


def restore_int8_state(content: Mapping[str, Any], path: Path) -> dict[str, torch.Tensor]:
    """The state_dict that the challenge's loader would make of it, each tensor in its training type.

    Raises CheckpointError for a part that is missing, of the wrong kind, or does not fit the others.
    """
    import torch

    parts = {key: _part(content, key, path) for key in ("quantized", "scales", "dtypes", "passthrough")}
    original = _part(content, "passthrough_orig_dtypes", path, optional=True)
    check_element_count([*parts["quantized"].values(), *parts["passthrough"].values()], path)
    state = {}
    for name, codes in parts["quantized"].items():
        scale = parts["scales"].get(name)
        fits = (
            isinstance(codes, torch.Tensor)
            and codes.dtype is torch.int8
            and isinstance(scale, torch.Tensor)
            and scale.is_floating_point()
        )
        if not fits or not (scale.ndim == 0 or (codes.ndim >= 1 and scale.shape == codes.shape[:1])):
            raise CheckpointError(
                f"{path}: the codes and scales of {name!r} do not fit each other; the file is damaged "
                "or of another version"
            )
        row_scale = scale.float().reshape(-1, *(1 for _ in codes.shape[1:])) if scale.ndim else scale.float()
        state[name] = codes.float().mul_(row_scale).to(_type(parts["dtypes"].get(name), name, path))
    for name, values in parts["passthrough"].items():
        if not isinstance(values, torch.Tensor) or name in state:
            raise CheckpointError(f"{path}: {name!r} is not one tensor; the file is damaged or of another version")
        state[name] = values.to(_type(original[name], name, path)) if name in original else values
    if not state:
        raise CheckpointError(f"{path} holds no tensors")
    return state


def _part(content: Mapping[str, Any], key: str, path: Path, *, optional: bool = False) -> Mapping[str, Any]:
    part = content.get(key, {} if optional else None)
    if not isinstance(part, Mapping) or not all(isinstance(name, str) for name in part):
        raise CheckpointError(
            f"{path} lacks the table {key!r} of {FORMAT_NAME}; the file is damaged or of another version"
        )
    return part


def _type(name: Any, tensor: str, path: Path) -> torch.dtype:
    import torch

    if name not in ORIGINAL_TYPES:
        raise CheckpointError(f"{path}: {tensor!r} was of type {name!r}; known are {', '.join(ORIGINAL_TYPES)}")
    return getattr(torch, name)
