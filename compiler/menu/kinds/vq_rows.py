"""`vq-rows`: a few whole rows, or wide pieces of rows, as codewords, an index and a factor for every
row, and the worst rows rescued.

Strategy: the codebook head of VQ-Logits (arXiv:2505.10202: a map from tokens to codewords) with what it
leaves out repaired. Rows are clustered under the second-order model: in units of the factor L of the
Hessian their distances are plain ones, weighed by their Fisher information (row_clustering.py).
Codewords go on a grid with the statistics they really have, the Hessian of the rows and the sum of the
Fisher information of their uses, less where a grid makes up for their errors (rescue.py); then every
row chooses again among codewords as they decode. Rows that still lose more than their bits are worth
get a grid of the difference, as a subset or, where most of them do, as one grid. How many that are, and
which settings are worth a trial, is estimated on clusters of randomly projected rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ....format.tensors.grid import MAX_RESOLUTION, reconstruct_grid
from ....format.tensors.terms import CodebookValues, Part
from ...statistics.matrix_statistics import MatrixStatistics
from ..composite import CompositeMatrix
from ..setting import Setting
from .prices import coded_cost
from .rescue import paying_rows, rescue_discounts, rescue_rows
from .row_clustering import ROUNDS, Clusters, cluster_rows, nearest_rows
from .unit import Unit

ROWS_A_WORD = (2, 4, 8, 16, 32)
MOST_WORDS = 4096
MOST_OFFERS = 2
MOST_COST = 1.5  # estimated, over that of a grid, of a setting that is tried
PROJECTED, PROJECTED_ROUNDS = 32, 3
FACTOR_BITS = 5.0  # of a row's factor, about
MAX_EXPONENT = 10 << MAX_RESOLUTION
LEAST = 1e-30


@dataclass(frozen=True, slots=True)
class VqRowsSetting(Setting):
    """Codewords for rows.

    how : "plain", or "scaled" with a factor for every row; pieces : of a row, a codeword each; count : of the codewords
    rescued : rows with a grid of what their codewords leave; all of them share one
    """

    how: str
    pieces: int
    count: int
    rescued: int


class VqRowsKind:
    """Whole rows as codewords; pieces of rows only where a caller asks for them."""

    name: ClassVar[str] = "vq-rows"
    setting: ClassVar[type[VqRowsSetting]] = VqRowsSetting

    def settings(self, unit: Unit) -> list[VqRowsSetting]:
        """The few of least estimated cost, for each the number of rows that pay to be rescued."""
        rows = len(unit.target)
        tried = [
            (how, 1, min(max(2, rows // share), MOST_WORDS))
            for share in ROWS_A_WORD
            for how in ("plain", "scaled")
            if rows >= 2 * share
        ]
        most = MOST_COST * coded_cost(unit, unit.target)
        found = [(*_estimate(unit, *setting), setting) for setting in dict.fromkeys(tried)]
        worth = sorted((cost, *setting, rescued) for cost, rescued, setting in found if cost <= most)
        return [VqRowsSetting(*setting) for _, *setting in worth[:MOST_OFFERS]]

    def follows_price(self, setting: VqRowsSetting) -> bool:
        return True

    def fit(self, unit: Unit, setting: VqRowsSetting) -> CompositeMatrix:
        how, pieces, count, rescued = setting.how, setting.pieces, setting.count, setting.rescued
        clusters, scales = unit.remembered(
            ("row clusters", how, pieces, count), lambda: _clusters(unit, how, pieces, count)
        )
        book = row_codebook(unit, clusters, scales, scaled=how == "scaled", pieces=pieces, count=count, rescued=rescued)
        parts: list[Part] = [book]
        if rescued:
            parts.append(rescue_rows(unit, unit.target - unit.decoded([book]), rescued))
        return unit.composite(self.name, setting, parts)


def _estimate(unit: Unit, how: str, pieces: int, count: int) -> tuple[float, int]:
    """Nats a token of loss and bits that a setting will about cost, and the rows worth rescuing."""
    clusters, scales = _clusters(unit, how, pieces, count, PROJECTED)
    parts, weights = scaled_pieces(unit, scales, pieces)
    words = clusters.means(parts, weights, count)
    decoded = scales[:, None] * (clusters.scales[:, None] * words[clusters.labels]).reshape(unit.shape)
    cost, rescued = paying_rows(unit, unit.target - decoded)
    claims = clusters.claims(weights * np.repeat(rescue_discounts(unit, unit.target - decoded, rescued), pieces), count)
    cost += coded_cost(unit, words, piece_factor(unit, pieces), np.sqrt(claims))
    bits = clusters.labels.size * np.log2(count) + (FACTOR_BITS * len(scales) if how == "scaled" else 0.0)
    return cost + unit.bit_value * bits, rescued


def scaled_pieces(unit: Unit, scales: np.ndarray, pieces: int) -> tuple[np.ndarray, np.ndarray]:
    """float64[rows * pieces, d] pieces of rows over the factors of their rows, and their weights."""
    parts = (unit.target / scales[:, None]).reshape(len(scales) * pieces, -1)
    return parts, np.repeat(unit.row_fisher * np.square(scales), pieces)


def piece_factor(unit: Unit, pieces: int) -> np.ndarray:
    """float64[d, d]: factor of the Hessian of a piece, the mean of the pieces' own."""
    if pieces == 1:
        return unit.factor
    width = unit.shape[1] // pieces
    blocks = [unit.damped_hessian[k : k + width, k : k + width] for k in range(0, unit.shape[1], width)]
    return np.linalg.cholesky(sum(blocks) / pieces)


def _clusters(
    unit: Unit, how: str, pieces: int, count: int, projected: int | None = None
) -> tuple[Clusters, np.ndarray]:
    """Codeword of every piece of the float matrix, and the rows' factors before the clusters' own.

    Whole rows have the factors that the clusters find; pieces of one row share one, that of its root mean square.
    """
    scales = np.ones(len(unit.target))
    if how == "scaled" and pieces > 1:
        energies = np.square(unit.target).mean(1)
        scales = np.exp2(_exponents(np.sqrt(energies / max(float(np.median(energies)), LEAST)), 0))
    parts, weights = scaled_pieces(unit, scales, pieces)
    vectors = parts @ piece_factor(unit, pieces)
    if projected is not None and projected < vectors.shape[1]:
        vectors = vectors @ np.random.default_rng(0).standard_normal((vectors.shape[1], projected)) / np.sqrt(projected)
    gains = how == "scaled" and pieces == 1
    rounds = ROUNDS if projected is None else PROJECTED_ROUNDS
    return cluster_rows(vectors, weights, count, gains=gains, bit_value=2 * unit.bit_value, rounds=rounds), scales


def row_codebook(
    unit: Unit, clusters: Clusters, scales: np.ndarray, *, scaled: bool, pieces: int, count: int, rescued: int
) -> CodebookValues:
    """Codewords for the factors that rows can have, the most frequent in the middle, quantized; every
    row's choice as they decode.

    clusters : of the pieces of all rows; scales : float64[rows] factors of rows besides those of the clusters
    """
    labels, exponents, resolution = clusters.labels, None, 0
    if scaled:
        words = clusters.means(*scaled_pieces(unit, scales, pieces), count)
        found = scales[:, None] * words[labels].reshape(unit.shape)
        exponents, resolution = fit_exponents(unit, scales * _row_factors(unit, found))
        scales = np.exp2(exponents / 2.0**resolution)
    parts, weights = scaled_pieces(unit, scales, pieces)
    factor, settled = piece_factor(unit, pieces), Clusters(labels, np.ones(len(labels)))
    order = middle_out(np.bincount(labels, minlength=count))
    words = settled.means(parts, weights, count)
    error = unit.target - scales[:, None] * words[labels].reshape(unit.shape)
    claims = settled.claims(weights * np.repeat(rescue_discounts(unit, error, rescued), pieces), count)
    grid = unit.quantize(words[order], MatrixStatistics(factor @ factor.T, np.maximum(claims[order], LEAST))).grid
    chosen = nearest_rows(parts @ factor, weights, reconstruct_grid(grid) @ factor, gains=False)
    return CodebookValues(grid, chosen.labels.reshape(-1, pieces), exponents, resolution, 1)


def _row_factors(unit: Unit, decoded: np.ndarray) -> np.ndarray:
    """float64[rows]: the factor of each row of codewords that is nearest to the target."""
    wanted, found = unit.target @ unit.factor, decoded @ unit.factor
    return (wanted * found).sum(1) / np.maximum(np.square(found).sum(1), LEAST)


def _exponents(scales: np.ndarray, resolution: int) -> np.ndarray:
    """int64[rows]: nearest exponents to positive factors, at 2**resolution steps an octave."""
    bound = MAX_EXPONENT >> (MAX_RESOLUTION - resolution)
    return np.clip(np.rint(np.log2(np.maximum(scales, LEAST)) * 2.0**resolution), -bound, bound).astype(np.int64)


def fit_exponents(unit: Unit, scales: np.ndarray) -> tuple[np.ndarray, int]:
    """Exponents of the rows' factors and their resolution, of least loss and bits."""
    energies = unit.row_losses(
        np.zeros(unit.shape)
    )  # of the rows, nearly those of their codewords with the right factor

    def cost(resolution: int) -> float:
        exponents = _exponents(scales, resolution)
        misses = np.square(np.exp2(exponents / 2.0**resolution) / np.maximum(scales, LEAST) - 1)
        shares = np.unique(exponents, return_counts=True)[1] / len(exponents)
        return float(np.minimum(misses, 1.0) @ energies) - unit.bit_value * len(exponents) * float(
            shares @ np.log2(shares)
        )

    resolution = min(range(MAX_RESOLUTION + 1), key=cost)
    return _exponents(scales, resolution), resolution


def middle_out(uses: np.ndarray) -> np.ndarray:
    """int64[K]: which codeword comes at each place when the most frequent ones are in the middle, whose
    index is cheap.
    """
    order = np.empty(len(uses), np.int64)
    order[np.argsort(np.abs(np.arange(len(uses)) - len(uses) // 2), kind="stable")] = np.argsort(-uses, kind="stable")
    return order


KIND = VqRowsKind()
