"""Control tensors (gains, scales, mixes) on grids with one step for each row, and tensors that are stored as they are.

Strategy: they are few, so finding their steps needs no feedback and no trellis; rounding is all. What belongs to the
architecture (frequencies of rotations) is not rounded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ...format.codecs.outcomes import MAX_MAGNITUDE, check_magnitudes
from ...format.tensors.grid import MAX_BASE, MIN_BASE, GridValues, matrix_shape, reconstruct_grid, step_table
from ...format.tensors.terms import RawValues
from ..extremes import naming_tensor
from ..model.model import Model
from ..model.structure import exact_tensors
from ..settings import VectorSettings
from ..statistics.calibration import Statistics
from .grid_matrix import QuantizedMatrix, nearest_exponents
from .representation import Quantized

MAX_CODE = float(MAX_MAGNITUDE)
LEAST_RMS = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class ExactTensor:
    """A tensor that is stored as it is, float32; a `Quantized`."""

    weights: np.ndarray
    predicted_loss: float = 0.0
    label: str = "exact"

    @property
    def parts(self) -> tuple[RawValues]:
        """The values themselves."""
        return (RawValues(self.weights, "float32", rounded=True),)

    @property
    def bytes(self) -> int:
        """Four a number."""
        return self.weights.nbytes


def quantize_control_tensors(
    model: Model,
    statistics: Statistics,
    settings: VectorSettings,
    byte_price: float,
    tuned: Mapping[int, np.ndarray] | None = None,
) -> dict[int, Quantized]:
    """Every control tensor of the model by tensor index, with the values in `tuned` in place of its own, and those
    that are stored as they are.
    """
    exact = exact_tensors(model.program)
    results: dict[int, Quantized] = {i: ExactTensor(model.tensors[i].values) for i in exact}
    for index, fisher in trainable_vectors(model, statistics).items():
        values = (tuned or {}).get(index, model.tensors[index].values)
        shape = matrix_shape(values.shape)
        how = {"resolution": settings.resolution, "coarsest": settings.coarsest}
        with naming_tensor(model.tensors[index].name):
            results[index] = quantize_vectors(values.reshape(shape), fisher.reshape(shape), byte_price, **how)
    return results


def trainable_vectors(model: Model, statistics: Statistics) -> dict[int, np.ndarray]:
    """Fisher information of the control tensors that may be rounded and tuned, by tensor index."""
    exact = exact_tensors(model.program)
    return {index: fisher for index, fisher in statistics.vectors.items() if index not in exact}


def quantize_vectors(
    values: np.ndarray, fisher: np.ndarray, byte_price: float, *, resolution: int, coarsest: float
) -> QuantizedMatrix:
    """Quantize a control tensor (gains, scales, mixes) on one step a row, by the same price.

    values : float32, seen as [rows, columns]; fisher : float64 of the same shape. The step of a row is
    byte_price / sqrt(mean Fisher), never coarser than `coarsest` times the row's root mean square: control tensors are
    few and the second-order model knows least about them. Where all values are the same, they are the step.
    """
    if (
        values.size
        and values.flat[0] != 0
        and (values == values.flat[0]).all()
        and MIN_BASE <= abs(values.flat[0]) <= MAX_BASE
    ):
        grid = GridValues(np.sign(values).astype(np.int32), None, None, float(abs(values.flat[0])), 0)
        return QuantizedMatrix(grid, reconstruct_grid(grid), 0.0)
    rms = np.sqrt(np.mean(np.square(values, dtype=np.float64), axis=1)) + LEAST_RMS
    steps = np.minimum(byte_price / np.sqrt(fisher.mean(axis=1) + 1e-30), coarsest * rms)
    steps[rms <= LEAST_RMS] = np.median(steps[rms > LEAST_RMS]) if (rms > LEAST_RMS).any() else 1.0  # rows of zeros
    exponents, log2_base = nearest_exponents(np.log2(steps), resolution)
    base = float(np.float32(min(max(2.0**log2_base, MIN_BASE), MAX_BASE)))
    lowest = int(exponents.min())
    table = step_table(base, resolution, lowest, int(exponents.max())).astype(np.float64)
    codes = np.clip(np.rint(values / table[exponents - lowest][:, None]), -MAX_CODE, MAX_CODE).astype(np.int32)
    check_magnitudes(codes)  # those of what is no number are not within the bounds
    grid = GridValues(codes, exponents if len(exponents) > 1 else None, None, base, resolution)
    weights = reconstruct_grid(grid)
    return QuantizedMatrix(grid, weights, 0.5 * float((fisher * np.square(weights - values, dtype=np.float64)).sum()))
