"""GPTQ (arXiv:2210.17323) with rate-optimal steps and a trellis.

Strategy (design section 5): with H + damping = L Lᵀ, quantizing column j last-to-first against the target
    t = (W L)_j / L_jj - sum_{k > j} w'_k L_kj / L_jj
makes the loss a plain sum g_i L_jj² (t_ij - w'_ij)² / 2. An entropy-coded integer costs log2(1 / step)
bits, so equal marginal return means step_ij = byte_price / (sqrt(g_i) L_jj). The byte price is the
Lagrange multiplier of rate control: one number for the whole model. Rows of a column are independent
given the feedback, and their integers are the path of a trellis down the column (trellis_search.py).
Where the gradients of the outputs are known to be correlated, the rows of a column make up for each
other's errors likewise (row_coupling.py, coupled_search.py).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from ...format.codecs import ExpectedScales
from ...format.codecs.outcomes import MAX_MAGNITUDE, check_magnitudes
from ...format.codecs.scale_classes import TRELLIS_THRESHOLD
from ...format.codecs.trellis import TRELLISES
from ...format.kernels import kernel
from ...format.tensors.grid import (
    MAX_BASE,
    MIN_BASE,
    GridValues,
    expected_scales,
    reconstruct_grid,
    scale_of_magnitudes,
    step_table,
)
from ..row_blocks import row_blocks
from .base_fit import fit_base
from .coupled_search import search_coupled_path
from .grid_matrix import PreparedMatrix, QuantizedMatrix, within_codes
from .trellis_search import BIT_COSTS, search_path, trellis_sources

BLOCK_COLUMNS = 64
ROWS_AT_ONCE = 32
# Fine step of a trellis whose squared error equals a uniform quantizer's of step 1 (field measurements
# on Gaussian data).
FINE_STEP = {8: 0.566, 64: 0.578}
MAX_CODE = float(MAX_MAGNITUDE)
NO_CODE = -(1 << 31)  # stands for an integer that is too large, which no stream takes


@kernel()
def _quantize_block(rotated, factor, coupling, row_exponents, column_exponents, steps, lowest, codes, weights, losses):
    """Quantize one block of columns last to first with feedback inside the block.

    rotated : float64[rows, b], W L of the block less the feedback of later blocks; changed
    factor : float64[b, b], L of the block, lower triangular
    coupling : float64[rows, rows] V of row_coupling.py, or [0, 0] for independent rows
    row_exponents, column_exponents : int64[rows], int64[b] of the steps
    steps : float32[n], the step of every sum of two exponents; lowest : the sum that steps[0] is for
    codes : int32[rows, b]; weights : float64[rows, b]; both written
    losses : float64[rows, b], written: (t - w')² L_jj², t after the coupling
    """
    rows, columns = rotated.shape
    feedback = np.empty(rows)
    for j in range(columns - 1, -1, -1):
        diagonal = factor[j, j]
        feedback[:] = 0.0
        for i in range(rows):
            wanted = rotated[i, j] / diagonal
            target = wanted - feedback[i]
            step = np.float64(steps[row_exponents[i] + column_exponents[j] - lowest])
            code = min(max(np.rint(target / step), -MAX_CODE), MAX_CODE)
            weight = code * step
            codes[i, j] = np.int32(code)
            weights[i, j] = weight
            if coupling.size:
                _feed_later(coupling[i], weight - wanted, feedback, i + 1)
            losses[i, j] = (target - weight) * diagonal * (target - weight) * diagonal
            for k in range(j):
                rotated[i, k] -= weight * factor[j, k]


@kernel()
def _feed_later(weights, error, feedback, start):
    """Add what the error of one row amounts to in the rows from `start` on."""
    for i in range(start, feedback.size):
        feedback[i] += weights[i] * error


@kernel()
def _measure_losses(coupling, errors, factor, losses):
    """The losses of a block whose rows make up for each other, from its errors.

    coupling, factor, losses : those of `_quantize_block`; errors : float64[rows, b], w' less the target before
        the coupling. Some rows at a time, so that what is summed up stays in the cache
    """
    rows, columns = errors.shape
    feedback = np.empty((ROWS_AT_ONCE, columns))
    for start in range(0, rows, ROWS_AT_ONCE):
        stop = min(start + ROWS_AT_ONCE, rows)
        feedback[:] = 0.0
        for k in range(stop - 1 if coupling.size else 0):
            for i in range(max(k + 1, start), stop):
                weight = coupling[k, i]
                for j in range(columns):
                    feedback[i - start, j] += weight * errors[k, j]
        for i in range(start, stop):
            for j in range(columns):
                error = (errors[i, j] + feedback[i - start, j]) * factor[j, j]
                losses[i, j] = error * error


@kernel()
def _quantize_block_on_trellis(
    rotated,
    factor,
    coupling,
    row_exponents,
    column_exponents,
    steps,
    lowest,
    codes,
    weights,
    losses,
    row_scales,
    column_scales,
    sources,
    rate_weight,
    costs,
):
    """`_quantize_block` with the integers of each column on a trellis, where the expected scales let it run.

    rotated, factor, coupling, row_exponents, column_exponents, steps, lowest, codes, weights, losses : as there
    row_scales, column_scales : int64[rows], int64[b]; their sum is the expected log2 magnitude of an
        integer, 1/65536 octave
    sources : int64[states, 2, 2] of `trellis_sources`
    rate_weight : squared fine steps that a bit is worth
    costs : float64[2, classes, 16] of `bit_costs`
    """
    rows, columns = rotated.shape
    wanted, row_steps, scales, path = np.empty(rows), np.empty(rows), np.empty(rows, np.int64), np.empty(rows, np.int64)
    errors = np.empty((rows, columns))
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
            errors[i, j] = weight - wanted[i]
            held = path[i] if abs(path[i]) <= MAX_CODE else NO_CODE
            codes[i, j], weights[i, j] = np.int32(held), weight
            for k in range(j):
                rotated[i, k] -= weight * factor[j, k]
    _measure_losses(coupling, errors, factor, losses)


@kernel()
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

    rate_weight : squared fine steps that a bit is worth to the trellis search; base_fit : share of the
        factor that fits the chosen integers best (base_fit.py). Deterministic for single-threaded BLAS. Raises
        OverflowError for integers that no stream holds, and a loss that is not finite.
    """
    price = byte_price * FINE_STEP.get(trellis_states, 1.0)
    base = float(np.float32(min(max(price * 2.0**prepared.log2_base, MIN_BASE), MAX_BASE)))
    prepared = within_codes(prepared, base)
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
    check_magnitudes(codes)
    steps_of = prepared.row_exponents, prepared.column_exponents, base, prepared.resolution
    grid = GridValues(codes, *steps_of, trellis_states, initial_scale)
    loss = 0.5 * float(prepared.row_fisher @ losses)
    if base_fit:
        grid, loss = fit_base(prepared, grid, base_fit)
    if not math.isfinite(loss):
        raise OverflowError(f"a predicted loss of {loss}")
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
    """Codes int32[rows, columns] in matrix order, and the summed losses float64[rows] before the row Fisher."""
    rows, columns = prepared.weights.shape
    codes, losses, rotated = np.empty((rows, columns), np.int32), np.zeros(rows), np.empty((rows, columns))
    for some in row_blocks(rows):
        rotated[some] = prepared.weights[some] @ prepared.factor
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
        codes[:, prepared.order[start:stop]] = results[0]
        losses += results[2].sum(1)
        for some in row_blocks(rows if start else 0):
            rotated[some, :start] -= results[1][some] @ prepared.factor[start:stop, :start]
    return codes, losses
