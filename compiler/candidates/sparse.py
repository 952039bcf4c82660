"""`sparse`: single weights with values of their own: outliers of the matrix, or of its quantization error.

Strategy: a weight's claim is g_i H_jj times its square (as in SpQR, arXiv:2306.03078). "apart" takes the largest weights out
before the grid is made, which keeps its scales small, "raw" likewise in half precision; "finer" corrects the largest errors of the
grid afterwards. Which weights, and what is made of them, are two functions, so that a set from any ranking can be built.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from ...format.grid import MAX_RESOLUTION
from ...format.parts import GridInStream, Part, SparseValues, part_matrices, reconstruct_matrix
from ..composite import CompositeMatrix
from ..quantization import quantize_vectors
from .registry import Setting, register_kind
from .subsets import APART, FINER, half_precision, plain_grid
from .unit import Unit

SHARES = (0.0002, 0.001, 0.005)
COARSEST = 1.0  # root mean squares of the values: a step is never coarser
FINER_PRICE = 0.5


@register_kind
class SparseKind:
    """Setting: ("apart", "finer" or "raw", number of weights); "raw" is never offered."""

    name: ClassVar[str] = "sparse"

    def settings(self, unit: Unit) -> list[Setting]:
        counts = sorted({max(1, round(share * unit.target.size)) for share in SHARES})
        return [(how, count) for count in counts if 8 * count <= unit.target.size for how in (APART, FINER)]

    def follows_price(self, setting: Setting) -> bool:
        return True

    def fit(self, unit: Unit, setting: Setting) -> CompositeMatrix:
        how, count = str(setting[0]), int(setting[1])
        return unit.composite(self.name, setting, weight_parts(unit, strongest_weights(unit, how, count), how))


def strongest_weights(unit: Unit, how: str, count: int) -> np.ndarray:
    """int64[count], ascending row-major positions of most loss: of the weights for "apart", of the plain grid's errors otherwise."""
    values = unit.target if how == APART else unit.target - plain_grid(unit).weights
    losses = (unit.sensitivities * np.square(values)).reshape(-1)
    return np.sort(np.argsort(-losses, kind="stable")[:count]).astype(np.int64)


def weight_parts(unit: Unit, positions: np.ndarray, how: str) -> list[Part]:
    """The grid of the matrix and the single weights at `positions` (int64, ascending, row-major) beside it: "apart", "finer" or "raw"."""
    if how == FINER:
        base = plain_grid(unit)
        return [GridInStream(base.grid, 1), _weights(unit, unit.target - base.weights, positions, unit.byte_price * FINER_PRICE)]
    if how == APART:
        chosen = _weights(unit, unit.target, positions, unit.byte_price)
    else:
        chosen = SparseValues(positions, half_precision(unit.target.reshape(-1)[positions][None]), 1)
    rest = unit.target.copy()
    rest.reshape(-1)[positions] -= reconstruct_matrix(*part_matrices(chosen))[0]
    return [GridInStream(unit.grid(rest).grid, 1), chosen]


def _weights(unit: Unit, values: np.ndarray, positions: np.ndarray, byte_price: float) -> SparseValues:
    """The values at these positions, on one step."""
    wanted, sensitivities = values.reshape(-1)[positions][None], unit.sensitivities.reshape(-1)[positions][None]
    found = quantize_vectors(wanted, sensitivities, byte_price, resolution=MAX_RESOLUTION, coarsest=COARSEST)
    return SparseValues(positions, found.grid, 1)
