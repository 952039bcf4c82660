"""`low-rank`: two thin factors on grids, alone, beside rows that they miss, under a grid of what they
leave, or over a grid to correct it.

Strategy: the loss of a change E is 1/2 |G^1/2 E L|² with G = diag(g) and L the factor of the moment, so
the best factors of rank r are those of a singular value decomposition of G^1/2 T L, mapped back
(activation-weighted decomposition, as in LQER, arXiv:2402.02446, where T is the quantization error).
With A = G^-1/2 U S^1/2 and B = S^1/2 Vᵀ L^-1 an error of A is weighed by B H Bᵀ = S and one of B by Aᵀ
G A = S: both factors are matrices with second-order statistics of their own and go through the ordinary
quantizer at the ordinary price, less where a grid makes up for their errors (rescue.py). B is fitted
anew to A as it decodes. Alone they are the factorized embedding of ALBERT (arXiv:1909.11942). Ranks
come from the spectrum: a direction of strength s saves s²/2 and costs what coding its two vectors does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ....format.tensors.grid import reconstruct_grid
from ....format.tensors.terms import GridInStream, LowRankValues, Part
from ...row_blocks import row_blocks
from ...statistics.matrix_statistics import MatrixStatistics
from ..composite import CompositeMatrix
from ..setting import Setting
from .prices import coded_cost, coded_costs, weighted_costs
from .rescue import rescue_discounts, rescue_rows, worst_rows
from .subsets import plain_grid
from .unit import Unit

RANKS = (1, 2, 4, 8, 16, 32)
CORRECTIONS = (1, 4)
MOST_TRIED = 2  # settings of one way, those of least estimated cost
ROW_SHARES = (1 / 64, 1 / 16, 1 / 4)
TAIL_SHARES = (0.5, 1.0, 1.5)  # of the plain grid's loss that leaving out the other directions may cost
ESTIMATED_ROWS = 8192  # of a tall matrix, by which ranks are chosen
TALL, LEAST = 32, 1e-30  # rows over columns from which second moments stand for the matrix
LEAST_SINGULAR = 1e-9  # of the greatest: weaker directions are noise of the arithmetic
MOST_COST = 1.5  # estimated, over that of a grid, of factors alone or beside a few rows

Singular = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True, slots=True)
class LowRankSetting(Setting):
    """Factors and what stands beside them.

    how : "alone"; "under" a grid of the rest; "over" a grid whose error they correct; "rescued", beside
        grids of the rows that they miss most
    rows : how many rows are rescued; None unless they are
    """

    how: str
    rank: int
    rows: int | None = None


class LowRankKind:
    """Two factors, alone or with what they leave."""

    name: ClassVar[str] = "low-rank"
    setting: ClassVar[type[LowRankSetting]] = LowRankSetting

    def settings(self, unit: Unit) -> list[LowRankSetting]:
        most, limit = min(unit.shape) // 2, MOST_COST * coded_cost(unit, unit.target)
        singular = weighted_directions(unit, "target")
        costs, paying = direction_costs(unit, singular), paying_rank(unit, singular)
        sufficient = {_sufficient_rank(unit, share) for share in TAIL_SHARES}
        alone = [
            LowRankSetting("alone", r)
            for r in sorted(sufficient | {paying})
            if 0 < r <= most and costs[:r].sum() + _tail(singular, r) <= limit
        ]
        rescued = sorted(
            _beside_rows(unit, max(1, int(share * len(unit.target)))) for share in ROW_SHARES if len(unit.target) > 1
        )
        found = [
            LowRankSetting(*setting)
            for cost, *setting in rescued[:MOST_TRIED]
            if cost <= limit and 0 < setting[1] <= most
        ]
        return self.under(unit) + found + [LowRankSetting("over", r) for r in CORRECTIONS if r <= most] + alone

    def under(self, unit: Unit) -> list[LowRankSetting]:
        """The few of least estimated cost under a grid of the rest, by evenly spaced rows of a tall matrix."""
        rows = slice(None, None, -(-unit.shape[0] // ESTIMATED_ROWS))
        plain, costs = _costs_under(unit, rows)
        return [LowRankSetting("under", rank) for cost, rank in costs[:MOST_TRIED] if cost <= MOST_COST * plain]

    def promising(self, unit: Unit, share: float) -> list[LowRankSetting]:
        """Alone or under a grid of the rest, what is estimated to cost less than this share of a plain grid."""
        plain, costs = _costs_under(unit, slice(None))
        found = [LowRankSetting("under", rank) for cost, rank in costs[:MOST_TRIED] if cost < share * plain]
        singular = weighted_directions(unit, "target")
        rank = paying_rank(unit, singular)
        alone = float(direction_costs(unit, singular)[:rank].sum()) + _tail(singular, rank)
        if 0 < rank <= min(unit.shape) // 2 and alone < share * plain:
            found.append(LowRankSetting("alone", rank))
        return found

    def follows_price(self, setting: LowRankSetting) -> bool:
        return True

    def fit(self, unit: Unit, setting: LowRankSetting) -> CompositeMatrix:
        how, rank = setting.how, setting.rank
        if how == "over":
            base = plain_grid(unit)
            factors = factor_values(unit, unit.target - base.weights, rank, weighted_directions(unit, "error"))
            return unit.composite(self.name, setting, [GridInStream(base.grid, 1), factors])
        if how == "rescued":
            singular, members = _trimmed(unit, setting.rows)
            factors = factor_values(unit, _without(unit.target, members), rank, singular)
            parts = [factors, rescue_rows(unit, unit.target - unit.decoded([factors]), len(members))]
        else:
            parts = _factored_parts(unit, rank, under=how == "under")
        return unit.composite(self.name, setting, parts)


def _factored_parts(unit: Unit, rank: int, *, under: bool) -> list[Part]:
    """Factors of this rank, and a grid of what they leave where they stand under one."""
    values, singular = unit.values, weighted_directions(unit, "target")
    if not under:
        return [factor_values(unit, values, rank, singular)]
    rest = np.empty_like(values)
    for some in row_blocks(len(values)):
        rest[some] = values[some] - product(unit, singular, rank, some)
    factors = factor_values(unit, values, rank, singular, unit.row_fisher * rescue_discounts(unit, rest, len(values)))
    np.subtract(values, unit.decoded([factors]), out=rest)
    return [factors, GridInStream(unit.grid(rest).grid, 1)]


def weighted_singular(unit: Unit, values: np.ndarray) -> Singular:
    """Singular value decomposition of G^1/2 T L; of a matrix that is much taller than wide by the eigenvectors of its
    second moment, whose weak directions are less exact, and left vectors in float32.
    """
    roots = np.sqrt(unit.row_fisher)[:, None]
    rows, columns = values.shape
    if not _is_tall(values.shape):
        return np.linalg.svd(roots * (values @ unit.factor), full_matrices=False)

    def weighted(some: slice) -> np.ndarray:
        return roots[some] * (values[some] @ unit.factor)

    moment, left = np.zeros((columns, columns)), np.empty(values.shape, np.float32)
    for some in row_blocks(rows):
        block = weighted(some)
        moment += block.T @ block
    energies, right = np.linalg.eigh(moment)
    strengths, right = np.sqrt(np.maximum(energies[::-1], 0.0)), right[:, ::-1]
    for some in row_blocks(rows):
        left[some] = weighted(some) @ right / np.maximum(strengths, max(float(strengths[0]) * LEAST_SINGULAR, LEAST))
    return left, strengths, np.ascontiguousarray(right.T)


def weighted_directions(unit: Unit, of: str) -> Singular:
    """Decomposition of the target, or of the error of its grid."""
    return unit.remembered(
        ("singular", of),
        lambda: weighted_singular(unit, unit.values if of == "target" else unit.target - plain_grid(unit).weights),
    )


def product(unit: Unit, singular: Singular, rank: int, some: slice = slice(None)) -> np.ndarray:
    """float64[rows, columns]: the best approximation of this rank of some rows, before anything is quantized."""
    weighted = (singular[0][some, :rank] * singular[1][:rank]) @ singular[2][:rank]
    return np.linalg.solve(unit.factor.T, (weighted / np.sqrt(unit.row_fisher[some])[:, None]).T).T


def direction_costs(unit: Unit, singular: Singular) -> np.ndarray:
    """float64[directions]: nats of the loss and bits of storing each, its strength being split between both factors."""
    left, strengths, right = singular
    costs = np.zeros(len(strengths))
    for vectors in (*(left[some] for some in row_blocks(len(left))), right.T):
        shares = np.square(vectors) * np.square(strengths) / unit.distortion
        costs += (shares / (1 + shares) + np.log1p(shares)).sum(0)
    return 0.5 * unit.distortion * costs


def _trimmed(unit: Unit, count: int) -> tuple[Singular, np.ndarray]:
    """Decomposition of the target without the `count` rows that fit the others least, and these rows.

    First without the heaviest rows, then without those that the directions which pay miss most.
    """

    def trim() -> tuple[Singular, np.ndarray]:
        members = worst_rows(unit, unit.target, count)
        singular = weighted_singular(unit, _without(unit.target, members))
        right = singular[2][: paying_rank(unit, singular)] @ np.linalg.inv(unit.factor)  # directions of rows
        seen = unit.target @ unit.factor @ singular[2][: len(right)].T
        members = worst_rows(unit, unit.target - seen @ right, count)
        return weighted_singular(unit, _without(unit.target, members)), members

    return unit.remembered(("trimmed", count), trim)


def _without(values: np.ndarray, members: np.ndarray) -> np.ndarray:
    """The same values with these rows 0."""
    values = values.copy()
    values[members] = 0.0
    return values


def _beside_rows(unit: Unit, count: int) -> tuple[float, str, int, int]:
    """(estimated nats, setting) of the rank that pays beside `count` rescued rows."""
    singular, members = _trimmed(unit, count)
    rank = paying_rank(unit, singular)
    cost = (
        float(direction_costs(unit, singular)[:rank].sum())
        + _tail(singular, rank)
        + float(coded_costs(unit, unit.target)[members].sum())
    )
    return cost, "rescued", rank, count


def paying_rank(unit: Unit, singular: Singular) -> int:
    """How many directions cost less to store than to leave out."""
    return int((direction_costs(unit, singular) < 0.5 * np.square(singular[1])).sum())


def _costs_under(unit: Unit, rows: slice) -> tuple[float, list[tuple[float, int]]]:
    """Estimated nats of a plain grid, and (nats, rank) of factors under a grid of the rest, the least first.

    rows : by which the grids are estimated. What factors leave is taken as quantizers see it, G^1/2 W L.
    """
    left, strengths, right = singular = weighted_directions(unit, "target")
    times, left = len(left) / len(left[rows]), left[rows]
    weighted, paid = (left * strengths) @ right, np.cumsum(direction_costs(unit, singular))
    plain = times * float(weighted_costs(unit, weighted).sum())
    found = []
    for rank in (r for r in RANKS if r <= min(unit.shape) // 2):
        rest = weighted - (left[:, :rank] * strengths[:rank]) @ right[:rank]
        found.append((float(paid[rank - 1]) + times * float(weighted_costs(unit, rest).sum()), rank))
    return plain, sorted(found)


def _tail(singular: Singular, rank: int) -> float:
    return 0.5 * float(np.square(singular[1][rank:]).sum())


def _sufficient_rank(unit: Unit, share: float) -> int:
    """Least rank whose own loss is not above this share of the plain grid's."""
    tails = 0.5 * np.cumsum(np.square(weighted_directions(unit, "target")[1])[::-1])[::-1]
    return int((tails > share * plain_grid(unit).predicted_loss).sum())


def factor_values(
    unit: Unit, values: np.ndarray, rank: int, singular: Singular, fisher: np.ndarray | None = None
) -> LowRankValues:
    """The best factors of this rank for `values`, quantized one after the other; fisher : float64[rows]
    of what errors cost here.
    """
    left, strengths = singular[0][:, :rank], singular[1][:rank]
    strengths = np.maximum(strengths, max(float(singular[1][0]) * LEAST_SINGULAR, 1e-30))
    a = left * np.sqrt(strengths) / np.sqrt(unit.row_fisher)[:, None]
    fisher = unit.row_fisher if fisher is None else fisher
    first = unit.quantize(a, MatrixStatistics(np.diag(strengths), fisher)).grid
    a = reconstruct_grid(first).astype(np.float64)
    gram = a.T @ (fisher[:, None] * a)
    b = _second_factor(a, gram, fisher, values)
    row_fisher = np.maximum(gram.diagonal(), 1e-30)
    second = unit.quantize(b, MatrixStatistics(unit.statistics.hessian, row_fisher)).grid
    return LowRankValues(first, second, 1)


def _second_factor(a: np.ndarray, gram: np.ndarray, fisher: np.ndarray, values: np.ndarray) -> np.ndarray:
    """float64[rank, columns]: B for which A B is nearest to `values`, rows weighed by `fisher`; of a tall matrix by the
    normal equations, which need no copy of it. gram : float64[rank, rank], Aᵀ F A
    """
    if not _is_tall(values.shape):
        roots = np.sqrt(fisher)[:, None]
        return np.linalg.lstsq(roots * a, roots * values, rcond=None)[0]
    wanted = sum((fisher[some, None] * a[some]).T @ values[some] for some in row_blocks(len(values)))
    return np.linalg.lstsq(gram, wanted, rcond=None)[0]


def _is_tall(shape: tuple[int, int]) -> bool:
    """Whether a matrix has so many rows that sums over them take the place of its own decompositions."""
    return shape[0] >= TALL * shape[1]


KIND = LowRankKind()
