"""The Fisher information of a model's predictions: what a head's gradient varies by, and gradients drawn at random.

Strategy: one row of probabilities after the other, without leaving the cache.
"""

from __future__ import annotations

import numpy as np

from ...format.kernels import kernel
from ...runtime.kernels_reductions import KERNEL


@kernel(**KERNEL)
def add_variances(probabilities, slopes, sums):
    """Add p (1 - p) s² of every position, in order.

    probabilities : float32 [positions, vocabulary], contiguous;  slopes : likewise s, without rows where all are 1
    sums : float64 [vocabulary], added to
    """
    for position in range(probabilities.shape[0]):
        p = probabilities[position]
        if slopes.shape[0]:
            s = slopes[position]
            for i in range(p.size):
                sums[i] += np.float64((p[i] - p[i] * p[i]) * (s[i] * s[i]))
        else:
            for i in range(p.size):
                sums[i] += np.float64(p[i] - p[i] * p[i])


@kernel(**KERNEL)
def draw_gradients(probabilities, signs):
    """Replace the predictions p of every position by v = √p s - p (√p · s), for a random sign s of each token.

    The second moment of v over the signs is diag(p) - p pᵀ, the Fisher information of the logits.

    probabilities : float32 [positions, vocabulary], contiguous, written over
    signs : uint8 [positions, vocabulary / 8 rounded up]: a bit for each token, set for a minus, the lowest first
    """
    for position in range(probabilities.shape[0]):
        p, bits = probabilities[position], signs[position]
        whole = 0.0
        for i in range(p.size):
            root = np.sqrt(p[i])
            whole += np.float64(-root if (bits[i >> 3] >> (i & 7)) & 1 else root)
        for i in range(p.size):
            root = np.sqrt(p[i])
            p[i] = np.float32((-root if (bits[i >> 3] >> (i & 7)) & 1 else root) - p[i] * whole)
