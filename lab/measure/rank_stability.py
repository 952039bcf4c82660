"""Whether a ranking holds across slices of data, and how much of the whole its top holds.

Strategy: all pairs of slices are compared by Spearman's rank correlation (tied scores share the mean of
their ranks), which looks at every unit, and by the Jaccard overlap of their top sets, which looks only
at what would be protected.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np

TOP_SHARE = 0.05
SHARES = (0.01, 0.05, 0.1)


@dataclass(frozen=True, slots=True)
class RankStability:
    """Means and least values over all pairs of slices; `top` is the size of the sets that `overlap` compares."""

    mean_correlation: float
    least_correlation: float
    mean_overlap: float
    least_overlap: float
    top: int


def ranks(scores: np.ndarray) -> np.ndarray:
    """float64[n] ranks from 1, ties at their mean."""
    order = np.argsort(scores, kind="stable")
    ordered = scores[order]
    firsts = np.searchsorted(ordered, ordered, side="left")
    lasts = np.searchsorted(ordered, ordered, side="right")
    result = np.empty(len(scores))
    result[order] = (firsts + lasts + 1) / 2
    return result


def rank_correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Spearman's correlation of two float64[n]; NaN where one of them ranks nothing (fewer than two
    values, or all equal).
    """
    a, b = ranks(first) - (len(first) + 1) / 2, ranks(second) - (len(second) + 1) / 2
    scale = math.sqrt(float(a @ a) * float(b @ b))
    return float(a @ b) / scale if scale else math.nan


def top_set(scores: np.ndarray, count: int) -> set[int]:
    """Indices of the `count` greatest; of equal ones the first."""
    return set(np.argsort(-scores, kind="stable")[:count].tolist())


def count_of(share: float, units: int) -> int:
    """So many units are that share of them: rounded up, at least one."""
    return max(1, math.ceil(share * units - 1e-9))


def rank_stability(scores: np.ndarray) -> RankStability:
    """Stability of scores float64[slices, units], two slices or more; correlations are NaN where a
    slice ranks nothing.
    """
    count = count_of(TOP_SHARE, scores.shape[1])
    tops = [top_set(row, count) for row in scores]
    pairs = list(itertools.combinations(range(len(scores)), 2))
    correlations = np.array([rank_correlation(scores[i], scores[k]) for i, k in pairs])
    overlaps = np.array([len(tops[i] & tops[k]) / len(tops[i] | tops[k]) for i, k in pairs])
    return RankStability(
        float(correlations.mean()), float(correlations.min()), float(overlaps.mean()), float(overlaps.min()), count
    )


def top_shares(scores: np.ndarray, weights: np.ndarray) -> tuple[tuple[float, int, float, float], ...]:
    """(share of units, how many that comes to, share of the sum of scores they hold, share of the sum of weights they
    are) for each of SHARES.
    """
    order = np.argsort(-scores, kind="stable")
    held, total = np.cumsum(scores[order]), float(scores.sum())
    stored = np.cumsum(weights[order])
    counts = [count_of(share, len(scores)) for share in SHARES]
    return tuple(
        (share, n, float(held[n - 1] / total) if total else 0.0, float(stored[n - 1] / stored[-1]))
        for share, n in zip(SHARES, counts, strict=True)
    )
