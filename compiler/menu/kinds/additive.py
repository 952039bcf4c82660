"""Additive codebooks: every vector is the sum of one codeword from each of several tables.

Strategy: as in AQLM (arXiv:2401.06118), with the second-order model as the metric. The first tables are residual: each clusters what
the ones before leave. Then, in turns, the choices of all vectors are searched with a beam over the tables, and all tables are fitted
again at once to the choices, a least-squares problem for each coordinate whose normal equations count which codewords meet.
Metric: sum of g_i |(v_i - sum_m C_m[k_im]) L|² with L the mean factor of the groups of columns that codewords stand for.
Only settings whose indices alone cost less than a grid would are tried.
"""

from __future__ import annotations

import numpy as np

from ....format.tensors.grid import MAX_RESOLUTION, reconstruct_grid
from ....format.tensors.terms import CodebookValues, Part
from ...quantize.vectors import quantize_vectors
from .clustering import MOST_SAMPLES
from .prices import coded_cost
from .protocols import Setting
from .row_clustering import LEAST, cluster_rows
from .unit import Unit
from .vq_rows import fit_exponents, middle_out, piece_factor, scaled_pieces

ADDITIVE = "residual"
SIZES = ((8, 16), (8, 256))
TABLES = 2
BEAM = 4
TURNS = 4
RIDGE = 1e-6  # of the mean weight of a codeword: keeps what nobody uses at zero
LEAST_SHARE = 8  # codewords take less than this part of the weights they stand for
COARSEST = 0.25
LEAST_SPREAD = 0.3  # standard deviation of the rows' root mean squares, in octaves, from which factors are stored


def additive_settings(unit: Unit) -> list[Setting]:
    """("residual", weights in a codeword, codewords of each of the two tables)."""
    most = coded_cost(unit, unit.target)
    return [
        (ADDITIVE, width, size) for width, size in SIZES
        if unit.shape[1] % width == 0 and TABLES * width * size * LEAST_SHARE <= unit.target.size
        and unit.bit_value * TABLES * np.log2(size) * unit.target.size / width < most
    ]  # fmt: skip


def additive_parts(unit: Unit, width: int, size: int) -> list[Part]:
    """Two codebook terms with the same factors of the rows, or with none where rows are much alike."""
    logs = 0.5 * np.log2(np.maximum(np.square(unit.target).mean(1), LEAST))
    exponents, resolution, scales = None, 0, np.ones(len(logs))
    if logs.std() > LEAST_SPREAD:
        exponents, resolution = fit_exponents(unit, np.exp2(logs - np.median(logs)))
        scales = np.exp2(exponents / 2.0**resolution)
    pieces = unit.shape[1] // width
    parts, weights = scaled_pieces(unit, scales, pieces)
    factor = piece_factor(unit, pieces)
    if len(parts) > MOST_SAMPLES:
        sample = np.sort(np.random.default_rng(0).choice(len(parts), MOST_SAMPLES, replace=False))
        parts, weights = parts[sample], weights[sample]
    words, labels = fit_additive(parts @ factor, weights, size, TABLES, 2 * unit.bit_value)
    grids = []
    for m in range(TABLES):
        order = middle_out(np.bincount(labels[:, m], minlength=size))
        plain = np.linalg.solve(factor.T, words[m][order].T).T
        claims = np.bincount(labels[:, m], weights, size)[order]
        fisher = claims[:, None] * np.square(factor).sum(1)
        grids.append(
            quantize_vectors(plain, fisher, unit.byte_price, resolution=MAX_RESOLUTION, coarsest=COARSEST).grid
        )
    chosen = _choose(unit, scales, np.stack([reconstruct_grid(grid) for grid in grids]).astype(np.float64))
    return [CodebookValues(grid, chosen[:, :, m], exponents, resolution, 1) for m, grid in enumerate(grids)]


def _choose(unit: Unit, scales: np.ndarray, words: np.ndarray) -> np.ndarray:
    """int64[rows, columns / d, tables]: codewords chosen group by group from the last, whose errors the groups before make up for."""
    rows, columns = unit.shape
    width, factor, rotated = words.shape[2], unit.factor, unit.target @ unit.factor
    chosen = np.empty((rows, columns // width, len(words)), np.int64)
    for start in range(columns - width, -1, -width):
        group = slice(start, start + width)
        found = search_choices(rotated[:, group] / scales[:, None], words @ factor[group, group])
        chosen[:, start // width] = found
        values = sum(words[m][found[:, m]] for m in range(len(words))) * scales[:, None]
        rotated[:, :start] -= values @ factor[group, :start]
    return chosen


def fit_additive(
    vectors: np.ndarray, weights: np.ndarray, count: int, tables: int, bit_value: float
) -> tuple[np.ndarray, np.ndarray]:
    """(float64[tables, count, d] codewords, int64[n, tables] choices), tables in the order of their energy.

    vectors : float64[n, d] in units of the metric; weights : float64[n]
    """
    rest, words, labels = (
        vectors.copy(),
        np.zeros((tables, count, vectors.shape[1])),
        np.zeros((len(vectors), tables), np.int64),
    )
    for m in range(tables):
        clusters = cluster_rows(rest, weights, count, gains=False, bit_value=bit_value)
        words[m], labels[:, m] = clusters.means(rest, weights, count), clusters.labels
        rest -= words[m][clusters.labels]
    for _ in range(TURNS):
        words = refit_tables(vectors, weights, labels, count)
        labels = search_choices(vectors, words)
    return words, labels


def refit_tables(vectors: np.ndarray, weights: np.ndarray, labels: np.ndarray, count: int) -> np.ndarray:
    """float64[tables, count, d]: the tables of least weighted error for these choices."""
    tables = labels.shape[1]
    places = labels + count * np.arange(tables)
    met = np.zeros((tables * count, tables * count))
    sums = np.zeros((tables * count, vectors.shape[1]))
    for m in range(tables):
        np.add.at(sums, places[:, m], weights[:, None] * vectors)
        for other in range(tables):
            np.add.at(met, (places[:, m], places[:, other]), weights)
    met[np.diag_indices(len(met))] += RIDGE * max(float(weights.sum()) / count, LEAST)
    return np.linalg.solve(met, sums).reshape(tables, count, -1)


def search_choices(vectors: np.ndarray, words: np.ndarray) -> np.ndarray:
    """int64[n, tables]: a codeword of each table whose sum is near each vector, by a beam of BEAM partial sums.

    Distances of partial sums leave out |v|², which is the same for all.
    """
    tables, count = words.shape[:2]
    rows = np.arange(len(vectors))[:, None]
    chosen, costs = np.zeros((len(vectors), 1, 0), np.int64), np.zeros((len(vectors), 1))
    for m in range(tables):
        added = np.square(words[m]).sum(1) - 2 * vectors @ words[m].T
        total = costs[:, :, None] + added[:, None]
        for before in range(m):
            total += 2 * (words[before] @ words[m].T)[chosen[:, :, before]]
        flat = total.reshape(len(vectors), -1)
        beam = BEAM if m + 1 < tables else 1
        kept = np.argpartition(flat, min(beam, flat.shape[1]) - 1, axis=1)[:, :beam]
        chosen = np.concatenate([chosen[rows, kept // count], (kept % count)[:, :, None]], axis=2)
        costs = np.take_along_axis(flat, kept, 1)
    return chosen[:, 0]
