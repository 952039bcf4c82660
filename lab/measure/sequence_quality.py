"""How far a changed model is from the float model, sequence by sequence: divergence, loss, bits per byte.

Strategy: the compiler's meter (compiler/statistics/divergence.py) on the sequences that an experiment
judges by, in bits and with the bytes of their text.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...compiler.model.model import Model
from ...compiler.statistics.divergence import DivergenceMeter, SequenceLosses
from ...format.program.program import Program
from ...runtime.scoring import Gap, Score, paired_gap, target_count
from ...runtime.tokenizers import ByteTable
from ...runtime.tokens import Tokens

BITS = 1 / math.log(2)


@dataclass(frozen=True, slots=True, eq=False)
class SequenceQuality:
    """Of one model on n sequences of `length` targets.

    divergence : float64[n] KL divergence from the float model, bits a token
    bits : float64[n] of loss of all targets of a sequence; bytes : int64[n] of their text, None where
        no tokenizer is known
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
        """How much worse than another model, paired by sequence, in thousandths of a bit per byte; None
        without a tokenizer.

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

    def __init__(
        self,
        model: Model,
        tokens: Tokens,
        table: ByteTable | None,
        most_tokens: int,
        threads: int,
        device: str = "cpu",
    ) -> None:
        """DataError when the tokens have no whole sequence and the target after it."""
        length = model.program.sequence_length
        count = target_count(tokens, length, most_tokens)
        used = tokens.ids[: count + 1].astype(np.int64)
        self.sequences, self.targets = used[:-1].reshape(-1, length), used[1:].reshape(-1, length)
        self.bytes = None if table is None else table.target_bytes(used).astype(np.int64).reshape(-1, length).sum(1)
        arrays, self.threads = [t.values for t in model.tensors], threads
        how = {"threads": threads, "device": device}
        self._meter = DivergenceMeter(model.program, arrays, self.sequences, self.targets, **how)
        self.float_model = self._quality(self._meter.float_model)

    def measure(self, arrays: Sequence[np.ndarray], program: Program | None = None) -> SequenceQuality:
        """Of the program, or of another one for the same tokens, with these float32 tensors."""
        return self._quality(self._meter.measure(arrays, program, threads=self.threads))

    def _quality(self, found: SequenceLosses) -> SequenceQuality:
        return SequenceQuality(found.divergence * BITS, found.loss * BITS, self.bytes, self.sequences.shape[1])
