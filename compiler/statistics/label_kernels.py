"""Labels that are drawn from a model's own predictions, and what drawing one would have a head's gradient vary by.

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
def draw_labels(probabilities, uniforms, labels):
    """Draw a label for every position: the first at which the sum of probabilities exceeds so much of the whole.

    probabilities : float32 [positions, vocabulary], contiguous, with a positive one in every row
    uniforms : float64 [positions] in [0, 1);  labels : int64 [positions], written
    """
    for position in range(probabilities.shape[0]):
        p = probabilities[position]
        whole = 0.0
        for i in range(p.size):
            whole += np.float64(p[i])
        wanted, so_far = uniforms[position] * whole, 0.0
        for i in range(p.size):
            so_far += np.float64(p[i])
            if p[i] > 0:
                labels[position] = i  # the last possible one, where the product above was rounded to the whole
            if so_far > wanted:
                break
