"""What scoring found: a model's losses on one stretch of tokens, and how far two models lie apart.

Strategy: a record keeps sums by window; bits per byte, perplexities and standard errors are read off them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..display import ShownByFacts
from ..files.intervals import standard_errors

MUCH_HIDDEN = 0.01  # of a text's bytes: more than rare characters are, from which on a score is not that of the text
LARGEST_EXPONENT = 700.0  # of a perplexity that a float can hold


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Score(ShownByFacts):
    """A model's losses on one stretch of tokens.

    tokens, bytes : int                targets scored and the bytes of text they stand for; 0 bytes where none are known
    unknown_tokens : int               targets that are the unknown piece; in a shard their bytes are not counted, so
                                       that bits per byte is an upper bound
    sequence_losses : float64 [n]      nats of each window's scored targets, in order
    sequence_bytes : int64 [n]         bytes of the same targets
    seconds : float                    wall time of the scoring alone
    kept_tokens : int                  targets whose losses a run before had kept: they took none of these seconds
    words : int or None                white-space-separated words of the text, None where the text is not known
    hidden_bytes : int                 of the bytes those that the tokens do not spell: no model predicts them
    unscored_tokens : int              tokens of the data that were no target, the first one left out
    vocabulary_size : int or None      of the model, where it is known
    rows_without_piece : int           of the vocabulary those that the tokenizer has no piece for
    probability_without_piece : float  what the model gives these rows together, on average
    sequence_documents : int64 [n]     of each window the document it is in, where documents are read one by one; else
                                       None. Standard errors are then over documents, not windows
    """

    tokens: int
    bytes: int
    unknown_tokens: int
    sequence_length: int
    stride: int
    seconds: float
    sequence_losses: np.ndarray
    sequence_bytes: np.ndarray
    words: int | None = None
    hidden_bytes: int = 0
    unscored_tokens: int = 0
    vocabulary_size: int | None = None
    rows_without_piece: int = 0
    probability_without_piece: float = 0.0
    sequence_documents: np.ndarray | None = None
    kept_tokens: int = 0

    @property
    def nats(self) -> float:
        """Loss of all targets together, in nats."""
        return math.fsum(self.sequence_losses.tolist())

    @property
    def bits_per_byte(self) -> float:
        """nats / (ln 2 * bytes); not a number where no bytes are known."""
        return self.nats / (math.log(2) * self.bytes) if self.bytes else math.nan

    @property
    def standard_error(self) -> float | None:
        """Of bits per byte, over the text that could have been drawn; None of fewer than two sequences, or no bytes."""
        if not self.bytes:
            return None
        return ratio_error(self.sequence_losses, self, 1.0 / math.log(2))

    @property
    def bits_per_token(self) -> float:
        """nats / (ln 2 * tokens)."""
        return self.nats / (math.log(2) * self.tokens)

    @property
    def perplexity(self) -> float | None:
        """exp(nats / tokens); None beyond what a float can hold."""
        return _exponential(self.nats, self.tokens)

    @property
    def word_perplexity(self) -> float | None:
        """exp(nats / words), the loss of all tokens shared among the words, as WikiText's figures are; None without."""
        return _exponential(self.nats, self.words)

    @property
    def worse_than_guessing(self) -> bool:
        """Whether giving each token of the vocabulary the same probability would score better."""
        return self.vocabulary_size is not None and self.nats / self.tokens > math.log(self.vocabulary_size)

    @property
    def tokens_per_second(self) -> float:
        """Targets scored per second of wall time, those whose losses were kept from before left out."""
        return (self.tokens - self.kept_tokens) / self.seconds

    def shown_facts(self) -> Mapping[str, str]:
        """The score, and what it is of."""
        facts = {"bits per token": f"{self.bits_per_token:.5f}", "tokens": f"{self.tokens:,}"}
        if not self.bytes:
            return facts | {"bytes": "not known"}
        error = "" if self.standard_error is None else f" ± {self.standard_error:.5f}"
        return {"bits per byte": f"{self.bits_per_byte:.5f}{error}", **facts, "bytes": f"{self.bytes:,}"}


@dataclass(frozen=True, slots=True, repr=False)
class Gap(ShownByFacts):
    """How much worse a model is than another on the same targets, in thousandths of a bit per byte.

    sequences : how many the standard error is over, or documents where these were read one by one
    """

    mbpb: float
    standard_error_mbpb: float
    sequences: int

    @property
    def interval_mbpb(self) -> tuple[float, float]:
        """Where it lies with a confidence of 95 %."""
        reach = standard_errors(self.sequences) * self.standard_error_mbpb
        return self.mbpb - reach, self.mbpb + reach

    def shown_facts(self) -> Mapping[str, str]:
        """The gap with its error."""
        return {"": f"{self.mbpb:+.2f} ± {self.standard_error_mbpb:.2f} mBPB"}


def _exponential(nats: float, count: int | None) -> float | None:
    return math.exp(nats / count) if count and nats / count < LARGEST_EXPONENT else None


def drawn_units(score: Score) -> np.ndarray:
    """Which of the units that are drawn independently each window is of, int64 [windows]: documents that are read one
    by one, where there are two, else windows.
    """
    within = score.sequence_documents
    if within is not None and len(np.unique(within)) > 1:
        return np.unique(within, return_inverse=True)[1]
    return np.arange(len(score.sequence_bytes))


def what_hiding_does(score: Score) -> str:
    """What the bytes that no token spells make of a score, behind their number; nothing where they are few."""
    share = score.hidden_bytes / score.bytes
    if share < MUCH_HIDDEN:
        return ""
    return f": {100 * share:.0f} % of them cost next to nothing, and the score is too low by about that much"


def ratio_error(nats: np.ndarray, score: Score, scale: float) -> float | None:
    """Standard error of sum(nats) / sum(bytes), times `scale`, over `drawn_units`; None of fewer than two."""
    within = drawn_units(score)
    nats = np.bincount(within, weights=nats).astype(np.float64)
    sizes = np.bincount(within, weights=score.sequence_bytes).astype(np.float64)
    count = len(nats)
    if count < 2:
        return None
    residual = nats - math.fsum(nats.tolist()) / score.bytes * sizes
    return scale * math.sqrt(count / (count - 1) * float(residual @ residual)) / score.bytes
