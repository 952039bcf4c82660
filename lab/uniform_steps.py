"""Uniform precision: one step a row, the same share of the row's root mean square in all matrices.

Strategy: only the steps differ from the compiler's own grids. Error feedback, coder and second-order losses stay, and parts that
are stored beside the grid keep the allocator's steps, so that a comparison is one of where the precision goes.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from ..compiler.candidates import Unit
from ..compiler.quantization import QuantizedMatrix, on_row_steps

LEAST = 1e-12
LEAST_SHARE = 0.5  # of the row's own step that a row from which something was taken out may have


@dataclass(frozen=True, slots=True)
class UniformUnit(Unit):
    """A unit whose grids of the whole matrix are on uniform steps; share : step over the row's root mean square at byte price 1."""

    share: float = 1.0

    @classmethod
    def of(cls, unit: Unit, share: float) -> UniformUnit:
        """The same matrix and statistics."""
        return cls(**{field.name: getattr(unit, field.name) for field in fields(unit) if field.init}, share=share)

    def grid(self, target: np.ndarray | None = None, octaves: float = 0.0) -> QuantizedMatrix:
        """A grid of this target (the unit's own unless given), at a byte price so many octaves coarser."""
        own = row_magnitudes(self.target)
        if target is None:
            prepared, magnitudes = self.prepared, own
        else:
            prepared = self.quantizer.prepare(target, self.statistics)
            magnitudes = np.maximum(row_magnitudes(target), LEAST_SHARE * own)
        return self.quantizer.quantize(on_row_steps(prepared, np.log2(self.share * magnitudes)), self.byte_price * 2.0**octaves)


def row_magnitudes(values: np.ndarray) -> np.ndarray:
    """float64[rows]: root mean squares, above 0."""
    return np.sqrt(np.square(values, dtype=np.float64).mean(1)) + LEAST
