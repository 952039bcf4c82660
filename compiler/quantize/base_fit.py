"""The step that fits integers best once they are chosen.

Strategy: on average an integer lies further from zero than the value it was chosen for, the more so the
coarser the steps are: the quantized weights are 1 / (1 - D / var) times too long (the backward test
channel of rate-distortion theory). One factor on the step of the whole matrix costs no byte, because
the base is stored as a float anyway. The factor is the regression of W on the decoded integers under
the second-order loss.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...format.tensors.grid import MAX_BASE, MIN_BASE, GridValues, reconstruct_grid
from .grid_matrix import PreparedMatrix


def fit_base(prepared: PreparedMatrix, grid: GridValues, share: float) -> tuple[GridValues, float]:
    """(The grid with `share` of the way to the base of least loss, the loss in nats a token) for the same integers."""
    wanted, found = _rotated(prepared, prepared.weights), _rotated(prepared, reconstruct_grid(grid)[:, prepared.order])
    energy = float(prepared.row_fisher @ np.square(found).sum(1))
    if energy > 0:
        best = float(prepared.row_fisher @ (found * wanted).sum(1)) / energy
        base = float(np.float32(grid.base * (1 + share * (best - 1))))
        if MIN_BASE <= base <= MAX_BASE:
            found *= base / grid.base
            grid = replace(grid, base=base)
    return grid, 0.5 * float(prepared.row_fisher @ np.square(found - wanted).sum(1))


def _rotated(prepared: PreparedMatrix, weights: np.ndarray) -> np.ndarray:
    """float64[rows, columns] whose squares, weighed by `row_fisher`, sum to twice the loss; weights in
    processing order.
    """
    rotated = weights.astype(np.float64) @ prepared.factor
    return rotated if prepared.coupling is None else rotated + prepared.coupling.T @ rotated
