"""Sums of second moments as one half of them, in float32.

Strategy: a second moment is symmetric, and its product is float32, so a sum of a few thousand of them at most needs no
more. That is a quarter of a square of float64: of a matrix with 4,864 outputs 47 instead of 189 MB, which every batch
reads and writes.
"""

from __future__ import annotations

import numpy as np

from ...format.kernels import kernel
from ...runtime.kernels_reductions import KERNEL

BLOCK = 64


def pack_lower(square: np.ndarray) -> np.ndarray:
    """float32 [n (n + 1) / 2]: the lower half of a symmetric matrix [n, n], row by row."""
    packed = np.empty(len(square) * (len(square) + 1) // 2, np.float32)
    _gather(square, packed)
    return packed


def unpack_lower(packed: np.ndarray) -> np.ndarray:
    """float64 [n, n] of these."""
    rows = int(np.sqrt(2 * len(packed)))
    square = np.empty((rows, rows))
    _spread(packed, square)
    return square


@kernel(**KERNEL)
def _gather(square, packed):
    """The lower half of [n, n]."""
    place = 0
    for row in range(square.shape[0]):
        for column in range(row + 1):
            packed[place] = square[row, column]
            place += 1


@kernel(**KERNEL)
def _spread(packed, square):
    """Both halves of [n, n] from a packed one, in blocks that stay in the cache."""
    rows = square.shape[0]
    for first in range(0, rows, BLOCK):
        last = min(first + BLOCK, rows)
        for left in range(0, last, BLOCK):
            for row in range(first, last):
                place = row * (row + 1) // 2
                for column in range(left, min(left + BLOCK, row + 1)):
                    square[row, column] = packed[place + column]
                    square[column, row] = packed[place + column]
