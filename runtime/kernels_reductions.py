"""Reductions over float32 vectors, the only places where kernels give up strict evaluation order for SIMD.

Strategy: sums may be reassociated (results depend on the machine's vector width, never on threads
or batches); the maximum is taken over integers that order like the floats, which needs no such
licence and keeps infinities and NaN meaningful.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from ..format.kernels import kernel

ZERO = np.float32(0.0)
INTEGER_LEAST, MAGNITUDE, SIGN_SHIFT = np.int32(-(1 << 31)), np.int32(0x7FFFFFFF), np.int32(31)
KERNEL = {"error_model": "numpy"}  # a test of each divisor would keep loops scalar
REASSOCIATE = {"reassoc", "contract", "nsz"}


@kernel(fastmath=REASSOCIATE, **KERNEL)
def total(x):
    """Sum of a float32 vector."""
    accumulator = ZERO
    for i in range(x.size):
        accumulator += x[i]
    return accumulator


@kernel(fastmath=REASSOCIATE, **KERNEL)
def dot(x, y):
    """Inner product of two float32 vectors."""
    accumulator = ZERO
    for i in range(x.size):
        accumulator += x[i] * y[i]
    return accumulator


@kernel(fastmath=REASSOCIATE, **KERNEL)
def matrix_vector(x, weight, out):
    """out[0, r] = inner product of row r of the weight and x: a matrix that is read once takes BLAS twice as long.

    x : float32 [1, columns]
    weight : float32 [rows, columns]
    out : float32 [1, rows]
    """
    vector, target = x[0], out[0]
    for r in range(weight.shape[0]):
        row, accumulator = weight[r], ZERO
        for i in range(row.size):
            accumulator += row[i] * vector[i]
        target[r] = accumulator


@kernel(fastmath=REASSOCIATE, parallel=True, **KERNEL)
def matrix_vector_parallel(x, weight, out):
    """As `matrix_vector`, rows on all of numba's threads."""
    vector, target = x[0], out[0]
    for r in prange(weight.shape[0]):
        row, accumulator = weight[r], ZERO
        for i in range(row.size):
            accumulator += row[i] * vector[i]
        target[r] = accumulator


@kernel(**KERNEL)
def ordered_bits(x):
    """An int32 that orders like the float32 x (NaN of positive sign is greatest); its own inverse on bits."""
    bits = np.float32(x).view(np.int32)
    return np.int32(bits ^ ((bits >> SIGN_SHIFT) & MAGNITUDE))


@kernel(**KERNEL)
def greatest(x):
    """Maximum of a float32 vector of at least one element."""
    best = INTEGER_LEAST
    for i in range(x.size):
        best = max(best, ordered_bits(x[i]))
    return np.int32(best ^ ((best >> SIGN_SHIFT) & MAGNITUDE)).view(np.float32)
