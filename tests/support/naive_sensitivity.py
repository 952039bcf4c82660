"""Slow twin of sensitivity: a unit's error built weight by weight, and the loss as a sum over all pairs of weights."""

from __future__ import annotations

import numpy as np

from bytecap.compiler.statistics.matrix_statistics import MatrixStatistics
from bytecap.lab.measure.units import Submatrix


def naive_quantization_error(weights: np.ndarray, bits: int) -> np.ndarray:
    """Each weight on the nearest of the values k * step, |k| <= 2^(bits - 1) - 1, by trying them all."""
    result = np.empty(weights.shape)
    most = 2 ** (bits - 1) - 1
    for i, row in enumerate(weights):
        step = max(abs(w) for w in row) / most
        for j, w in enumerate(row):
            result[i, j] = min((k * step - w for k in range(-most, most + 1)), key=abs)
    return result


def naive_part_loss(part: Submatrix, error: np.ndarray, statistics: MatrixStatistics) -> float:
    """1/2 sum over i, k, j, l of e_ij G_ik e_kl H_lj, with E zero outside the part."""
    own = np.zeros(error.shape)
    own[part.rows, part.columns] = error[part.rows, part.columns]
    both = np.diag(statistics.row_fisher) if statistics.output_fisher is None else statistics.output_fisher
    return 0.5 * float(np.einsum("ij,ik,kl,lj->", own, both, own, statistics.hessian, optimize=False))


def naive_ranks(scores: np.ndarray) -> np.ndarray:
    """Rank from 1 among all: how many are less, and half of the others that are equal."""
    return np.array([1 + sum(o < s for o in scores) + (sum(o == s for o in scores) - 1) / 2 for s in scores])
