"""Kullback-Leibler divergence of a compressed model from the float model, in bits a token.

Strategy: one function for every pipeline. Both models read the same windows of the evaluation tokens; at each place the
divergence is the sum over the whole vocabulary of p (log p - log q), p the float model's. It sees every token that the
model might have said, the gap only those that the text says, so it is the less noisy of the two. The float model's
log-probabilities are computed once and kept, 4 bytes times tokens times vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from bytecap.compiler.model.torch_executor import TorchExecutor
from bytecap.format.program.program import Program

BATCH_SEQUENCES = 16


class DivergenceMeter:
    """Divergences from one model on one stretch of tokens.

    Parameters
    ----------
    program : Program
    reference : float32 arrays    the float model's tensors, in directory order
    sequences : int64 [n, length]
    """

    def __init__(self, program: Program, reference: Sequence[np.ndarray], sequences: np.ndarray) -> None:
        self._program, self._sequences = program, sequences
        self._reference = list(self._log_probabilities(reference))

    def bits_per_token(self, arrays: Sequence[np.ndarray]) -> float:
        """Mean divergence of the model with these tensors over all places of all sequences."""
        total = 0.0
        for reference, other in zip(self._reference, self._log_probabilities(arrays), strict=True):
            total += float((reference.exp() * (reference - other)).sum(dtype=torch.float64))
        return total / self._sequences.size / math.log(2)

    @torch.no_grad()
    def _log_probabilities(self, arrays: Sequence[np.ndarray]) -> Iterator[Tensor]:
        """float32 [sequences, length, vocabulary] of a batch at a time."""
        executor = TorchExecutor(self._program, {i: torch.from_numpy(array) for i, array in enumerate(arrays)})
        for start in range(0, len(self._sequences), BATCH_SEQUENCES):
            yield executor.forward(torch.from_numpy(self._sequences[start : start + BATCH_SEQUENCES])).log_softmax(-1)
