"""Rules for the steps of a matrix, from what papers call uniform to the allocator's own, and exceptions to them.

Strategy: a rule gives the log2 steps of rows and columns at byte price 1; error feedback and coding are the same for all rules, so
that only the allocation differs. With g_i the Fisher information of a row and L_jj the diagonal of the factor of its Hessian, a
weight's squared error costs g_i L_jj^2 / 2, and steps of equal marginal return are price / sqrt(mean of g_i L_jj^2 over what shares one):
    one-step      one step for the matrix
    row-scale     one step a row in proportion to its root mean square: one precision for the whole model
    row-steps     one step a row by its importance
    column-steps  one step a column by its importance, the same for all rows
    all-steps     rows and columns by theirs: the allocator
Exceptions are chosen rows, columns or single weights whose steps are some octaves finer: by the steps of their line, or by a residual on
top of the nearest integer, told as a set, inside the feedback loop, so that other weights make up for exactly what is left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...compiler.menu.kinds import Unit
from ...compiler.quantize.composite import CompositeMatrix, Quantized
from ...compiler.quantize.gptq import PreparedMatrix, QuantizedMatrix, quantize_matrix, with_steps
from ...format.tensors.grid import GridValues, exponents_or_zeros, reconstruct_grid, step_table
from ...format.tensors.parts import GridInStream, SparseValues, SubsetValues

ONE_STEP, ROW_SCALE, ROW_STEPS, COLUMN_STEPS, ALL_STEPS = (
    "one-step",
    "row-scale",
    "row-steps",
    "column-steps",
    "all-steps",
)
RULES = (ONE_STEP, ROW_SCALE, ROW_STEPS, COLUMN_STEPS, ALL_STEPS)
ROWS, COLUMNS, WEIGHTS = "rows", "columns", "weights"
SCALES_A_PRICE = 2048.0  # root mean squares of a row that its step is at byte price 1, by the rule row-scale
LEAST_RMS = 1e-12
BLOCK_COLUMNS = 64


@dataclass(frozen=True, slots=True)
class Steps:
    """A matrix on steps of a rule; `members` of one axis (ROWS or COLUMNS) are `octaves` finer."""

    rule: str
    axis: str = ROWS
    members: Sequence[int] = ()
    octaves: float = 0.0

    def fit(self, unit: Unit) -> QuantizedMatrix:
        row_logs, column_logs = step_logs(unit.prepared, self.rule)
        finer = row_logs if self.axis == ROWS else column_logs
        finer[np.asarray(self.members, np.int64)] -= self.octaves
        found = quantize_matrix(with_steps(unit.prepared, row_logs, column_logs), unit.byte_price)
        return replace(found, grid=without_equal_steps(found.grid))


@dataclass(frozen=True, slots=True)
class Exceptions:
    """A matrix on steps of a rule with a residual for `members`: rows, columns, or row-major places of single weights, ascending.

    The residual's one step is `octaves` finer than the geometric mean of the steps that it refines.
    """

    rule: str
    axis: str
    members: Sequence[int]
    octaves: float

    def fit(self, unit: Unit) -> CompositeMatrix:
        members = np.asarray(self.members, np.int64)
        base = without_equal_steps(
            empty_grid(with_steps(unit.prepared, *step_logs(unit.prepared, self.rule)), unit.byte_price)
        )
        mask = self._mask(unit.shape, members)
        steps = steps_of(base)
        fine = float(np.float32(np.exp2(np.log2(steps[mask]).mean() - self.octaves)))
        codes, residual = quantize_with_residual(unit.prepared, steps, mask, fine)
        grid = GridInStream(replace(base, codes=codes), 1)
        return unit.composite(self.axis, (len(members),), [grid, self._part(members, mask, residual, fine)])

    def _mask(self, shape: tuple[int, int], members: np.ndarray) -> np.ndarray:
        mask = np.zeros(shape, bool)
        if self.axis == WEIGHTS:
            mask.reshape(-1)[members] = True
        else:
            mask[(members,) if self.axis == ROWS else (slice(None), members)] = True
        return mask

    def _part(
        self, members: np.ndarray, mask: np.ndarray, residual: np.ndarray, step: float
    ) -> SubsetValues | SparseValues:
        if self.axis == WEIGHTS:
            return SparseValues(members, GridValues(residual[mask][None], None, None, step, 0), 1)
        chosen = residual[members] if self.axis == ROWS else np.ascontiguousarray(residual[:, members])
        return SubsetValues(0 if self.axis == ROWS else 1, members, GridValues(chosen, None, None, step, 0), 1)


Allocated = Steps | Exceptions


def step_logs(prepared: PreparedMatrix, rule: str) -> tuple[np.ndarray, np.ndarray]:
    """float64[rows], float64[columns]: log2 steps of a rule at byte price 1, in matrix order."""
    rows, columns = prepared.weights.shape
    energies = np.empty(columns)
    energies[prepared.order] = np.square(prepared.factor.diagonal())
    fisher = prepared.row_fisher
    if rule == ROW_SCALE:
        scale = np.sqrt(np.square(prepared.weights).mean(1))
        scale = np.maximum(scale, max(LEAST_RMS, 1e-6 * float(scale.max())))
        return np.log2(SCALES_A_PRICE * scale), np.zeros(columns)
    rows_alike, columns_alike = rule in (ONE_STEP, COLUMN_STEPS), rule in (ONE_STEP, ROW_STEPS)
    row_costs = np.full(rows, fisher.mean()) if rows_alike else fisher
    column_costs = np.full(columns, energies.mean()) if columns_alike else energies
    return -0.5 * np.log2(row_costs), -0.5 * np.log2(column_costs)


def expected_losses(prepared: PreparedMatrix, rule: str) -> np.ndarray:
    """float64[rows, columns] nats a token at byte price 1: g_i L_jj^2 step^2 / 24, what uniform errors within the steps cost."""
    row_logs, column_logs = step_logs(prepared, rule)
    energies = np.empty(len(column_logs))
    energies[prepared.order] = np.square(prepared.factor.diagonal())
    return np.multiply.outer(prepared.row_fisher * np.exp2(2 * row_logs), energies * np.exp2(2 * column_logs)) / 24


def quantize_with_residual(
    prepared: PreparedMatrix, steps: np.ndarray, mask: np.ndarray, fine: float
) -> tuple[np.ndarray, np.ndarray]:
    """Integers int32[rows, columns] on `steps`, and of what the masked ones leave on the step `fine`; others have residual 0.

    steps : float64[rows, columns]; columns last to first with error feedback, as compiler/quantize/gptq.py without coupling.
    """
    factor, order = prepared.factor, prepared.order
    rows, columns = steps.shape
    rotated = prepared.weights @ factor
    codes, residual = np.zeros((rows, columns), np.int32), np.zeros((rows, columns), np.int32)
    for stop in range(columns, 0, -BLOCK_COLUMNS):
        start = max(0, stop - BLOCK_COLUMNS)
        chosen = np.empty((rows, stop - start))
        for j in range(stop - 1, start - 1, -1):
            place = order[j]
            target = rotated[:, j] / factor[j, j]
            codes[:, place] = np.rint(target / steps[:, place])
            found = codes[:, place] * steps[:, place]
            residual[:, place] = np.where(mask[:, place], np.rint((target - found) / fine), 0)
            chosen[:, j - start] = found + residual[:, place] * fine
            rotated[:, start:j] -= np.multiply.outer(chosen[:, j - start], factor[j, start:j])
        rotated[:, :start] -= chosen @ factor[start:stop, :start]
    return codes, residual


def empty_grid(prepared: PreparedMatrix, byte_price: float) -> GridValues:
    """The grid of a matrix at a byte price with all integers 0."""
    base = float(np.float32(byte_price * 2.0**prepared.log2_base))
    return GridValues(
        np.zeros(prepared.weights.shape, np.int32),
        prepared.row_exponents,
        prepared.column_exponents,
        base,
        prepared.resolution,
    )


def steps_of(grid: GridValues) -> np.ndarray:
    """float64[rows, columns]: the steps that the decoder multiplies with."""
    rows, columns = grid.codes.shape
    exponents = np.add.outer(
        exponents_or_zeros(grid.row_exponents, rows), exponents_or_zeros(grid.column_exponents, columns)
    )
    lowest = int(exponents.min())
    return step_table(grid.base, grid.resolution, lowest, int(exponents.max())).astype(np.float64)[exponents - lowest]


def without_equal_steps(grid: GridValues) -> GridValues:
    """The same grid without exponents that are all 0, which then cost nothing."""
    row, column = (e if e is not None and e.any() else None for e in (grid.row_exponents, grid.column_exponents))
    return replace(
        grid,
        row_exponents=row,
        column_exponents=column,
        resolution=0 if row is None and column is None else grid.resolution,
    )


def set_bytes(quantized: Quantized, unit: Unit) -> int:
    """Bytes of a composite of grid and residual over those of its grid alone: set, residual and their records."""
    if not isinstance(quantized, CompositeMatrix):
        return 0
    grid = quantized.parts[0].grid
    return unit.bytes_of(quantized) - unit.bytes_of(QuantizedMatrix(grid, reconstruct_grid(grid), 0.0))
