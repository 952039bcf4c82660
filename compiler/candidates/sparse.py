"""`sparse`: single weights with values of their own: outliers of the matrix, or of its quantization error.

Strategy: a weight's claim is g_i H_jj times its square (as in SpQR, arXiv:2306.03078). "apart" takes the largest weights out
before the grid is made, which keeps its scales small; "finer" corrects the largest errors of the grid afterwards.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from ...format.grid import MAX_RESOLUTION, reconstruct_grid
from ...format.parts import GridInStream, SparseValues
from ..composite import CompositeMatrix
from ..quantization import quantize_vectors
from .registry import Setting, register_kind
from .unit import Unit

SHARES = (0.0002, 0.001, 0.005)
COARSEST = 1.0  # root mean squares of the values: a step is never coarser
FINER = 0.5


@register_kind
class SparseKind:
    """Setting: ("apart" or "finer", number of weights)."""

    name: ClassVar[str] = "sparse"

    def settings(self, unit: Unit) -> list[Setting]:
        counts = sorted({max(1, round(share * unit.target.size)) for share in SHARES})
        return [(how, count) for count in counts if 8 * count <= unit.target.size for how in ("apart", "finer")]

    def follows_price(self, setting: Setting) -> bool:
        return True

    def fit(self, unit: Unit, setting: Setting) -> CompositeMatrix:
        how, count = setting[0], int(setting[1])
        if how == "apart":
            chosen = _outliers(unit, unit.target, count, unit.byte_price)
            rest = unit.target.copy()
            rest.reshape(-1)[chosen.positions] -= reconstruct_grid(chosen.part)[0]
            return unit.composite(self.name, setting, [GridInStream(unit.grid(rest).grid, 1), chosen])
        base = unit.remembered("grid", unit.grid)
        chosen = _outliers(unit, unit.target - base.weights, count, unit.byte_price * FINER)
        return unit.composite(self.name, setting, [GridInStream(base.grid, 1), chosen])


def _outliers(unit: Unit, values: np.ndarray, count: int, byte_price: float) -> SparseValues:
    """The `count` values of most loss, on one step."""
    sensitivities = unit.sensitivities.reshape(-1)
    flat = values.reshape(-1)
    positions = np.sort(np.argsort(-sensitivities * np.square(flat), kind="stable")[:count]).astype(np.int64)
    found = quantize_vectors(
        flat[positions][None], sensitivities[positions][None], byte_price, resolution=MAX_RESOLUTION, coarsest=COARSEST
    )
    return SparseValues(positions, found.grid, 1)
