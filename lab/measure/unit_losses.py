"""What the error of each unit costs: by second order, by the gradient, by its squares, and measured.

Strategy: one error E for the whole model; the error of a unit is E where the unit is and zero
elsewhere. A unit of several submatrices adds up what they cost. What each way means is in
sensitivity.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from ...compiler.model.model import Model
from ...compiler.statistics.calibration import Statistics
from ...compiler.statistics.matrix_statistics import MatrixStatistics
from ...compiler.statistics.swaps import measure_divergences
from ...format.tensors.grid import matrix_shape
from ...progress import Progress
from .units import Submatrix, WeightSet

CANDIDATES_AT_ONCE = 64  # swapped copies of a model's tensors that are alive together
Matrices = Sequence[np.ndarray]  # float64[rows, columns] by tensor


def weight_matrices(model: Model) -> Matrices:
    """Every tensor as a float64 matrix."""
    return [t.values.reshape(matrix_shape(t.values.shape)).astype(np.float64) for t in model.tensors]


def quantization_error(weights: np.ndarray, bits: int) -> np.ndarray:
    """Q(W) - W, float64[rows, columns]: the nearest of 2^bits - 1 values on a step a row of max |w| /
    (2^(bits - 1) - 1).

    bits : 2 or more, or 0 for removal, Q(W) = 0.
    """
    if bits == 0:
        return -weights
    steps = np.abs(weights).max(axis=1, keepdims=True, initial=0.0) / (2 ** (bits - 1) - 1)
    steps[steps == 0] = 1.0
    return np.rint(weights / steps) * steps - weights


def second_order_losses(units: Sequence[WeightSet], errors: Matrices, statistics: Statistics) -> np.ndarray:
    """float64[units] nats a token: 1/2 tr(E_uᵀ G E_u H) of matrices, G diagonal where only that is
    known, 1/2 sum F e² of vectors.
    """
    losses = [
        _MatrixLosses(error, statistics.matrices[i])
        if i in statistics.matrices
        else _VectorLosses(error, _fisher_diagonal(i, statistics, errors))
        for i, error in enumerate(errors)
    ]
    return np.array([sum(losses[area.tensor].of(area) for area in unit.submatrices) for unit in units])


class _VectorLosses:
    """Second-order losses of submatrices of a control tensor with its Fisher diagonal."""

    def __init__(self, error: np.ndarray, fisher: np.ndarray) -> None:
        self.losses = 0.5 * fisher * error * error

    def of(self, area: Submatrix) -> float:
        return float(self.losses[area.rows, area.columns].sum())


class _MatrixLosses:
    """Second-order losses of submatrices of a matrix; its single rows, and its single columns, share one product."""

    def __init__(self, error: np.ndarray, statistics: MatrixStatistics) -> None:
        self.error, self.hessian, self.fisher = error, statistics.hessian, statistics.row_fisher
        self.both = None if statistics.output_fisher is None else statistics.output_fisher.astype(np.float64)

    def of(self, area: Submatrix) -> float:
        height, width = area.rows.stop - area.rows.start, area.columns.stop - area.columns.start
        if (height, width) == (1, self.error.shape[1]):
            return float(self.of_rows[area.rows.start])
        if (height, width) == (self.error.shape[0], 1):
            return float(self.of_columns[area.columns.start])
        error = self.error[area.rows, area.columns]
        return 0.5 * float(((error @ self.hessian[area.columns, area.columns]) * self._weighed(error, area.rows)).sum())

    @cached_property
    def of_rows(self) -> np.ndarray:
        return 0.5 * self.fisher * ((self.error @ self.hessian) * self.error).sum(1)

    @cached_property
    def of_columns(self) -> np.ndarray:
        return 0.5 * self.hessian.diagonal() * (self._weighed(self.error, slice(None)) * self.error).sum(0)

    def _weighed(self, error: np.ndarray, rows: slice) -> np.ndarray:
        return self.fisher[rows, None] * error if self.both is None else self.both[rows, rows] @ error


def gradient_losses(units: Sequence[WeightSet], weights: Matrices, statistics: Statistics) -> np.ndarray:
    """float64[units] nats a token: 1/2 sum F_ij w_ij² with the Fisher diagonal F_ij = g_i H_jj of a matrix."""
    saliency = [0.5 * _fisher_diagonal(i, statistics, weights) * w * w for i, w in enumerate(weights)]
    return _sums(units, saliency)


def row_errors(units: Sequence[WeightSet], errors: Matrices) -> np.ndarray:
    """float64[units]: squared error."""
    return _sums(units, [error * error for error in errors])


def _sums(units: Sequence[WeightSet], matrices: Matrices) -> np.ndarray:
    return np.array(
        [sum(float(matrices[p.tensor][p.rows, p.columns].sum()) for p in unit.submatrices) for unit in units]
    )


def _fisher_diagonal(tensor: int, statistics: Statistics, like: Matrices) -> np.ndarray:
    """float64 in the shape of the tensor's matrix; zero for a tensor that nothing depends on."""
    if tensor in statistics.matrices:
        measured = statistics.matrices[tensor]
        return np.multiply.outer(measured.row_fisher, measured.hessian.diagonal())
    fisher = statistics.vectors.get(tensor)
    return np.zeros(like[tensor].shape) if fisher is None else fisher.reshape(like[tensor].shape)


def measured_losses(
    model: Model,
    units: Sequence[WeightSet],
    errors: Matrices,
    held_out: np.ndarray,
    slices: int,
    chosen: np.ndarray,
    threads: int,
    progress: Progress,
    device: str = "cpu",
) -> np.ndarray:
    """float64[slices, units] nats a token: KL of swapping each of the `chosen` units, NaN for the others.

    held_out : int64[n, length], n >= slices; slice k is the k-th stretch of the sequences, all equally long.
    """
    result = np.full((slices, len(units)), np.nan)
    length = len(held_out) // slices
    groups = [chosen[i : i + CANDIDATES_AT_ONCE] for i in range(0, len(chosen), CANDIDATES_AT_ONCE)]
    for done, (group, k) in enumerate((group, k) for group in groups for k in range(slices)):
        candidates = [swapped(model, units[u], errors) for u in group]
        part = held_out[k * length : (k + 1) * length]
        result[k, group] = measure_divergences(model, candidates, part, threads=threads, device=device)
        progress("measure swaps", done + 1, len(groups) * slices)
    return result


def swapped(model: Model, unit: WeightSet, errors: Matrices) -> dict[int, np.ndarray]:
    """float32 values of the tensors that a unit touches, with its error in them, by tensor."""
    values: dict[int, np.ndarray] = {}
    for area in unit.submatrices:
        before = model.tensors[area.tensor].values
        if area.tensor not in values:
            values[area.tensor] = before.astype(np.float64).reshape(matrix_shape(before.shape))
        values[area.tensor][area.rows, area.columns] += errors[area.tensor][area.rows, area.columns]
    return {i: v.reshape(model.tensors[i].values.shape).astype(np.float32) for i, v in values.items()}
