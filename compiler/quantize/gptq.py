"""Column-by-column quantization with error feedback and rate-optimal steps.

Strategy (design section 5): with H + damping = L Lᵀ, quantizing column j last-to-first against the target
    t = (W L)_j / L_jj - sum_{k > j} w'_k L_kj / L_jj
makes the loss a plain sum g_i L_jj² (t_ij - w'_ij)² / 2. An entropy-coded integer costs log2(1 / step) bits, so equal
marginal return means step_ij = byte_price / (sqrt(g_i) L_jj): one number for the whole model. Rows of a column are
independent given the feedback. Columns are ordered by falling H_jj, so that the strongest inputs come last and see
every correction. Where the outputs' gradients are known to be correlated, the rows of a column make up for each other's
errors likewise (row_coupling.py). Preparation (Cholesky, exponents) does not depend on the byte price and is done once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numba import njit

from ...format.codecs import ExpectedScales
from ...format.codecs.scale_classes import MAX_MAGNITUDE, TRELLIS_THRESHOLD
from ...format.codecs.trellis import TRELLISES
from ...format.tensors.grid import (  # fmt: skip
    MAX_BASE,
    MAX_STEP_OCTAVES,
    MIN_BASE,
    GridValues,
    expected_scales,
    reconstruct_grid,
    scale_of_magnitudes,
    step_table,
)
from ...format.tensors.parts import GridInStream
from ..statistics.calibration import MatrixStatistics
from ..statistics.row_coupling import couple_rows, floor_fisher
from .base_fit import fit_base
from .coupled_search import search_coupled_path
from .trellis_search import BIT_COSTS, search_path, trellis_sources

BLOCK_COLUMNS = 64
# Fine step of a trellis whose squared error equals a uniform quantizer's of step 1 (field measurements on Gaussian data).
FINE_STEP = {8: 0.566, 64: 0.578}
MAX_CODE = float(MAX_MAGNITUDE)
LEAST_RMS = 1e-12
# Exponents are stored within +-MAX_STEP_OCTAVES; half of that on each side leaves room for the base.
EXPONENT_OCTAVES = MAX_STEP_OCTAVES // 2


@dataclass(frozen=True, slots=True)
class PreparedMatrix:
    """What quantizing a matrix at any byte price needs.

    weights : float64[rows, columns]      W with columns in processing order
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


def zero_matrix(shape: tuple[int, int]) -> QuantizedMatrix:
    """A matrix of zeros without steps: the cheapest there is, whose loss nobody predicts."""
    return QuantizedMatrix(GridValues(np.zeros(shape, np.int32), None, None, 1.0, 0), np.zeros(shape, np.float32), 0.0)


def damped(hessian: np.ndarray, damping: float) -> np.ndarray:
    """H + damping * mean(diag H) I, positive definite even when no input was ever seen."""
    result = np.array(hessian, np.float64)
    mean = float(result.diagonal().mean()) or 1.0
    result[np.diag_indices(len(result))] += damping * mean
    return result


def prepare_matrix(
    weights: np.ndarray,
    statistics: MatrixStatistics,
    *,
    resolution: int,
    damping: float,
    fisher_floor: float,
    correlation: float = 0.0,
) -> PreparedMatrix:
    """Factor the moments and fix the step exponents.

    weights : float32[rows, columns]; damping is relative to the mean of diag H; fisher_floor and correlation as in
    row_coupling.py.
    """
    factor, order = _factored(statistics.hessian, damping)
    fisher = floor_fisher(statistics.row_fisher, fisher_floor)
    coupling, fisher = couple_rows(fisher, statistics.output_fisher, correlation)
    column_logs = _column_logs(factor, order)
    row_exponents, row_base = _exponents(-0.5 * np.log2(fisher), resolution)
    column_exponents, column_base = _exponents(column_logs, resolution)
    magnitude = _mean_magnitude(weights, row_exponents, column_exponents, resolution)
    exponents = row_exponents, column_exponents, row_base + column_base
    reordered = weights.astype(np.float64)[:, order]
    return PreparedMatrix(reordered, factor, order, fisher, coupling, *exponents, resolution, magnitude)


def with_steps(prepared: PreparedMatrix, row_logs: np.ndarray, column_logs: np.ndarray) -> PreparedMatrix:
    """The same matrix with other steps: float64[rows] and float64[columns] log2 steps at byte price 1, in matrix order."""
    row_exponents, row_base = _exponents(row_logs, prepared.resolution)
    column_exponents, column_base = _exponents(column_logs, prepared.resolution)
    magnitude = _mean_magnitude(prepared.weights, row_exponents, column_exponents[prepared.order], prepared.resolution)
    return replace(
        prepared,
        row_exponents=row_exponents,
        column_exponents=column_exponents,
        log2_base=row_base + column_base,
        mean_magnitude=magnitude,
    )


def _mean_magnitude(
    weights: np.ndarray, row_exponents: np.ndarray, column_exponents: np.ndarray, resolution: int
) -> float:
    """Mean |w| in units of the steps over the mean of 2**-(exponents): expected integers at base 1."""
    finest = np.exp2(-row_exponents / 2**resolution).mean() * np.exp2(-column_exponents / 2**resolution).mean()
    in_steps = np.abs(weights / np.exp2((row_exponents[:, None] + column_exponents) / 2**resolution)).mean()
    return float(in_steps / finest)


def _factored(hessian: np.ndarray, damping: float) -> tuple[np.ndarray, np.ndarray]:
    """L of the damped Hessian with its columns in processing order, and that order."""
    hessian = damped(hessian, damping)
    order = np.argsort(-hessian.diagonal(), kind="stable")
    return np.linalg.cholesky(hessian[np.ix_(order, order)]), order


def _column_logs(factor: np.ndarray, order: np.ndarray) -> np.ndarray:
    logs = np.empty(len(order))
    logs[order] = -np.log2(factor.diagonal())
    return logs


def column_log_steps(hessian: np.ndarray, damping: float) -> np.ndarray:
    """float64[columns]: log2 of the rate-optimal steps of the columns that a Hessian belongs to, but for a constant."""
    return _column_logs(*_factored(hessian, damping))


def _exponents(logs: np.ndarray, resolution: int) -> tuple[np.ndarray, float]:
    """Nearest exponents to log2 steps, relative to their median, and that median."""
    base = float(np.median(logs))
    bound = EXPONENT_OCTAVES << resolution
    return np.clip(np.rint((logs - base) * 2**resolution), -bound, bound).astype(np.int64), base


@njit(cache=True, nogil=True)
def _quantize_block(rotated, factor, coupling, row_exponents, column_exponents, steps, lowest, codes, weights, losses):
    """Quantize one block of columns last to first with feedback inside the block.

    rotated float64[rows, b] (changed), factor float64[b, b]; coupling float64[rows, rows], or [0, 0] for independent rows
    codes, weights, losses [rows, b] are written; losses holds (t - w')² L_jj², t after the coupling.
    """
    rows, columns = rotated.shape
    errors = np.empty(rows)
    for j in range(columns - 1, -1, -1):
        diagonal = factor[j, j]
        for i in range(rows):
            wanted = rotated[i, j] / diagonal
            target = wanted - _feedback(coupling, errors, i)
            step = np.float64(steps[row_exponents[i] + column_exponents[j] - lowest])
            code = min(max(np.rint(target / step), -MAX_CODE), MAX_CODE)
            weight = code * step
            codes[i, j] = np.int32(code)
            weights[i, j] = weight
            errors[i] = weight - wanted
            losses[i, j] = (target - weight) * diagonal * (target - weight) * diagonal
            for k in range(j):
                rotated[i, k] -= weight * factor[j, k]


@njit(cache=True, nogil=True, inline="always")
def _feedback(coupling, errors, i):
    """What the errors of the rows before row i amount to in it."""
    total = 0.0
    for k in range(i if coupling.size else 0):
        total += coupling[k, i] * errors[k]
    return total


@njit(cache=True, nogil=True)
def _quantize_block_on_trellis(
    rotated, factor, coupling, row_exponents, column_exponents, steps, lowest, codes, weights, losses,
    row_scales, column_scales, sources, rate_weight, costs,
):  # fmt: skip
    """`_quantize_block` with the integers of each column on a trellis, where the expected scales let it run."""
    rows, columns = rotated.shape
    wanted, row_steps, scales, path = np.empty(rows), np.empty(rows), np.empty(rows, np.int64), np.empty(rows, np.int64)
    errors = np.empty(rows)
    for j in range(columns - 1, -1, -1):
        diagonal = factor[j, j]
        for i in range(rows):
            row_steps[i] = np.float64(steps[row_exponents[i] + column_exponents[j] - lowest])
            scales[i] = row_scales[i] + column_scales[j]
            wanted[i] = rotated[i, j] / diagonal
        if coupling.size:
            search_coupled_path(wanted, row_steps, scales, coupling, sources, rate_weight, costs, path)
        else:
            _search_independent_path(wanted, row_steps, scales, sources, rate_weight, costs, path)
        for i in range(rows):
            weight = path[i] * row_steps[i]
            errors[i] = weight - wanted[i]
            error = (errors[i] + _feedback(coupling, errors, i)) * diagonal
            codes[i, j], weights[i, j], losses[i, j] = np.int32(path[i]), weight, error * error
            for k in range(j):
                rotated[i, k] -= weight * factor[j, k]


@njit(cache=True, nogil=True)
def _search_independent_path(wanted, row_steps, scales, sources, rate_weight, costs, path):
    """`search_coupled_path` of rows that do not make up for each other: exact, and much cheaper."""
    rows, n = wanted.size, 0
    targets, running, places = np.empty(rows), np.empty(rows, np.int64), np.empty(rows, np.int64)
    found = np.empty(rows, np.int64)
    for i in range(rows):
        target = wanted[i] / row_steps[i]
        if scales[i] >= TRELLIS_THRESHOLD:
            targets[n], running[n], places[n] = min(max(target, 4 - MAX_CODE), MAX_CODE - 4), scales[i], i
            n += 1
        else:
            path[i] = 2 * np.int64(min(max(np.rint(target / 2), (1 - MAX_CODE) / 2), (MAX_CODE - 1) / 2))
    search_path(targets[:n], running[:n], sources, rate_weight, costs, found[:n])
    for k in range(n):
        path[places[k]] = found[k]


def quantize_matrix(
    prepared: PreparedMatrix,
    byte_price: float,
    *,
    trellis_states: int = 0,
    rate_weight: float = 0.0,
    base_fit: float = 0.0,
) -> QuantizedMatrix:
    """Quantize at a byte price (steps are proportional to it), on a trellis of `trellis_states` states unless 0.

    rate_weight : squared fine steps that a bit is worth to the trellis search; base_fit : share of the factor that fits the
    chosen integers best (base_fit.py). Deterministic for single-threaded BLAS.
    """
    price = byte_price * FINE_STEP.get(trellis_states, 1.0)
    base = float(np.float32(min(max(price * 2.0**prepared.log2_base, MIN_BASE), MAX_BASE)))
    exponents = prepared.column_exponents[prepared.order]
    initial_scale = scale_of_magnitudes(prepared.mean_magnitude / base) if trellis_states else None
    lowest = int(prepared.row_exponents.min() + prepared.column_exponents.min())
    highest = int(prepared.row_exponents.max() + prepared.column_exponents.max())
    kernel = _Kernel(step_table(base, prepared.resolution, lowest, highest), lowest, exponents)
    if trellis_states:
        expected = expected_scales(prepared.row_exponents, exponents, prepared.resolution, initial_scale)
        kernel = replace(
            kernel, expected=expected, search=(trellis_sources(TRELLISES[trellis_states]), rate_weight, BIT_COSTS)
        )
    codes, losses = _quantize_columns(prepared, kernel)
    natural = np.empty_like(codes)
    natural[:, prepared.order] = codes
    steps_of = prepared.row_exponents, prepared.column_exponents, base, prepared.resolution
    grid = GridValues(natural, *steps_of, trellis_states, initial_scale)
    loss = 0.5 * float(prepared.row_fisher @ losses)
    if base_fit:
        grid, loss = fit_base(prepared, grid, base_fit)
    return QuantizedMatrix(grid, reconstruct_grid(grid), loss)


@dataclass(frozen=True, slots=True)
class _Kernel:
    """Arguments of the kernels that stay the same within a matrix; `search` only with a trellis."""

    steps: np.ndarray
    lowest: int
    exponents: np.ndarray
    expected: ExpectedScales | None = None
    search: tuple | None = None


def _quantize_columns(prepared: PreparedMatrix, kernel: _Kernel) -> tuple[np.ndarray, np.ndarray]:
    """Codes int32[rows, columns] in processing order, and the summed losses float64[rows] before the row Fisher."""
    rows, columns = prepared.weights.shape
    codes, losses = np.empty((rows, columns), np.int32), np.zeros(rows)
    rotated = prepared.weights @ prepared.factor
    coupling = np.empty((0, 0)) if prepared.coupling is None else prepared.coupling
    for stop in range(columns, 0, -BLOCK_COLUMNS):
        start = max(0, stop - BLOCK_COLUMNS)
        block = np.ascontiguousarray(rotated[:, start:stop])
        factor = np.ascontiguousarray(prepared.factor[start:stop, start:stop])
        results = np.empty(block.shape, np.int32), np.empty(block.shape), np.empty(block.shape)
        inputs = (
            block,
            factor,
            coupling,
            prepared.row_exponents,
            kernel.exponents[start:stop],
            kernel.steps,
            kernel.lowest,
        )
        if kernel.search is None:
            _quantize_block(*inputs, *results)
        else:
            _quantize_block_on_trellis(
                *inputs, *results, kernel.expected.rows, kernel.expected.columns[start:stop], *kernel.search
            )
        codes[:, start:stop] = results[0]
        losses += results[2].sum(1)
        if start:
            rotated[:, :start] -= results[1] @ prepared.factor[start:stop, :start]
    return codes, losses


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
    exponents, log2_base = _exponents(np.log2(steps), resolution)
    base = float(np.float32(min(max(2.0**log2_base, MIN_BASE), MAX_BASE)))
    lowest = int(exponents.min())
    table = step_table(base, resolution, lowest, int(exponents.max())).astype(np.float64)
    codes = np.clip(np.rint(values / table[exponents - lowest][:, None]), -MAX_CODE, MAX_CODE).astype(np.int32)
    grid = GridValues(codes, exponents if len(exponents) > 1 else None, None, base, resolution)
    weights = reconstruct_grid(grid)
    return QuantizedMatrix(grid, weights, 0.5 * float((fisher * np.square(weights - values, dtype=np.float64)).sum()))
