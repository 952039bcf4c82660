"""What drawing a label would have a head's gradient vary by, summed over positions without leaving the cache."""

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
