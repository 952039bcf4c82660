"""Damping of a Hessian: its correlations count less, and a little is added to its diagonal, so that it has a factor."""

from __future__ import annotations

import numpy as np


def shrunk(moment: np.ndarray, share: float) -> np.ndarray:
    """A second moment with so much of its correlations, its diagonal as it was."""
    result = moment * share
    np.fill_diagonal(result, moment.diagonal())
    return result


def damped(
    hessian: np.ndarray, damping: float, correlation: float = 1.0, excess: np.ndarray | None = None
) -> np.ndarray:
    """H with a share of its correlations, and damping * mean(diag H) I: positive definite even when no input was seen.

    excess : float64[columns, columns] of H, what outlying tokens weigh more: that counts in full, and makes no other
        direction more uncertain
    """
    usual = np.asarray(hessian, np.float64) if excess is None else hessian - excess
    result = shrunk(usual, correlation)
    result[np.diag_indices(len(result))] += damping * (float(usual.diagonal().mean()) or 1.0)
    return result if excess is None else result + excess
