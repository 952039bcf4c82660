"""When calibration has seen enough text: twice as much would leave the quantization steps where they are.

Strategy: steps are byte_price / (sqrt(g_i) L_jj), so the change of log2 of both factors between two
statistics, the second on twice the text of the first, says how far a step moves. Errors of a mean halve
with four times the text: what the last doubling changed bounds what all further text can change.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..quantize.gptq import damped
from .calibration import MatrixStatistics, Statistics
from .row_coupling import floor_fisher

DAMPING, FISHER_FLOOR = 0.003, 0.02


@dataclass(slots=True)
class Convergence:
    """Compares the statistics of successive doublings; `tolerance` in octaves, root mean square over all weights."""

    tolerance: float
    _before: dict[int, np.ndarray] | None = None

    def reached(self, statistics: Statistics) -> bool:
        """Whether these statistics moved the steps by at most the tolerance since the ones before."""
        logs = {i: _log_steps(matrix) for i, matrix in statistics.matrices.items()}
        before, self._before = self._before, logs
        return before is not None and step_change(before, logs) <= self.tolerance


def step_change(before: dict[int, np.ndarray], after: dict[int, np.ndarray]) -> float:
    """Root mean square over tensors and sides of the change of log2 steps, in octaves."""
    squares = [np.mean(np.square(after[i] - before[i])) for i in after]
    return float(np.sqrt(np.mean(squares))) if squares else 0.0


def _log_steps(matrix: MatrixStatistics) -> np.ndarray:
    """float64[rows + columns]: log2 of sqrt(g) and of L_jj, columns in their own order."""
    fisher = floor_fisher(matrix.row_fisher, FISHER_FLOOR)
    factor = np.linalg.cholesky(damped(matrix.hessian, DAMPING))
    return np.concatenate([0.5 * np.log2(fisher), np.log2(factor.diagonal())])
