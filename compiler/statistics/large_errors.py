"""What errors of a rare token's logit cost when they are not small, as Fisher information that steps can be made of.

Strategy: to second order an error e of the logit of a token of probability p costs p e²/2, so that the steps of a row
that is hardly ever predicted may be as coarse as one likes. But a logit that rises from -20 to 0 is predicted. Of a
Gaussian error of variance v a rare token costs p (exp(v/2) - 1) nats, at first order in p. Steps of equal marginal
return have p v = c by the first, with c = columns * price² / 12, and p v exp(v/2) = c by the second, whence v = 2 W(c /
2p) with Lambert's W, the inverse of w exp(w). Fisher information c / v has these steps at this price. It is p where
errors are small, and falls with the logarithm of p where they are large.
"""

from __future__ import annotations

import numpy as np

from .row_coupling import LEAST_FISHER

ROUNDS = 30  # of Newton's method, which from above takes about one for each unit of the greatest w


def bounded_fisher(fisher: np.ndarray, columns: int, byte_price: float) -> np.ndarray:
    """float64[rows], never below `fisher`: Fisher information of the logits of single tokens by which the steps at a
    byte price keep their large errors at the same marginal return as small ones.
    """
    budget = columns * byte_price**2 / 12
    variances = 2 * lambert(budget / (2 * np.maximum(fisher, LEAST_FISHER)))
    return np.maximum(fisher, budget / variances)


def lambert(values: np.ndarray) -> np.ndarray:
    """float64: w >= 0 with w exp(w) = the given positive values, to a few units in the last place."""
    w = np.log1p(values)  # never below the root
    for _ in range(ROUNDS):
        w = w - (w - values * np.exp(-w)) / (1 + w)
    return w
