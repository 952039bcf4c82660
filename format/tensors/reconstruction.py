"""What the terms of combined_terms.py come to: float32 arrays from the matrices that they store.

Strategy: every number is a short chain of IEEE operations in one written order (spec/tensors.md, chapter 5), so that every
platform obtains the same bits. A product of two float32 numbers is exact in float64, where no fused operation can change it.
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def _multiply(left, right, products):
    rank, columns = right.shape
    sums = np.empty(columns, np.float64)
    for i in range(left.shape[0]):
        sums[:] = 0.0
        for k in range(rank):
            factor = np.float64(left[i, k])
            for j in range(columns):
                sums[j] += factor * np.float64(right[k, j])
        for j in range(columns):
            products[i, j] = np.float32(sums[j])


def low_rank_product(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """float32[rows, columns] of float32[rows, rank] and float32[rank, columns]: sums in float64, k ascending, rounded once.

    A sum beyond float32 is infinite; a reader refuses the tensor for it.
    """
    products = np.empty((left.shape[0], right.shape[1]), np.float32)
    _multiply(left, right, products)
    return products


def spread_subset(values: np.ndarray, members: np.ndarray, axis: int, shape: tuple[int, int]) -> np.ndarray:
    """float32 of `shape`: `values` in the rows (axis 0) or columns (axis 1) `members`, 0 elsewhere."""
    spread = np.zeros(shape, np.float32)
    if axis == 0:
        spread[members] = values
    else:
        spread[:, members] = values
    return spread


def spread_sparse(values: np.ndarray, positions: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """float32 of `shape`: `values` at the row-major `positions`, 0 elsewhere."""
    spread = np.zeros(shape, np.float32)
    spread.ravel()[positions] = values.ravel()
    return spread
