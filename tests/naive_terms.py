"""Slow twins of the terms that combine matrices: one element after the other, in Python floats, which are float64."""

from __future__ import annotations

import numpy as np


def naive_low_rank(left, right) -> np.ndarray:
    """float32[rows, columns]: sums of products in float64, in order, rounded once."""
    rows, rank, columns = len(left), len(right), len(right[0])
    values = np.zeros((rows, columns), np.float32)
    for i in range(rows):
        for j in range(columns):
            total = 0.0
            for k in range(rank):
                total = total + float(left[i][k]) * float(right[k][j])
            values[i, j] = np.float32(total)
    return values
