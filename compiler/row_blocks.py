"""The output side of the second-order loss: blocks of rows, of which each makes up for the errors of those before it.

Strategy: with G = E[δ δᵀ] over output gradients the loss of an error E is 1/2 tr(Eᵀ G E H), both sides at once (the Kronecker
form of YAQA, arXiv:2505.22988). G = U Uᵀ with U upper triangular turns it into a sum over rows in their order, row i
weighed by U_ii² and its target shifted by what the rows before it left: error feedback as between columns, from the other
side. Rows of one block are quantized together, since a trellis runs through them, so only blocks compensate each other.
Sampled correlations of gradients are overestimates and G (x) H is a model, so correlations are shrunk.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LEAST_FISHER = 1e-30


@dataclass(frozen=True, slots=True)
class RowBlock:
    """Rows first..last - 1 of a matrix and their columns of the factor U of G.

    above : float64[first, last - first]; own : float64[last - first, last - first], upper triangular
    """

    first: int
    last: int
    above: np.ndarray
    own: np.ndarray

    def shift(self, errors: np.ndarray) -> np.ndarray | float:
        """What the float target of these rows loses to make up for the errors float64[first, columns] of the rows before."""
        return np.linalg.solve(self.own.T, self.above.T @ errors) if self.first else 0.0


def floor_fisher(row_fisher: np.ndarray, fisher_floor: float) -> np.ndarray:
    """Row Fisher of at least `fisher_floor` times the median: calibration has seen too little of a row to say so small a number."""
    return np.maximum(row_fisher, max(fisher_floor * float(np.median(row_fisher)), LEAST_FISHER))


def split_rows(
    row_fisher: np.ndarray, output_fisher: np.ndarray | None, block_rows: int, correlation: float
) -> tuple[Sequence[RowBlock], np.ndarray]:
    """The blocks of a matrix, and float64[rows]: what an error of each row costs given that later blocks make up for it.

    row_fisher : float64[rows], positive, the diagonal to use; output_fisher : [rows, rows] or None, whose off-diagonal times
    `correlation` is used. One block, and the row Fisher itself, without that or where block_rows is 0.
    """
    rows = len(row_fisher)
    if output_fisher is None or not block_rows or rows <= block_rows:
        return [RowBlock(0, rows, np.empty((0, rows)), np.empty((0, 0)))], row_fisher
    both = output_fisher.astype(np.float64) * correlation
    both[np.diag_indices(rows)] = row_fisher
    upper = np.linalg.cholesky(both[::-1, ::-1])[::-1, ::-1]
    blocks, costs = [], np.empty(rows)
    for first in range(0, rows, block_rows):
        last = min(first + block_rows, rows)
        own = np.ascontiguousarray(upper[first:last, first:last])
        blocks.append(RowBlock(first, last, np.ascontiguousarray(upper[:first, first:last]), own))
        costs[first:last] = np.square(own).sum(1)
    return blocks, costs
