"""Choices for the bench: a matrix on the steps of a rule, some of whose rows, columns or weights are kept finer.

Strategy: the members of a matrix are made finer either by the steps of their line in the same grid, or by a residual on
top of the nearest integer, whose places are stored as a set. The residual is chosen inside the error feedback loop, so
that the other weights make up for exactly what is left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...compiler.menu.composite import CompositeMatrix
from ...compiler.menu.kinds import Unit
from ...compiler.menu.kinds.subsets import FINER
from ...compiler.menu.setting import Selection
from ...compiler.quantize.gptq import quantize_matrix
from ...compiler.quantize.grid_matrix import PreparedMatrix, QuantizedMatrix, with_steps
from ...format.tensors.grid import GridValues, exponents_or_zeros, step_table
from ...format.tensors.terms import GridInStream, SparseValues, SubsetValues
from ..measure.simple_steps import step_logs

ROWS, COLUMNS, WEIGHTS = "rows", "columns", "weights"
BLOCK_COLUMNS = 64


@dataclass(frozen=True, slots=True)
class OnSteps:
    """A matrix on the steps of a rule, some of whose lines are finer.

    axis, members : ROWS or COLUMNS, and which of them; octaves : how much finer than by the rule
    """

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
class WithResidual:
    """A matrix on the steps of a rule with a residual for its `members`.

    axis, members : ROWS, COLUMNS or WEIGHTS, and which of them, ascending; weights by their row-major places
    octaves : how much finer the residual's one step is than the geometric mean of the steps that it refines
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
        return unit.composite(
            self.axis, Selection(FINER, len(members)), [grid, self._part(members, mask, residual, fine)]
        )

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


def quantize_with_residual(
    prepared: PreparedMatrix, steps: np.ndarray, mask: np.ndarray, fine: float
) -> tuple[np.ndarray, np.ndarray]:
    """Integers on `steps`, and the integers on the step `fine` of what is left of the masked weights.

    steps : float64[rows, columns]; mask : bool of the same shape

    Returns int32[rows, columns] twice, the second 0 where the mask is not set. Columns are quantized last to first
    with error feedback, as in compiler/quantize/gptq.py without coupled rows.
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
