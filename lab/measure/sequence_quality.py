"""How far a changed model is from the float model, sequence by sequence: divergence, loss, bits per byte.

Strategy: one forward pass of each model over the same sequences. The float model's log-probabilities are computed once and kept, 4
bytes times tokens times vocabulary. Batches are fixed and every sequence's sum is its own, so threads cannot change a digit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ...compiler.model.model import Model
from ...compiler.model.torch_executor import TorchExecutor
from ...compiler.workers import run_jobs
from ...format.program.program import Program
from ...runtime.scoring import Gap, Score, paired_gap, target_count
from ...runtime.tokenizer import ByteTable
from ...runtime.tokens import Tokens

BATCH_TOKENS = 2048
BITS = 1 / math.log(2)


@dataclass(frozen=True, slots=True, eq=False)
class SequenceQuality:
    """Of one model on n sequences of `length` targets.

    divergence : float64[n] KL divergence from the float model, bits a token
    bits : float64[n] of loss of all targets of a sequence; bytes : int64[n] of their text, None where no tokenizer is known
    """

    divergence: np.ndarray
    bits: np.ndarray
    bytes: np.ndarray | None
    length: int

    @property
    def bits_per_token(self) -> float:
        return float(self.bits.mean()) / self.length

    @property
    def bits_per_byte(self) -> float | None:
        return None if self.bytes is None else float(self.bits.sum()) / int(self.bytes.sum())

    def gap_to(self, reference: SequenceQuality) -> Gap | None:
        """How much worse than another model, paired by sequence, in thousandths of a bit per byte; None without a tokenizer.

        The ratio estimator of runtime.scoring.paired_gap; DataError for fewer than two sequences.
        """
        return None if self.bytes is None else paired_gap(reference._score(), self._score())

    def _score(self) -> Score:
        tokens, count = len(self.bits) * self.length, int(self.bytes.sum())
        return Score(tokens, count, 0, self.length, self.length, 0.0, self.bits / BITS, self.bytes)


class QualityMeter:
    """Quality of models with one program on one stretch of tokens.

    sequences : int64[n, length] inputs; targets : int64[n, length], each the token after its input
    """

    def __init__(self, model: Model, tokens: Tokens, table: ByteTable | None, most_tokens: int, threads: int) -> None:
        """DataError when the tokens have no whole sequence and the target after it."""
        length = model.program.sequence_length
        count = target_count(tokens, length, most_tokens)
        used = tokens.ids[: count + 1].astype(np.int64)
        self.sequences, self.targets = used[:-1].reshape(-1, length), used[1:].reshape(-1, length)
        self.bytes = None if table is None else table.target_bytes(used).astype(np.int64).reshape(-1, length).sum(1)
        self._program, self.threads = model.program, threads
        self._reference: list[torch.Tensor] = []
        self.float_model = self._measure(model.program, [t.values for t in model.tensors], self._keep)

    def measure(self, arrays: Sequence[np.ndarray], program: Program | None = None) -> SequenceQuality:
        """Of the program, or of another one for the same tokens, with these float32 tensors."""
        return self._measure(program or self._program, arrays, self._diverge)

    def _measure(
        self, program: Program, arrays: Sequence[np.ndarray], compare: Callable[[int, torch.Tensor], torch.Tensor]
    ) -> SequenceQuality:
        executor = TorchExecutor(program, {i: torch.from_numpy(np.ascontiguousarray(a)) for i, a in enumerate(arrays)})
        size = max(1, BATCH_TOKENS // self.sequences.shape[1])

        def measure(start: int) -> tuple[np.ndarray, np.ndarray]:
            with torch.no_grad():
                logs = executor.forward(torch.from_numpy(self.sequences[start : start + size])).log_softmax(-1)
                own = logs.gather(-1, torch.from_numpy(self.targets[start : start + size])[..., None])[..., 0]
                return compare(start // size, logs).double().mean(-1).numpy() * BITS, -own.double().sum(
                    -1
                ).numpy() * BITS

        starts = range(0, len(self.sequences), size)
        if not self._reference:
            self._reference = [torch.empty(0)] * len(starts)
        found = run_jobs(measure, starts, self.threads)
        divergence, bits = (np.concatenate([each[k] for each in found]) for k in (0, 1))
        return SequenceQuality(divergence, bits, self.bytes, self.sequences.shape[1])

    def _keep(self, batch: int, logs: torch.Tensor) -> torch.Tensor:
        """Remember the float model's; it does not diverge from itself."""
        self._reference[batch] = logs
        return torch.zeros(logs.shape[:2])

    def _diverge(self, batch: int, logs: torch.Tensor) -> torch.Tensor:
        reference = self._reference[batch]
        return (reference.exp() * (reference - logs)).sum(-1, dtype=torch.float64)
