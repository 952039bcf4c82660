"""When calibration has seen enough text: twice as much would leave the quantization steps where they are.

Strategy: steps are byte_price / (sqrt(g_i) L_jj), so the change of log2 of both factors between two
statistics, the second on twice the text of the first, says how far a step moves. Errors of a mean halve
with four times the text: what the last doubling changed bounds what all further text can change.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ...format.program.program import Program
from ...progress import StageProgress
from ..model.model import Model
from ..resume.work_folder import FORGETFUL, Memory
from ..scratch_file import ScratchFile
from ..settings import CalibrationSettings
from ..workers import run_jobs
from .calibration import Statistics, calibration_sequences, measure_statistics
from .calibration_progress import RememberedCalibration
from .damping import damped
from .matrix_statistics import MatrixStatistics
from .row_coupling import floor_fisher

DAMPING, FISHER_FLOOR = 0.003, 0.02
BATCH_LOGITS = 1 << 26  # of a batch of several sequences: models of many tokens are large, and so are activations


def calibrate(
    model: Model,
    text: np.ndarray,
    settings: CalibrationSettings,
    *,
    seed: int,
    device: str,
    threads: int,
    progress: StageProgress,
    scratch: ScratchFile | None = None,
    memory: Memory = FORGETFUL,
) -> Statistics:
    """Measure the second-order model of the loss on as much of the text as it takes.

    text : int64 tokens; progress : called with the batches so far and all that there could be
    scratch : where statistics are put aside, see measure_statistics
    memory : of a run with the same model, text, settings, seed and device
    """
    sequences = calibration_sequences(text, model.program.sequence_length, settings.tokens)
    order = np.random.default_rng(seed).permutation(len(sequences))  # any part of them is spread over the text
    batch_sequences = sequences_at_once(model.program, settings)
    total, convergence = -(-len(sequences) // batch_sequences), Convergence(settings.tolerance, threads)
    progress(0, total)  # of a large model, the first batch takes long
    return measure_statistics(
        model,
        sequences[order],
        batch_sequences=batch_sequences,
        seed=seed,
        device=device,
        threads=threads,
        finished=lambda done: progress(done, total),
        enough=convergence.reached,
        scratch=scratch,
        remembered=RememberedCalibration(memory, convergence),
    )


def sequences_at_once(program: Program, settings: CalibrationSettings) -> int:
    """How many sequences are in a forward and backward pass."""
    most = BATCH_LOGITS // (program.sequence_length * program.vocabulary_size)
    return max(1, min(settings.batch_sequences, most))


@dataclass(slots=True)
class Convergence:
    """Compares the statistics of successive doublings; `tolerance` in octaves, root mean square over all weights."""

    tolerance: float
    threads: int = 1
    _before: dict[int, np.ndarray] | None = None

    def state(self) -> dict[str, np.ndarray]:
        """What the next statistics will be compared with."""
        return {str(index): logs for index, logs in (self._before or {}).items()}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Go on from such a state."""
        self._before = {int(index): np.array(logs) for index, logs in state.items()} or None

    def reached(self, statistics: Statistics) -> bool:
        """Whether these statistics moved the steps by at most the tolerance since the ones before."""
        found, indexes = statistics.matrices, list(statistics.matrices)
        logs = dict(zip(indexes, run_jobs(lambda i: _log_steps(found[i]), indexes, self.threads), strict=True))
        before, self._before = self._before, logs
        return before is not None and step_change(before, logs) <= self.tolerance


def step_change(before: dict[int, np.ndarray], after: dict[int, np.ndarray]) -> float:
    """Root mean square over tensors and sides of the change of log2 steps, in octaves."""
    squares = [np.mean(np.square(after[i] - before[i])) for i in after]
    return float(np.sqrt(np.mean(squares))) if squares else 0.0


def _log_steps(matrix: MatrixStatistics) -> np.ndarray:
    """float64[rows + columns]: log2 of sqrt(g) and of L_jj, columns in their own order."""
    fisher = floor_fisher(matrix.row_fisher, FISHER_FLOOR)
    factor = np.linalg.cholesky(damped(matrix.hessian, DAMPING, excess=matrix.excess))
    return np.concatenate([0.5 * np.log2(fisher), np.log2(factor.diagonal())])
