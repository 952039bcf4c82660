"""Kernels built on a vectorizable exponential: softmax, cross-entropy, gelu, gelu-tanh, silu, sigmoid,
softplus.

Strategy: `exp32` is branch-free float32 arithmetic (Cody-Waite reduction to [-ln2/2, ln2/2],
polynomial of degree 6, power of two through the exponent bits), which LLVM turns into SIMD where a
call of libm's exp would stay scalar. Reductions are leaves of their own: sums may be reassociated,
maxima are taken over integers that order like the floats, so both become SIMD without telling the
compiler that infinities and NaN do not exist. Everything else keeps strict arithmetic. All callers
pass C-contiguous arrays and outputs that do not overlap inputs.
"""

from __future__ import annotations

import numpy as np

from ..format.kernels import kernel
from .kernels_reductions import KERNEL, greatest, total

ZERO, HALF, ONE, TWO = np.float32(0.0), np.float32(0.5), np.float32(1.0), np.float32(2.0)
EXPONENT_LEAST, EXPONENT_GREATEST = np.float32(-87.0), np.float32(88.0)
LOG2_E = np.float32(1.4426950408889634)
LN2_HIGH, LN2_LOW = np.float32(0.693359375), np.float32(-2.1219444005469058e-4)  # ln 2 = high + low; high has 9 bits
# exp(r) = 1 + r + r^2 (E2 + E3 r + ... + E6 r^4), least squares of the relative error on Chebyshev nodes: 4e-9
E2, E3, E4, E5, E6 = (np.float32(c) for c in (0.49999989, 0.16666518, 0.04166953, 0.00836892, 0.00137514))
# erfc(z) = exp(-z^2) s (Q0 + Q1 s + ... + Q8 s^8), s = 1 / (1 + 0.4 z), fitted likewise for z in [0, 9.5]: 6e-8
ERFC_RATE = np.float32(0.4)
INVERSE_ROOT_TWO = np.float32(0.7071067811865476)
GELU_RATE, GELU_CUBIC = np.float32(1.5957691216057308), np.float32(0.044715)  # 2 sqrt(2 / pi)
Q0, Q1, Q2, Q3, Q4, Q5, Q6, Q7, Q8 = (
    np.float32(c)
    for c in (
        0.22562996,
        0.22651089,
        0.20143814,
        0.19502615,
        0.07618931,
        0.09277888,
        0.08005351,
        -0.13853476,
        0.04090798,
    )
)
# log(1 + e) = 2 s (1 + s^2 / 3 + ... + s^14 / 15), s = e / (2 + e) in [0, 1/3]: 5e-9 relative
L3, L5, L7, L9, L11, L13, L15 = (np.float32(1 / n) for n in (3, 5, 7, 9, 11, 13, 15))
BIAS, MANTISSA_BITS = np.int32(127), np.int32(23)


@kernel(**KERNEL)
def exp32(x):
    """e**x to 2e-7 relative for a float32 x in [-87, 88], clamped outside; NaN stays NaN."""
    x = EXPONENT_LEAST if x < EXPONENT_LEAST else x
    x = EXPONENT_GREATEST if x > EXPONENT_GREATEST else x
    power = np.floor(x * LOG2_E + HALF)
    r = (x - power * LN2_HIGH) - power * LN2_LOW
    tail = (((E6 * r + E5) * r + E4) * r + E3) * r + E2
    bits = np.int32((np.int32(power) + BIAS) << MANTISSA_BITS)
    return (tail * (r * r) + (r + ONE)) * bits.view(np.float32)


@kernel(**KERNEL)
def softmax_rows(scores, first_query, first_key, seen, scale):
    """Masked softmax in place; a row whose greatest score is not finite becomes NaN.

    scores : float32 [heads, queries, keys]    of the queries from first_query on and the keys from first_key on
    first_query, first_key : int               positions in the sequence
    seen : int64 [length]                      first key position that each query sees; the last is its own, and the
                                               scores of keys outside become 0
    scale : float32                            factor of the scores before the exponential
    """
    for head in range(scores.shape[0]):
        for query in range(scores.shape[1]):
            start = seen[first_query + query] - first_key
            stop = first_query + query + 1 - first_key
            row = scores[head, query, start:stop]
            peak = greatest(row)
            for i in range(row.size):
                row[i] = exp32((row[i] - peak) * scale)
            inverse = ONE / total(row)
            for i in range(row.size):
                row[i] *= inverse
            scores[head, query, :start] = ZERO
            scores[head, query, stop:] = ZERO


@kernel(**KERNEL)
def tanh32(x):
    """tanh(x) to 1.2e-7 absolute for a float32 x; NaN stays NaN."""
    size = abs(x)
    e = exp32(-(size + size))
    value = (ONE - e) / (ONE + e)
    return value if x >= ZERO else -value


@kernel(**KERNEL)
def capped_softmax_rows(scores, first_query, first_key, seen, scale, cap, sinks):
    """As `softmax_rows`, of cap * tanh(scale * score / cap) when cap is above 0, with exp(sink) added to the sum.

    cap : float32               0 bounds nothing
    sinks : float32 [heads]     minus infinity where there is none
    """
    bounded = cap > ZERO
    factor = scale / cap if bounded else scale
    for head in range(scores.shape[0]):
        for query in range(scores.shape[1]):
            start = seen[first_query + query] - first_key
            stop = first_query + query + 1 - first_key
            row = scores[head, query, start:stop]
            for i in range(row.size):
                row[i] *= factor
            if bounded:
                for i in range(row.size):
                    row[i] = cap * tanh32(row[i])
            peak = max(greatest(row), sinks[head])
            for i in range(row.size):
                row[i] = exp32(row[i] - peak)
            inverse = ONE / (total(row) + exp_or_zero(sinks[head] - peak))
            for i in range(row.size):
                row[i] *= inverse
            scores[head, query, :start] = ZERO
            scores[head, query, stop:] = ZERO


@kernel(**KERNEL)
def exp_or_zero(x):
    """e**x for a float32 x of at most 88, 0 where it would be below the normal numbers."""
    return ZERO if x < EXPONENT_LEAST else exp32(x)


SoftmaxSums = tuple[np.ndarray, np.ndarray, np.ndarray]


def new_softmax_sums(length: int) -> SoftmaxSums:
    """Of so many positions, before any logits: the greatest logit, float32; the sum of exp(logit - greatest), float64;
    the logit of the target, float32.
    """
    return np.full(length, -np.inf, np.float32), np.zeros(length), np.full(length, np.nan, np.float32)


@kernel(**KERNEL)
def add_to_softmax_sums(logits, targets, sums):
    """Take in the logits of some more classes.

    logits : float32 [length, classes]    overwritten
    targets : int64 [length]              counted from the first of these classes; those of others are outside
    sums : see `new_softmax_sums`         NaN follows where a logit is not finite
    """
    peaks, totals, chosen = sums
    for t in range(logits.shape[0]):
        row = logits[t]
        if 0 <= targets[t] < row.size:
            chosen[t] = row[targets[t]]
        peak = max(greatest(row), peaks[t])
        for i in range(row.size):
            row[i] = exp32(row[i] - peak)
        totals[t] = totals[t] * np.float64(exp_or_zero(peaks[t] - peak)) + np.float64(total(row))
        peaks[t] = peak


def losses_of_sums(sums: SoftmaxSums) -> np.ndarray:
    """float64 [length]: ln sum_c exp(logits[t, c]) - logits[t, target] in nats."""
    peaks, totals, chosen = sums
    return np.log(totals) + (peaks.astype(np.float64) - chosen)


@kernel(**KERNEL)
def sigmoid(x, out):
    """out = 1 / (1 + exp(-x)).

    x, out : float32 [elements]
    """
    for i in range(x.size):
        out[i] = ONE / (ONE + exp32(-x[i]))


@kernel(**KERNEL)
def silu(x, out):
    """out = x sigmoid(x).

    x, out : float32 [elements]
    """
    for i in range(x.size):
        out[i] = x[i] / (ONE + exp32(-x[i]))


@kernel(**KERNEL)
def gelu(x, out):
    """out = x Phi(x) = max(x, 0) - |x| erfc(|x| / sqrt 2) / 2; at most 3e-7 of |x| off.

    x, out : float32 [elements]
    """
    for i in range(x.size):
        size = abs(x[i])
        s = ONE / (ONE + ERFC_RATE * (size * INVERSE_ROOT_TWO))
        tail = (((((((Q8 * s + Q7) * s + Q6) * s + Q5) * s + Q4) * s + Q3) * s + Q2) * s + Q1) * s + Q0
        complement = exp32(-HALF * x[i] * x[i]) * (s * tail)
        out[i] = (x[i] + size) * HALF - HALF * size * complement


@kernel(**KERNEL)
def gelu_tanh(x, out):
    """out = x (1 + tanh(u)) / 2 = x / (1 + exp(-2u)), u = sqrt(2 / pi) (x + 0.044715 x^3).

    x, out : float32 [elements]
    """
    for i in range(x.size):
        out[i] = x[i] / (ONE + exp32(-GELU_RATE * x[i] * (ONE + GELU_CUBIC * x[i] * x[i])))


@kernel(**KERNEL)
def softplus(x, out):
    """out = log(1 + exp(x)) = max(x, 0) + log(1 + exp(-|x|)).

    x, out : float32 [elements]
    """
    for i in range(x.size):
        size = abs(x[i])
        e = exp32(-size)
        s = e / (TWO + e)
        square = s * s
        tail = ((((((L15 * square + L13) * square + L11) * square + L9) * square + L7) * square + L5) * square) + L3
        out[i] = (x[i] + size) * HALF + (s + s) * (ONE + square * tail)


@kernel(**KERNEL)
def leaky_relu_squared(x, slope, out):
    """out = x^2 where x > 0, (slope x)^2 elsewhere; slope 0 is relu squared.

    x, out : float32 [elements]
    slope : float32
    """
    for i in range(x.size):
        value = x[i] if x[i] > ZERO else slope * x[i]
        out[i] = value * value
