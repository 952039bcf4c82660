"""Additive codebooks: every vector is the sum of one codeword from each of several tables.

Strategy: as in AQLM (arXiv:2401.06118), with the second-order model as the metric. The first tables are residual: each clusters what
the ones before leave. Then, in turns, the choices of all vectors are searched with a beam over the tables, and all tables are fitted
again at once to the choices, a least-squares problem for each coordinate whose normal equations count which codewords meet.
Metric: sum of g_i |(v_i - sum_m C_m[k_im]) L|² with L the mean factor of the groups of columns that codewords stand for.
"""

from __future__ import annotations

import numpy as np

from .row_clustering import LEAST, cluster_rows

BEAM = 4
TURNS = 4
RIDGE = 1e-6  # of the mean weight of a codeword: keeps what nobody uses at zero


def fit_additive(vectors: np.ndarray, weights: np.ndarray, count: int, tables: int, bit_value: float) -> tuple[np.ndarray, np.ndarray]:
    """(float64[tables, count, d] codewords, int64[n, tables] choices), tables in the order of their energy.

    vectors : float64[n, d] in units of the metric; weights : float64[n]
    """
    rest, words, labels = vectors.copy(), np.zeros((tables, count, vectors.shape[1])), np.zeros((len(vectors), tables), np.int64)
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
        kept = np.argsort(flat, axis=1, kind="stable")[:, :BEAM]
        chosen = np.concatenate([chosen[rows, kept // count], (kept % count)[:, :, None]], axis=2)
        costs = np.take_along_axis(flat, kept, 1)
    return chosen[:, 0]
