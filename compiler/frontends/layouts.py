"""Layouts in which a checkpoint keeps a map and a program does not: turned, or with queries, keys and values by head.

Strategy: as with `parts`, the name says what was done, so that an artifact needs nothing else to undo it: `NAME.T` is
the transpose of NAME, and `NAME.by_kind` has the rows of all queries first, then those of all keys, then of all values,
where NAME has them head by head. Both are exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ...format.program.operations import Attention
from ...format.program.program import Program
from ..model.model import ModelTensor
from .parts import join_parts, whole_name

TRANSPOSED, BY_KIND = ".T", ".by_kind"
KINDS = 3  # queries, keys, values


def rows_by_kind(values: np.ndarray, heads: int) -> np.ndarray:
    """[heads * 3 * d, ...] head by head, as [3 * heads * d, ...] kind by kind."""
    split = values.reshape(heads, KINDS, -1, *values.shape[1:])
    return np.ascontiguousarray(split.swapaxes(0, 1)).reshape(values.shape)


def rows_by_head(values: np.ndarray, heads: int) -> np.ndarray:
    """The inverse of `rows_by_kind`."""
    split = values.reshape(KINDS, heads, -1, *values.shape[1:])
    return np.ascontiguousarray(split.swapaxes(0, 1)).reshape(values.shape)


def stored_name(name: str) -> str:
    """The name in the checkpoint of a tensor of the program."""
    return whole_name(name).removesuffix(BY_KIND).removesuffix(TRANSPOSED)


def stored_tensors(program: Program, tensors: Sequence[ModelTensor]) -> list[ModelTensor]:
    """The tensors as the checkpoint had them: parts joined, rows by head again, transposes turned back."""
    heads = next((op.heads for op in program.instructions if isinstance(op, Attention)), 1)
    return [_stored(tensor, heads) for tensor in join_parts(tensors)]


def _stored(tensor: ModelTensor, heads: int) -> ModelTensor:
    name, values = tensor.name, tensor.values
    if name.endswith(BY_KIND):
        name, values = name.removesuffix(BY_KIND), rows_by_head(values, heads)
    if name.endswith(TRANSPOSED):
        name, values = name.removesuffix(TRANSPOSED), np.ascontiguousarray(values.T)
    return replace(tensor, name=name, values=values)
