"""Damping of a Hessian: a little is added to its diagonal, so that it can be factored."""

from __future__ import annotations

import numpy as np


def damped(hessian: np.ndarray, damping: float) -> np.ndarray:
    """H + damping * mean(diag H) I, positive definite even when no input was ever seen."""
    result = np.array(hessian, np.float64)
    mean = float(result.diagonal().mean()) or 1.0
    result[np.diag_indices(len(result))] += damping * mean
    return result
