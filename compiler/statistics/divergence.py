"""Divergence from the float model: KL(float model || other model) of the next token, in float64.

Strategy: at each position the divergence is the sum over the whole vocabulary of p (log p - log q), p
the float model's. It sees every token that the model might have said, the loss only the one that the
text says, so it is the less noisy of the two. Logits are float32, everything after them float64. The
float model's logits are kept, 4 bytes times tokens times vocabulary. Batches are fixed and every
sequence's sum is its own, so that the thread count cannot change a digit. (Distillation has its own
float32 loss, which is differentiated and never reported.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ...format.program.program import Program
from ..model.torch_executor import TorchExecutor
from ..workers import run_jobs

BATCH_TOKENS = 1024


def log_probabilities(logits: torch.Tensor) -> torch.Tensor:
    """float64 [..., vocabulary] of float32 logits."""
    return logits.double().log_softmax(-1)


class Predictions:
    """What the float model predicts at some positions, from its float32 logits [..., vocabulary]."""

    def __init__(self, logits: torch.Tensor) -> None:
        self.logs = log_probabilities(logits)
        self.probabilities = self.logs.exp()

    def divergence_terms(self, logs: torch.Tensor) -> torch.Tensor:
        """p (log p - log q) of each token in nats, float64 [..., vocabulary], for log-probabilities log
        q of another model.
        """
        return self.probabilities * (self.logs - logs)


@dataclass(frozen=True, slots=True, eq=False)
class SequenceLosses:
    """Of one model on n sequences.

    divergence : float64[n] nats a token, mean over the positions of a sequence
    loss : float64[n] nats, sum over the targets of a sequence; None without targets
    """

    divergence: np.ndarray
    loss: np.ndarray | None


class DivergenceMeter:
    """Divergences of models from one float model on the same sequences.

    program, arrays : the float model, float32 arrays in directory order
    sequences : int64[n, length]; targets : int64[n, length], each the token after its input, or None
    float_model : SequenceLosses of the float model itself
    """

    def __init__(
        self,
        program: Program,
        arrays: Sequence[np.ndarray],
        sequences: np.ndarray,
        targets: np.ndarray | None = None,
        *,
        threads: int,
    ) -> None:
        self._program, self._sequences, self._targets = program, sequences, targets
        self._size = max(1, BATCH_TOKENS // sequences.shape[1])
        self._starts = range(0, len(sequences), self._size)
        executor = _executor(program, arrays)
        self._logits = run_jobs(lambda start: self._forward(executor, start), self._starts, threads)
        self.float_model = self._collected(lambda start: self._logits[start // self._size], threads)

    def measure(self, arrays: Sequence[np.ndarray], program: Program | None = None, *, threads: int) -> SequenceLosses:
        """Of the float model's program, or of another one for the same tokens, with these float32 tensors."""
        executor = _executor(program or self._program, arrays)
        return self._collected(lambda start: self._forward(executor, start), threads)

    def _forward(self, executor: TorchExecutor, start: int) -> torch.Tensor:
        """Logits float32 [batch, length, vocabulary] of the batch that begins with sequence `start`."""
        with torch.no_grad():
            return executor.forward(torch.from_numpy(self._sequences[start : start + self._size]))

    def _collected(self, logits_of, threads: int) -> SequenceLosses:
        """The losses of a model whose logits `logits_of(start)` gives, batch by batch."""

        def measure(start: int) -> tuple[np.ndarray, np.ndarray | None]:
            logs, reference = log_probabilities(logits_of(start)), Predictions(self._logits[start // self._size])
            divergence = reference.divergence_terms(logs).sum(-1).mean(-1).numpy()
            return divergence, None if self._targets is None else self._loss(logs, start)

        found = run_jobs(measure, self._starts, threads)
        losses = None if self._targets is None else np.concatenate([loss for _, loss in found])
        return SequenceLosses(np.concatenate([divergence for divergence, _ in found]), losses)

    def _loss(self, logs: torch.Tensor, start: int) -> np.ndarray:
        """float64[batch] nats: the sum over a sequence's targets of -log q."""
        targets = torch.from_numpy(self._targets[start : start + self._size])
        return -logs.gather(-1, targets[..., None])[..., 0].sum(-1).numpy()


def _executor(program: Program, arrays: Sequence[np.ndarray]) -> TorchExecutor:
    return TorchExecutor(program, {i: torch.from_numpy(np.ascontiguousarray(a)) for i, a in enumerate(arrays)})
