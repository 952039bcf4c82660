"""`sparse`: single weights with values of their own: outliers of the matrix, or of its quantization error.

Strategy: a weight's claim is what leaving it out costs, g_i H_jj times its square (as in SpQR,
arXiv:2306.03078), or what the best correction of its error takes away. "apart" takes the largest
weights out before the grid is made, which keeps its scales small, "raw" likewise in half precision;
"finer" corrects the grid afterwards, all chosen weights of a row together. Which weights, and what is
made of them, are two functions, so that a set from any ranking can be built.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from ....format.tensors.grid import MAX_RESOLUTION
from ....format.tensors.terms import GridInStream, Part, SparseValues
from ...quantize.vectors import quantize_vectors
from ..composite import CompositeMatrix
from ..setting import Selection
from .subsets import APART, FINER, RAW, half_precision, plain_grid, worth_half_precision
from .unit import Unit

SHARES = (0.0002, 0.001, 0.005)
COARSEST = 1.0  # root mean squares of the values: a step is never coarser
LEAST_OUTLIER_BITS = (
    4.0  # of an integer, whose rarity costs beside its length; raw values also need no scale of their own
)
FINER_PRICE = 0.5


class SparseKind:
    """The strongest weights, how many and how: `Selection`."""

    name: ClassVar[str] = "sparse"
    setting: ClassVar[type[Selection]] = Selection

    def settings(self, unit: Unit) -> list[Selection]:
        """No more than an eighth of all weights; "raw" where a grid would take nearly as many bits for
        the strongest.
        """
        counts = [
            count
            for count in sorted({max(1, round(share * unit.target.size)) for share in SHARES})
            if 8 * count <= unit.target.size
        ]
        at = {count: np.unravel_index(strongest_weights(unit, APART, count), unit.shape) for count in counts}
        raw = {count for count in counts if worth_half_precision(unit, at[count], LEAST_OUTLIER_BITS)}
        return [Selection(how, count) for count in counts for how in (APART, FINER, RAW) if how != RAW or count in raw]

    def follows_price(self, setting: Selection) -> bool:
        return True

    def fit(self, unit: Unit, setting: Selection) -> CompositeMatrix:
        positions = strongest_weights(unit, setting.how, setting.count)
        return unit.composite(self.name, setting, weight_parts(unit, positions, setting.how))


def strongest_weights(unit: Unit, how: str, count: int) -> np.ndarray:
    """int64[count], ascending: row-major positions of most loss."""
    return np.sort(np.argsort(-weight_losses(unit, how).reshape(-1), kind="stable")[:count]).astype(np.int64)


def weight_losses(unit: Unit, how: str) -> np.ndarray:
    """float64[rows, columns]: twice the loss of leaving out each weight by itself, or that correcting
    it in the plain grid takes away.
    """
    if how != FINER:
        return unit.sensitivities * np.square(unit.target)
    return unit.correction_gains(unit.target - plain_grid(unit).weights)


def weight_parts(unit: Unit, positions: np.ndarray, how: str) -> list[Part]:
    """The grid of the matrix and the single weights at `positions` (int64, ascending, row-major) beside
    it: "apart", "finer" or "raw".
    """
    if how == FINER:
        base = plain_grid(unit)
        wanted = _corrections(unit, unit.target - base.weights, positions)
        return [GridInStream(base.grid, 1), _weights(unit, wanted, positions, unit.byte_price * FINER_PRICE)]
    if how == APART:
        chosen = _weights(unit, unit.target, positions, unit.byte_price)
    else:
        chosen = SparseValues(positions, half_precision(unit.target.reshape(-1)[positions][None]), 1)
    rest = unit.target.copy()
    rest.reshape(-1)[positions] -= chosen.inner_values()[0]
    return [GridInStream(unit.grid(rest).grid, 1), chosen]


def _corrections(unit: Unit, error: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """float64[rows, columns]: changes at these positions, those of a row the best there are beside the
    changed rows before it.
    """
    changes, hessian, fisher = np.zeros(unit.shape), unit.damped_hessian, unit.row_fisher
    coupled, weighed = unit.weighed(np.eye(len(fisher))), unit.weighed(error)
    rows, columns = np.divmod(positions, unit.shape[1])
    starts = np.flatnonzero(np.diff(rows, prepend=-1))
    for row, chosen in zip(rows[starts], np.split(columns, starts[1:]), strict=True):
        pulled = weighed[row] @ hessian[:, chosen] / fisher[row]
        changes[row, chosen] = np.linalg.solve(hessian[np.ix_(chosen, chosen)], pulled)
        weighed[:, chosen] -= np.outer(coupled[:, row], changes[row, chosen])
    return changes


def _weights(unit: Unit, values: np.ndarray, positions: np.ndarray, byte_price: float) -> SparseValues:
    """The values at these positions, on one step."""
    wanted, sensitivities = values.reshape(-1)[positions][None], unit.sensitivities.reshape(-1)[positions][None]
    found = quantize_vectors(wanted, sensitivities, byte_price, resolution=MAX_RESOLUTION, coarsest=COARSEST)
    return SparseValues(positions, found.grid, 1)


KIND = SparseKind()
