"""The divergence of one row of logits from another, in one pass over both: a vocabulary of logits in double precision
takes longer to write and read again than to look at.

Strategy: everything is float64, by an exponential without branches that LLVM turns into SIMD. Sums are made in a fixed
number of lanes and the lanes added in order, so that the digits depend neither on threads nor on the width of a
machine's vectors.
"""

from __future__ import annotations

import math

import numpy as np

from ...format.kernels import kernel
from ...runtime.kernels_reductions import KERNEL, greatest

LANES = 64
LEAST = -708.0  # below it an exponential is no normal number
LOG2_E = 1.4426950408889634
LN2_HIGH, LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10  # ln 2 = high + low; high has 33 bits
BIAS, MANTISSA_BITS = np.int64(1023), np.int64(52)
# 1 / n! for n from 2 to 13, of which the last is worth 3e-17 within half of ln 2
T2, T3, T4, T5, T6, T7, T8, T9, T10, T11, T12, T13 = (1.0 / math.factorial(n) for n in range(2, 14))


@kernel(**KERNEL)
def exp64(x):
    """e**x to 1e-15 relative for a float64 x up to 0, and what it is at -708 below that; NaN stays NaN."""
    x = LEAST if x < LEAST else x
    power = np.floor(x * LOG2_E + 0.5)
    r = (x - power * LN2_HIGH) - power * LN2_LOW
    high = (((((T13 * r + T12) * r + T11) * r + T10) * r + T9) * r + T8) * r + T7
    tail = ((((high * r + T6) * r + T5) * r + T4) * r + T3) * r + T2
    bits = np.int64((np.int64(np.int32(power)) + BIAS) << MANTISSA_BITS)
    return (tail * (r * r) + (r + 1.0)) * bits.view(np.float64)


@kernel(**KERNEL)
def row_divergences(expected, found, targets, divergences, losses):
    """KL(softmax of expected || softmax of found) in nats, and -log softmax of found at the targets.

    expected, found : float32 [positions, vocabulary], contiguous; what is not finite makes its row NaN, or infinite
        where only `found` rules out a token
    targets : int64 [positions];  divergences, losses : float64 [positions], written
    """
    totals, others, products = np.empty(LANES), np.empty(LANES), np.empty(LANES)
    for position in range(expected.shape[0]):
        mine, other = expected[position], found[position]
        my_peak, other_peak = np.float64(greatest(mine)), np.float64(greatest(other))
        totals[:], others[:], products[:] = 0.0, 0.0, 0.0
        for start in range(0, mine.size, LANES):
            left, right = mine[start : start + LANES], other[start : start + LANES]
            for i in range(left.size):
                log_p, log_q = np.float64(left[i]) - my_peak, np.float64(right[i]) - other_peak
                p = exp64(log_p)
                totals[i] += p
                others[i] += exp64(log_q)
                products[i] += p * (log_p - log_q)
        log_total = math.log(_in_order(others))
        my_total = _in_order(totals)
        divergence = _in_order(products) / my_total - math.log(my_total) + log_total
        divergences[position] = divergence if divergence > -math.inf else math.nan
        losses[position] = log_total - (np.float64(other[targets[position]]) - other_peak)


@kernel(**KERNEL)
def _in_order(lanes):
    total = 0.0
    for i in range(lanes.size):
        total += lanes[i]
    return total
