"""Slow twins of the terms that combine matrices: one element after the other, in Python floats, which are float64."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from naive_grid import naive_step, round_to_float32


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


def naive_subset(values, members, axis: int, shape: tuple[int, int]) -> np.ndarray:
    """float32 of `shape`: the n-th row or column of `values` where the n-th member is, 0 elsewhere.

    axis : 0 for rows, 1 for columns
    """
    spread = np.zeros(shape, np.float32)
    for i in range(shape[0]):
        for j in range(shape[1]):
            place = (i, j)[axis]
            if place in members:
                n = list(members).index(place)
                spread[i, j] = values[n][j] if axis == 0 else values[i][n]
    return spread


def naive_sparse(values, positions, shape: tuple[int, int]) -> np.ndarray:
    """float32 of `shape`: the n-th value at the n-th place in row-major order, 0 elsewhere."""
    spread = np.zeros(shape, np.float32)
    for value, position in zip(values, positions, strict=True):
        spread[position // shape[1], position % shape[1]] = value
    return spread


def naive_codebook(codewords, indices, exponents, resolution: int) -> np.ndarray:
    """float32[rows, columns]: codeword after codeword, each number times the factor of its row, rounded exactly."""
    rows = []
    for row, exponent in zip(indices, exponents, strict=True):
        factor = naive_step(1.0, resolution, int(exponent))
        numbers = [Fraction(float(number)) for index in row for number in codewords[index]]
        rows.append([float(round_to_float32(number * factor)) for number in numbers])
    return np.array(rows, np.float32)
