"""`low-rank`: two thin factors on grids, alone, under a grid of what they leave, or over a grid to correct it.

Strategy: the loss of a change E is 1/2 |G^1/2 E L|² with G = diag(g) and L the factor of the moment, so the best factors of
rank r are those of a singular value decomposition of G^1/2 T L, mapped back (activation-weighted decomposition, as in LQER,
arXiv:2402.02446, where T is the quantization error). With A = G^-1/2 U S^1/2 and B = S^1/2 Vᵀ L^-1 an error of A is weighed by
B H Bᵀ = S and one of B by Aᵀ G A = S: both factors are matrices with second-order statistics of their own and go through the
ordinary quantizer at the ordinary price. B is fitted anew to A as it decodes.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from ...format.grid import reconstruct_grid
from ...format.parts import GridInStream, LowRankValues
from ..calibration import MatrixStatistics
from ..composite import CompositeMatrix
from .registry import Setting, register_kind
from .subsets import plain_grid
from .unit import Unit

RANKS = (1, 4, 16)
TAIL_SHARES = (0.5, 1.0, 1.5)  # of the plain grid's loss that leaving out the other directions may cost
LEAST_SINGULAR = 1e-9  # of the greatest: weaker directions are noise of the arithmetic


@register_kind
class LowRankKind:
    """Setting: ("alone", rank), ("under", rank) a grid of the rest, or ("over", rank) a grid whose error they correct."""

    name: ClassVar[str] = "low-rank"

    def settings(self, unit: Unit) -> list[Setting]:
        ranks = [rank for rank in RANKS if 2 * rank <= min(unit.shape)]
        found: list[Setting] = [(how, rank) for how in ("under", "over") for rank in ranks]
        sufficient = sorted({_sufficient_rank(unit, share) for share in TAIL_SHARES})
        return found + [("alone", rank) for rank in sufficient if 0 < 2 * rank <= min(unit.shape)]

    def follows_price(self, setting: Setting) -> bool:
        return True

    def fit(self, unit: Unit, setting: Setting) -> CompositeMatrix:
        how, rank = str(setting[0]), int(setting[1])
        if how == "over":
            base = plain_grid(unit)
            factors = _factors(unit, unit.target - base.weights, rank, weighted_directions(unit, "error"))
            return unit.composite(self.name, setting, [GridInStream(base.grid, 1), factors])
        factors = _factors(unit, unit.target, rank, weighted_directions(unit, "target"))
        if how == "alone":
            return unit.composite(self.name, setting, [factors])
        product = unit.composite(self.name, setting, [factors]).weights
        return unit.composite(self.name, setting, [factors, GridInStream(unit.grid(unit.target - product).grid, 1)])


def weighted_directions(unit: Unit, of: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Singular value decomposition of G^1/2 T L; T is the target or the error of its grid."""

    def decompose() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        values = unit.target if of == "target" else unit.target - plain_grid(unit).weights
        weighted = values[:, unit.prepared.order] @ unit.prepared.factor
        return np.linalg.svd(np.sqrt(unit.row_fisher)[:, None] * weighted, full_matrices=False)

    return unit.remembered(("singular", of), decompose)


def best_factors(unit: Unit, rank: int) -> np.ndarray:
    """float64[rows, columns]: the matrix of this rank that is nearest to the target under the second-order loss."""
    left, strengths, right = weighted_directions(unit, "target")
    kept = (left[:, :rank] * strengths[:rank]) @ right[:rank]
    found = np.empty(unit.shape)
    found[:, unit.prepared.order] = np.linalg.solve(unit.prepared.factor.T, kept.T).T / np.sqrt(unit.row_fisher)[:, None]
    return found


def low_rank_part(unit: Unit, values: np.ndarray, rank: int) -> LowRankValues:
    """The best factors of this rank for `values`, float64[rows, columns]."""
    weighted = values[:, unit.prepared.order] @ unit.prepared.factor
    singular = np.linalg.svd(np.sqrt(unit.row_fisher)[:, None] * weighted, full_matrices=False)
    return _factors(unit, values, rank, singular)


def _sufficient_rank(unit: Unit, share: float) -> int:
    """Least rank whose own loss is not above this share of the plain grid's."""
    tails = 0.5 * np.cumsum(np.square(weighted_directions(unit, "target")[1])[::-1])[::-1]
    return int((tails > share * plain_grid(unit).predicted_loss).sum())


def _factors(unit: Unit, values: np.ndarray, rank: int, singular: tuple[np.ndarray, np.ndarray, np.ndarray]) -> LowRankValues:
    """The best factors of this rank for `values`, quantized one after the other."""
    left, strengths = singular[0][:, :rank], singular[1][:rank]
    strengths = np.maximum(strengths, max(float(singular[1][0]) * LEAST_SINGULAR, 1e-30))
    fisher = unit.row_fisher
    a = left * np.sqrt(strengths) / np.sqrt(fisher)[:, None]
    first = unit.quantize(a, MatrixStatistics(np.diag(strengths), fisher)).grid
    a = reconstruct_grid(first).astype(np.float64)
    gram = a.T @ (fisher[:, None] * a)
    b = np.linalg.lstsq(np.sqrt(fisher)[:, None] * a, np.sqrt(fisher)[:, None] * values, rcond=None)[0]
    row_fisher = np.maximum(gram.diagonal(), 1e-30)
    second = unit.quantize(b, MatrixStatistics(unit.statistics.input_moment, row_fisher)).grid
    return LowRankValues(first, second, 1)
