"""Cheap paths on other steps than the allocator's: uniform precision for all weights, or one step a matrix.

Strategy: only the steps differ from the compiler's own grids. Error feedback, coder and second-order losses stay, and parts that
are stored beside the grid keep the allocator's steps, so that a comparison is one of where the precision goes.
    uniform      one step a row, the same share of the row's root mean square in all matrices: the same bits for every weight
    per-matrix   one step a matrix, the geometric mean of the allocator's: precision goes to matrices, not to rows and columns
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from ...compiler.menu.kinds import Unit
from ...compiler.quantize.gptq import PreparedMatrix, QuantizedMatrix, with_steps

UNIFORM, PER_MATRIX, ALLOCATED = "uniform", "per-matrix", "allocated"
STEPS = (UNIFORM, PER_MATRIX, ALLOCATED)
LEAST = 1e-12
LEAST_SHARE = 0.5  # of the row's own step that a row from which something was taken out may have


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
        return cls(
            **{field.name: getattr(unit, field.name) for field in fields(unit) if field.init}, steps=steps, share=share
        )

    def grid(self, target: np.ndarray | None = None, octaves: float = 0.0) -> QuantizedMatrix:
        """A grid of this target (the unit's own unless given), at a byte price so many octaves coarser."""
        prepared = self.prepared if target is None else self.quantizer.prepare(target, self.statistics)
        stepped = with_steps(prepared, self._log_steps(prepared, target), np.zeros(self.shape[1]))
        return self.quantizer.quantize(stepped, self.byte_price * 2.0**octaves)

    def _log_steps(self, prepared: PreparedMatrix, target: np.ndarray | None) -> np.ndarray:
        """float64[rows]: log2 steps at byte price 1."""
        if self.steps == PER_MATRIX:
            exponents = (prepared.row_exponents.mean() + prepared.column_exponents.mean()) / 2**prepared.resolution
            return np.full(self.shape[0], np.log2(self.share) + prepared.log2_base + exponents)
        magnitudes = row_magnitudes(self.target)
        if target is not None:
            magnitudes = np.maximum(row_magnitudes(target), LEAST_SHARE * magnitudes)
        return np.log2(self.share * magnitudes)


def row_magnitudes(values: np.ndarray) -> np.ndarray:
    """float64[rows]: root mean squares, above 0."""
    return np.sqrt(np.square(values, dtype=np.float64).mean(1)) + LEAST
