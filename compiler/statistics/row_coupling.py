"""The output side of the second-order loss: what errors of one row cost beside those of the others.

Strategy: with G = E[δ δᵀ] over output gradients the loss of an error E is 1/2 tr(Eᵀ G E H), both sides
at once (the Kronecker form of YAQA, arXiv:2505.22988). G = U Uᵀ with U upper triangular and V_ki = U_ki
/ U_ii give the sum over rows i
    1/2 U_ii² (E_i + sum_{k < i} V_ki E_k) H (..)ᵀ
so row i is weighed by what its errors cost when all later rows make up for them, and makes up itself
for the rows before it. With H = L Lᵀ that holds for every column of E L by itself, hence within each
column of the feedback loop. Sampled correlations of gradients are overestimates and G (x) H is a model,
so correlations are shrunk.
"""

from __future__ import annotations

import numpy as np

LEAST_FISHER = 1e-30


def floor_fisher(row_fisher: np.ndarray, fisher_floor: float) -> np.ndarray:
    """Row Fisher of at least `fisher_floor` times the median: calibration has seen too little of a row
    to say so small a number.
    """
    return np.maximum(row_fisher, max(fisher_floor * float(np.median(row_fisher)), LEAST_FISHER))


def couple_rows(
    row_fisher: np.ndarray, output_fisher: np.ndarray | None, correlation: float
) -> tuple[np.ndarray | None, np.ndarray]:
    """(V float64[rows, rows], zero on and below its diagonal, or None for independent rows; U_ii² float64[rows]).

    row_fisher : float64[rows], positive, the diagonal of G to use; output_fisher : [rows, rows] or
        None, whose off-diagonal times `correlation` is used.
    """
    if output_fisher is None or not correlation:
        return None, row_fisher
    upper = _factored(row_fisher, output_fisher, correlation)
    return np.triu(upper / upper.diagonal(), 1), np.square(upper.diagonal())


def coupled_costs(row_fisher: np.ndarray, output_fisher: np.ndarray | None, correlation: float) -> np.ndarray:
    """U_ii² float64[rows] of `couple_rows`, the same bits."""
    if output_fisher is None or not correlation:
        return row_fisher
    return np.square(_factored(row_fisher, output_fisher, correlation).diagonal())


def _factored(row_fisher: np.ndarray, output_fisher: np.ndarray, correlation: float) -> np.ndarray:
    """U, float64[rows, rows], of G with this diagonal and a share of its correlations."""
    both = output_fisher.astype(np.float64) * correlation
    both[np.diag_indices(len(both))] = row_fisher
    return np.linalg.cholesky(both[::-1, ::-1])[::-1, ::-1]


def output_diagonal(coupling: np.ndarray | None, costs: np.ndarray) -> np.ndarray:
    """float64[rows]: diag G of these `couple_rows`."""
    return costs if coupling is None else costs + np.square(coupling) @ costs


def output_eigenvalues(coupling: np.ndarray | None, costs: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """float64[rows]: eigenvalues of S G S with S = diag(scales) and the G of these `couple_rows`."""
    if coupling is None:
        return np.square(scales) * costs
    upper = scales[:, None] * (coupling + np.eye(len(costs))) * np.sqrt(costs)
    return np.maximum(np.linalg.eigvalsh(upper @ upper.T), 0.0)
