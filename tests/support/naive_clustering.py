"""The slow twin of exact weighted k-means of numbers: every way of cutting the sorted values into intervals."""

from __future__ import annotations

import itertools

import numpy as np


def least_error(values: np.ndarray, weights: np.ndarray, count: int) -> float:
    """Least weighted squared error of at most `count` clusters around their means."""
    order = np.argsort(values, kind="stable")
    values, weights = values[order], weights[order]
    best = np.inf
    for cuts in itertools.combinations(range(1, len(values)), min(count, len(values)) - 1):
        error = 0.0
        for start, stop in itertools.pairwise((0, *cuts, len(values))):
            mean = np.average(values[start:stop], weights=weights[start:stop])
            error += float((weights[start:stop] * (values[start:stop] - mean) ** 2).sum())
        best = min(best, error)
    return best
