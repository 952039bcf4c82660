"""A matrix on its way to a scalar quantization grid: prepared for any byte price, and quantized at one.

Strategy: the factor of the Hessian and the exponents of the steps do not depend on the byte price, so
they are made once. With H + damping = L Lᵀ and the row Fisher g, equal marginal return means step_ij =
byte_price / (sqrt(g_i) L_jj): exponents of the rows come from g, exponents of the columns from the
diagonal of L. Columns are ordered by falling H_jj, so that the strongest inputs come last in the walk
over them and see every correction.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...format.assembly import encode_grid_stream
from ...format.tensors.grid import MAX_STEP_OCTAVES, GridValues
from ...format.tensors.terms import GridInStream
from ..row_blocks import row_blocks
from ..statistics.damping import damped
from ..statistics.matrix_statistics import MatrixStatistics
from ..statistics.row_coupling import couple_rows, coupled_costs, floor_fisher

# Exponents are stored within +-MAX_STEP_OCTAVES; half of that on each side leaves room for the base.
EXPONENT_OCTAVES = MAX_STEP_OCTAVES // 2
BLOCK_FLOATS = 1 << 16  # of rows that are looked at at once
LARGEST_CODE = 1 << 22  # of a weight by itself; feedback between columns may add to it, and a stream holds 2**24


@dataclass(frozen=True, slots=True)
class PreparedMatrix:
    """What quantizing a matrix at any byte price needs.

    weights : float32 or float64[rows, columns]   W with columns in processing order
    factor : float64[columns, columns]    L, lower triangular, of the reordered damped Hessian
    order : int64[columns]                processing position -> column
    row_fisher : float64[rows]            floored g, or what of it is left when later rows make up for errors
    coupling : float64[rows, rows] or None    V of row_coupling.py
    row_exponents, column_exponents : int64, in matrix order; log2_base: log2 step at byte price 1 without them
    """

    weights: np.ndarray
    factor: np.ndarray
    order: np.ndarray
    row_fisher: np.ndarray
    coupling: np.ndarray | None
    row_exponents: np.ndarray
    column_exponents: np.ndarray
    log2_base: float
    resolution: int
    mean_magnitude: float  # mean |w| over the mean of 2**-(exponents): expected integers at base 1


@dataclass(frozen=True, slots=True)
class QuantizedMatrix:
    """Result of quantizing: the grid, its float32 weights and the second-order loss in nats a token."""

    grid: GridValues
    weights: np.ndarray
    predicted_loss: float

    @property
    def parts(self) -> tuple[GridInStream]:
        """What the tensor is made of, for a stream to be named."""
        return (GridInStream(self.grid, 1),)

    @property
    def bytes(self) -> int:
        """Bytes of the integers, by encoding them alone."""
        return len(encode_grid_stream([self.grid]))

    @property
    def label(self) -> str:
        """How the integers are stored, in a word."""
        return f"trellis-{self.grid.trellis_states}" if self.grid.trellis_states else "uniform"


def zero_matrices(shapes: Sequence[tuple[int, int]]) -> list[QuantizedMatrix]:
    """Matrices of zeros without steps: the cheapest there are, whose loss nobody predicts. Their zeros are the same."""
    most = max((rows * columns for rows, columns in shapes), default=0)
    codes, weights = np.zeros(most, np.int32), np.zeros(most, np.float32)

    def zero_matrix(shape: tuple[int, int]) -> QuantizedMatrix:
        size = shape[0] * shape[1]
        return QuantizedMatrix(
            GridValues(codes[:size].reshape(shape), None, None, 1.0, 0), weights[:size].reshape(shape), 0.0
        )

    return [zero_matrix(shape) for shape in shapes]


def prepare_matrix(
    weights: np.ndarray,
    statistics: MatrixStatistics,
    *,
    resolution: int,
    damping: float,
    fisher_floor: float,
    correlation: float = 0.0,
    input_correlation: float = 1.0,
    chosen: np.ndarray | None = None,
) -> PreparedMatrix:
    """Factor the Hessian and fix the step exponents.

    weights : float32 or float64[rows, columns], whose type stays; damping is relative to the mean of diag H, of whose
    correlations the share input_correlation counts; fisher_floor and correlation as in row_coupling.py. chosen :
    int64[n], rows that are prepared in place of all, with the steps that coupling to all gives them, but not to make up
    for each other
    """
    factor, order = _factored(statistics, damping, input_correlation)
    fisher = floor_fisher(statistics.row_fisher, fisher_floor)
    if chosen is None:
        coupling, fisher = couple_rows(fisher, statistics.output_fisher, correlation)
    else:
        coupling, fisher = None, coupled_costs(fisher, statistics.output_fisher, correlation)
    column_logs = _column_logs(factor, order)
    row_exponents, row_base = nearest_exponents(-0.5 * np.log2(fisher), resolution)
    column_exponents, column_base = nearest_exponents(column_logs, resolution)
    if chosen is not None:
        weights, fisher, row_exponents = weights[chosen], fisher[chosen], row_exponents[chosen]
    magnitude = _mean_magnitude(weights, row_exponents, column_exponents, resolution)
    exponents = row_exponents, column_exponents, row_base + column_base
    return PreparedMatrix(weights[:, order], factor, order, fisher, coupling, *exponents, resolution, magnitude)


def with_steps(prepared: PreparedMatrix, row_logs: np.ndarray, column_logs: np.ndarray) -> PreparedMatrix:
    """The same matrix with other steps: float64[rows] and float64[columns] log2 steps at byte price 1,
    in matrix order.
    """
    row_exponents, row_base = nearest_exponents(row_logs, prepared.resolution)
    column_exponents, column_base = nearest_exponents(column_logs, prepared.resolution)
    magnitude = _mean_magnitude(prepared.weights, row_exponents, column_exponents[prepared.order], prepared.resolution)
    return replace(
        prepared,
        row_exponents=row_exponents,
        column_exponents=column_exponents,
        log2_base=row_base + column_base,
        mean_magnitude=magnitude,
    )


def within_codes(prepared: PreparedMatrix, base: float) -> PreparedMatrix:
    """The same matrix with steps, at a base, by which every weight is an integer below LARGEST_CODE.

    Rows and columns that are many magnitudes larger than the rest get coarser steps of their own, which are still fine
    against them: below the last bits of float32. Everything else keeps its steps; mostly that is all of it.
    """
    rows, columns = prepared.row_exponents, prepared.column_exponents[prepared.order]
    if _is_far_within(prepared.weights, rows, columns, LARGEST_CODE * base, prepared.resolution):
        return prepared
    limit = LARGEST_CODE * base * np.exp2((rows[:, None] + columns) / 2**prepared.resolution)
    beyond = np.abs(prepared.weights) > limit
    if not beyond.any():
        return prepared
    octaves = np.where(beyond, np.log2(np.maximum(np.abs(prepared.weights), limit) / limit), 0.0)
    bound = MAX_STEP_OCTAVES << prepared.resolution
    whole = beyond.mean(axis=1) > 0.5
    raised = np.where(whole, np.ceil(octaves.max(axis=1) * 2**prepared.resolution), 0).astype(np.int64)
    rest = np.where(whole[:, None], 0.0, octaves).max(axis=0)
    natural = np.empty(len(columns), np.int64)
    natural[prepared.order] = columns + np.ceil(rest * 2**prepared.resolution).astype(np.int64)
    return replace(
        prepared, row_exponents=np.minimum(rows + raised, bound), column_exponents=np.minimum(natural, bound)
    )


def _is_far_within(weights: np.ndarray, rows: np.ndarray, columns: np.ndarray, largest: float, resolution: int) -> bool:
    """Whether every weight is at most half of so many steps, as nearly always."""
    bounds = 0.5 * largest * np.exp2(rows / 2**resolution)
    blocks = _in_column_steps(weights, columns, resolution)
    return all((block.max(1, initial=0.0) <= bounds[some]).all() for some, block in blocks)


def _mean_magnitude(
    weights: np.ndarray, row_exponents: np.ndarray, column_exponents: np.ndarray, resolution: int
) -> float:
    """Mean |w| in units of the steps over the mean of 2**-(exponents): expected integers at base 1."""
    in_rows, in_columns = (np.exp2(-each / 2**resolution) for each in (row_exponents, column_exponents))
    sums = np.empty(len(weights))
    for some, block in _in_column_steps(weights, column_exponents, resolution):
        sums[some] = block.sum(1)
    return float((sums * in_rows).mean() / len(in_columns) / (in_rows.mean() * in_columns.mean()))


def _in_column_steps(weights: np.ndarray, columns: np.ndarray, resolution: int) -> Iterator[tuple[slice, np.ndarray]]:
    """|w| over the steps of the columns, float64 [some rows, columns], and which rows: a table has many."""
    inverse = np.exp2(-columns / 2**resolution)
    for some in row_blocks(len(weights), max(1, BLOCK_FLOATS // len(columns))):
        yield some, np.abs(weights[some]) * inverse  # float64, whatever the weights are


def _factored(statistics: MatrixStatistics, damping: float, correlation: float) -> tuple[np.ndarray, np.ndarray]:
    """L of the damped Hessian with its columns in processing order, and that order."""
    hessian = damped(statistics.hessian, damping, correlation, statistics.excess)
    order = np.argsort(-hessian.diagonal(), kind="stable")
    return np.linalg.cholesky(hessian[np.ix_(order, order)]), order


def _column_logs(factor: np.ndarray, order: np.ndarray) -> np.ndarray:
    logs = np.empty(len(order))
    logs[order] = -np.log2(factor.diagonal())
    return logs


def column_log_steps(statistics: MatrixStatistics, damping: float, input_correlation: float) -> np.ndarray:
    """float64[columns]: log2 of the rate-optimal steps of the columns of a matrix, but for a constant."""
    return _column_logs(*_factored(statistics, damping, input_correlation))


def nearest_exponents(logs: np.ndarray, resolution: int) -> tuple[np.ndarray, float]:
    """Nearest exponents to log2 steps, relative to their median, and that median; OverflowError for steps that are not
    finite.
    """
    if not np.isfinite(logs).all():
        raise OverflowError("steps that are not finite")
    base = float(np.median(logs))
    bound = EXPONENT_OCTAVES << resolution
    return np.clip(np.rint((logs - base) * 2**resolution), -bound, bound).astype(np.int64), base
