"""Softmaxes of attention and their way back, between float32 and bfloat16, for gradients of tuning on the processor.

Strategy: a row of scores is read once, and what is made of it is written once. A bfloat16 number is the upper half of a
float32, so numba takes its bits as an integer.
"""

from __future__ import annotations

import numpy as np
import torch

from ...format.kernels import kernel
from ...runtime.kernels_exponential import ONE, exp32
from ...runtime.kernels_reductions import KERNEL, greatest, total

HALF = torch.bfloat16
UPPER, ROUNDING, LAST = np.uint32(16), np.uint32(0x7FFF), np.uint32(1)


def bits_of(half: torch.Tensor) -> np.ndarray:
    """uint16, in the place of a bfloat16 tensor on the processor."""
    return half.view(torch.int16).numpy().view(np.uint16)


@kernel(**KERNEL)
def to_half(x):
    """The bits of the bfloat16 nearest to a finite float32, ties to even."""
    bits = np.float32(x).view(np.uint32)
    odd = np.uint32(np.uint32(bits >> UPPER) & LAST)
    return np.uint16(np.uint32(np.uint32(bits + np.uint32(ROUNDING + odd)) >> UPPER))


@kernel(**KERNEL)
def from_half(half):
    """The float32 of these bits."""
    return np.uint32(np.uint32(half) << UPPER).view(np.float32)


@kernel(**KERNEL)
def causal_softmax(scores, start, queries, probabilities):
    """The probabilities of keys that are not behind a query.

    scores : float32 [n, rows, keys], contiguous; row r is for the query at position start + r modulo `queries`
    probabilities : uint16 [n, rows, keys], bits of bfloat16; written
    """
    terms = np.empty(scores.shape[2], np.float32)
    for n in range(scores.shape[0]):
        for r in range(scores.shape[1]):
            seen = start + r % queries + 1
            row, out, part = scores[n, r, :seen], probabilities[n, r], terms[:seen]
            peak = greatest(row)
            for i in range(seen):
                part[i] = exp32(row[i] - peak)
            inverse = ONE / total(part)
            for i in range(seen):
                out[i] = to_half(part[i] * inverse)
            out[seen:] = np.uint16(0)


@kernel(**KERNEL)
def softmax_changes(given, probabilities, means, changes):
    """Gradients of scores, probability x (gradient of the probability - its mean under them).

    given, probabilities : uint16 [n, rows, keys], bits of bfloat16, contiguous; changes likewise, written
    means : float32 [n, rows]
    """
    for n in range(given.shape[0]):
        for r in range(given.shape[1]):
            row, weights, out, mean = given[n, r], probabilities[n, r], changes[n, r], means[n, r]
            for i in range(row.size):
                out[i] = to_half((from_half(row[i]) - mean) * from_half(weights[i]))
