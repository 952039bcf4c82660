"""Quantized matrices as plain values and arrays, to be kept in a work folder and to come back as they were.

Strategy: a grid is its integers and exponents, from which the weights follow bit by bit. Anything else is stored by the
parts of the format that it is made of, each by the name of its class and its fields; classes that are not listed here
are not made.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from ...format.tensors.grid import GridValues, reconstruct_grid
from ...format.tensors.terms import (
    Alias,
    CodebookReference,
    CodebookValues,
    GridInStream,
    IndexValues,
    LowRankValues,
    Part,
    RawValues,
    SparseValues,
    SubsetValues,
)
from ..resume.state_file import State
from .grid_matrix import QuantizedMatrix
from .representation import Quantized

RECORDS = (
    Alias,
    CodebookReference,
    CodebookValues,
    GridInStream,
    GridValues,
    IndexValues,
    LowRankValues,
    RawValues,
    SparseValues,
    SubsetValues,
)
BY_NAME = {record.__name__: record for record in RECORDS}


@dataclass(frozen=True, slots=True, eq=False)
class StoredMatrix:
    """A `Quantized` that came back, of whatever kind it was."""

    weights: np.ndarray
    parts: tuple[Part, ...]
    predicted_loss: float
    bytes: int
    label: str


def encode_quantized(quantized: Quantized) -> State:
    """The state of a quantized matrix."""
    if isinstance(quantized, QuantizedMatrix):
        return {"grid": _encode(quantized.grid), "predicted_loss": float(quantized.predicted_loss)}
    plain = {"predicted_loss": float(quantized.predicted_loss), "bytes": quantized.bytes, "label": quantized.label}
    return plain | {"weights": quantized.weights, "parts": [_encode(part) for part in quantized.parts]}


def decode_quantized(state: State) -> Quantized:
    """The matrix of such a state."""
    if "grid" in state:
        grid = _decode(state["grid"])
        return QuantizedMatrix(grid, reconstruct_grid(grid), state["predicted_loss"])
    parts = tuple(_decode(part) for part in state["parts"])
    plain = state["predicted_loss"], state["bytes"], state["label"]
    return StoredMatrix(np.array(state["weights"]), parts, *plain)


def _encode(value: Any) -> State:
    """A record as its class and fields; plain values and arrays as they are."""
    if type(value) in RECORDS:
        return {"class": type(value).__name__, **{f.name: _encode(getattr(value, f.name)) for f in fields(value)}}
    return value


def _decode(state: State) -> Any:
    if isinstance(state, dict):
        given = {name: _decode(value) for name, value in state.items() if name != "class"}
        return BY_NAME[state["class"]](**given)
    return np.array(state) if isinstance(state, np.ndarray) else state
