"""Steps of a matrix by simpler rules than the allocator's, from what papers call uniform to the allocator's own.

Strategy: a rule gives the log2 steps of rows and columns at byte price 1. Error feedback, coding and
second-order losses stay those of the compiler, so that a comparison is one of where the precision goes.
With g_i the Fisher information of a row and L_jj the diagonal of the Cholesky factor of the Hessian
proxy, the squared error of a weight costs g_i L_jj^2 / 2, and steps of equal marginal return are price
/ sqrt(mean of g_i L_jj^2 over the weights that share one):

    one-step      one step for the whole matrix
    row-scale     one step a row in proportion to the row's root mean square: the same precision for every weight
    row-steps     one step a row by the row's importance
    column-steps  one step a column by the column's importance, the same for all rows
    all-steps     rows and columns by their importance: the allocator

Whole artifacts (equal_bytes.py) know two of these under the names that the command line gives them: `uniform` is
row-scale, and `per-matrix` is one step a matrix, the geometric mean of the allocator's.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from ...compiler.menu.kinds import Unit
from ...compiler.quantize.grid_matrix import PreparedMatrix, QuantizedMatrix, with_steps

ONE_STEP, ROW_SCALE, ROW_STEPS, COLUMN_STEPS = "one-step", "row-scale", "row-steps", "column-steps"
ALL_STEPS = "all-steps"
RULES = (ONE_STEP, ROW_SCALE, ROW_STEPS, COLUMN_STEPS, ALL_STEPS)
UNIFORM, PER_MATRIX, ALLOCATED = "uniform", "per-matrix", "allocated"
STEPS = (UNIFORM, PER_MATRIX, ALLOCATED)
SCALES_A_PRICE = 2048.0  # a row's step at byte price 1 over the row's root mean square, by the rule row-scale
LEAST_RMS, LEAST_RMS_SHARE = 1e-12, 1e-6  # of a row: absolute, and of the largest row's
LEAST_SHARE = 0.5  # of its own step that a row may have after something was taken out of it


def step_logs(prepared: PreparedMatrix, rule: str) -> tuple[np.ndarray, np.ndarray]:
    """float64[rows], float64[columns]: log2 steps of a rule, one of RULES, at byte price 1, in matrix order."""
    rows, columns = prepared.weights.shape
    if rule == ROW_SCALE:
        return np.log2(SCALES_A_PRICE * row_magnitudes(prepared.weights)), np.zeros(columns)
    row_costs, column_costs = prepared.row_fisher, column_energies(prepared)
    if rule in (ONE_STEP, COLUMN_STEPS):
        row_costs = np.full(rows, row_costs.mean())
    if rule in (ONE_STEP, ROW_STEPS):
        column_costs = np.full(columns, column_costs.mean())
    return -0.5 * np.log2(row_costs), -0.5 * np.log2(column_costs)


def column_energies(prepared: PreparedMatrix) -> np.ndarray:
    """float64[columns], in matrix order: L_jj^2, what a squared error in a column costs once later
    columns make up for it.
    """
    energies = np.empty(prepared.weights.shape[1])
    energies[prepared.order] = np.square(prepared.factor.diagonal())
    return energies


def expected_losses(prepared: PreparedMatrix, rule: str) -> np.ndarray:
    """float64[rows, columns], nats a token at byte price 1: g_i L_jj^2 step^2 / 24, the cost of errors
    uniform in a step.
    """
    row_logs, column_logs = step_logs(prepared, rule)
    by_row, by_column = (np.exp2(2 * logs) for logs in (row_logs, column_logs))
    return np.multiply.outer(prepared.row_fisher * by_row, column_energies(prepared) * by_column) / 24


def row_magnitudes(values: np.ndarray) -> np.ndarray:
    """float64[rows]: root mean squares, none of them 0."""
    magnitudes = np.sqrt(np.square(values, dtype=np.float64).mean(1))
    return np.maximum(magnitudes, max(LEAST_RMS, LEAST_RMS_SHARE * float(magnitudes.max())))


@dataclass(frozen=True, slots=True)
class SteppedUnit(Unit):
    """A unit whose grids of the whole matrix are on `steps`, UNIFORM or PER_MATRIX.

    share : step at byte price 1 over the row's root mean square, or over the geometric mean of the allocator's steps
    """

    steps: str = UNIFORM
    share: float = 1.0

    @classmethod
    def of(cls, unit: Unit, steps: str, share: float) -> SteppedUnit:
        """The same matrix and statistics."""
        known = {field.name: getattr(unit, field.name) for field in fields(unit) if field.init}
        return cls(**known, steps=steps, share=share)

    def grid(self, target: np.ndarray | None = None, octaves: float = 0.0) -> QuantizedMatrix:
        """A grid of `target`, or of the unit's own target, at a byte price so many octaves coarser."""
        prepared = self.prepared if target is None else self.quantizer.prepare(target, self.statistics)
        stepped = with_steps(prepared, self._row_logs(prepared, target), np.zeros(self.shape[1]))
        return self.quantizer.quantize(stepped, self.byte_price * 2.0**octaves)

    def _row_logs(self, prepared: PreparedMatrix, target: np.ndarray | None) -> np.ndarray:
        """float64[rows]: log2 steps at byte price 1."""
        if self.steps == PER_MATRIX:
            exponents = (prepared.row_exponents.mean() + prepared.column_exponents.mean()) / 2**prepared.resolution
            return np.full(self.shape[0], np.log2(self.share) + prepared.log2_base + exponents)
        magnitudes = row_magnitudes(self.target)
        if target is not None:
            magnitudes = np.maximum(row_magnitudes(target), LEAST_SHARE * magnitudes)
        return np.log2(self.share * magnitudes)
