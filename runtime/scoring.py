"""Bits per byte of a model on tokens, and the paired gap between two models.

Strategy: targets are scored in windows of equal length, each with the context inside its window
only; the first window scores all its targets, each later one its last `stride`, so every target is
scored exactly once. Windows are cut into batches by their number alone and their losses summed
exactly in float64, so that neither the thread count nor the order in which threads finish can
change a digit.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from itertools import islice
from typing import Protocol

import numpy as np
from threadpoolctl import threadpool_limits

from ..errors import DataError, VerificationError
from ..format.parallel import usable_cores
from ..progress import StageProgress
from .token_text import TokenText
from .tokens import Tokens
from .windows import Window, windows_by_document

TOKENS_PER_BATCH = 1024  # enough to make a call worth its overhead, few enough to stop soon after an interrupt
MILLI = 1000.0
LARGEST_EXPONENT = 700.0  # of a perplexity that a float can hold


class LanguageModel(Protocol):
    """What can be scored: `Interpreter`, or anything else with this method."""

    def token_losses(self, tokens: np.ndarray) -> np.ndarray:
        """Loss of each next token: int [batch, length + 1] -> nats [batch, length].

        Entry i of a row is -log of the probability of tokens[i + 1] given tokens[: i + 1]. The
        probability must be a softmax over the whole vocabulary. Called from several threads at
        once.
        """


@dataclass(frozen=True, slots=True, eq=False)
class Score:
    """A model's losses on one stretch of tokens.

    tokens, bytes : int                targets scored and the bytes of text they stand for; 0 bytes where none are known
    unknown_tokens : int               targets that are the unknown piece; in a shard their bytes are not counted, so
                                       that bits per byte is an upper bound
    sequence_losses : float64 [n]      nats of each window's scored targets, in order
    sequence_bytes : int64 [n]         bytes of the same targets
    seconds : float                    wall time of the scoring alone
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
        return _ratio_error(self.sequence_losses, self, 1.0 / math.log(2))

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
        """Targets scored per second of wall time."""
        return self.tokens / self.seconds


@dataclass(frozen=True, slots=True)
class Gap:
    """How much worse a model is than another on the same targets, in thousandths of a bit per byte."""

    mbpb: float
    standard_error_mbpb: float


def _exponential(nats: float, count: int | None) -> float | None:
    return math.exp(nats / count) if count and nats / count < LARGEST_EXPONENT else None


def target_count(tokens: Tokens, sequence_length: int, max_tokens: int | None = None) -> int:
    """Targets that `score` covers: of n tokens min(n - 1, max_tokens); of a shard rounded down to whole windows of L,
    as the public challenge does, of a text all of them. DataError when that is none.
    """
    _check_positive(sequence_length=sequence_length, max_tokens=max_tokens)
    available = len(tokens.ids) - 1
    limited = available if max_tokens is None else min(available, max_tokens)
    unit = sequence_length if tokens.text is None else 1
    count = limited // unit * unit
    if count < 1:
        few = "max_tokens" if limited < available else "the tokens"
        raise DataError(
            f"{tokens.source}: one sequence needs {unit:,} target{'s' * (unit != 1)} and the token before, but {few} "
            f"{'allow' if limited < available else 'give'} {max(limited, 0):,}; use more, or a shorter sequence length"
        )
    return count


def score(
    model: LanguageModel,
    tokens: Tokens,
    text: TokenText | None,
    *,
    sequence_length: int,
    stride: int | None = None,
    max_tokens: int | None = None,
    documents: np.ndarray | None = None,
    batch_sequences: int | None = None,
    threads: int | None = None,
    progress: StageProgress | None = None,
) -> Score:
    """Score `model` on the first targets of `tokens`, each exactly once.

    text : what each token stands for; None to count no bytes
    documents : int [d]     where documents begin: each is then read from its own beginning; by default they run on
                            into each other

    By default windows do not overlap; with `stride` < `sequence_length` each target after the first
    window sees at least `sequence_length - stride` tokens of context. `progress(done, total)` counts
    windows, in the calling thread. BLAS is held to one thread meanwhile; `threads` (default: the cores
    this process may use) run batches of `batch_sequences` windows. The result is the same for any
    `threads`, and for any `batch_sequences` as far as the model's losses are.

    Raises DataError when the tokens give no sequence or no bytes, VerificationError when a loss is
    not finite.
    """
    targets = target_count(tokens, sequence_length, max_tokens)
    stride = sequence_length if stride is None else stride
    _check_positive(stride=stride, batch_sequences=batch_sequences, threads=threads)
    if stride > sequence_length:
        raise DataError(
            f"stride {stride} is longer than a sequence of {sequence_length}; tokens in between would never be scored"
        )
    starts = np.zeros(1, dtype=np.int64) if documents is None else documents
    plan = list(windows_by_document(starts, targets, sequence_length, stride))
    size = batch_sequences or max(1, TOKENS_PER_BATCH // sequence_length)
    sums = _sums_of(plan, None if text is None else text.bytes)
    if not plan or (text is not None and not sums.any()):
        raise DataError(f"{tokens.source}: the {targets:,} scored tokens stand for no text at all; give other data")
    began = time.perf_counter()
    losses = _window_losses(model, tokens.ids[: targets + 1], plan, size, threads or usable_cores(), progress)
    seconds = time.perf_counter() - began
    _check_finite(losses, plan)
    limit = len(tokens.ids) - 1 if max_tokens is None else min(max_tokens, len(tokens.ids) - 1)
    within = None if documents is None else np.searchsorted(starts, [w.start for w in plan], side="right") - 1
    found = Score(limit, 0, 0, sequence_length, stride, seconds, losses, sums, sequence_documents=within)
    return _summed(plan, text, found)


def _summed(plan: Sequence[Window], text: TokenText | None, found: Score) -> Score:
    """A score of as many tokens as could be scored, with the sums over the windows that were."""
    scored = sum(window.stop - window.start - window.skip for window in plan)
    found = replace(found, tokens=scored, unscored_tokens=found.tokens - scored)
    if text is None:
        return found
    return replace(
        found,
        bytes=int(found.sequence_bytes.sum()),
        unknown_tokens=int(_sums_of(plan, text.unknown).sum()),
        words=None if text.words is None else int(_sums_of(plan, text.words).sum()),
        hidden_bytes=int(_sums_of(plan, text.hidden).sum()),
    )


def _sums_of(plan: Sequence[Window], values: np.ndarray | None) -> np.ndarray:
    """int64 [windows]: sums of `values` [tokens] over the scored targets of each window; zeros for None."""
    if values is None:
        return np.zeros(len(plan), dtype=np.int64)
    running = np.concatenate(([0], np.cumsum(values, dtype=np.int64)))
    starts = np.array([window.start + window.skip + 1 for window in plan])
    return running[[window.stop + 1 for window in plan]] - running[starts]


def _check_positive(**options: int | None) -> None:
    for name, value in options.items():
        if value is not None and value < 1:
            raise DataError(f"{name} is {value}; it must be at least 1")


def _check_finite(losses: np.ndarray, plan: Sequence[Window]) -> None:
    wrong = np.flatnonzero(~np.isfinite(losses))
    if wrong.size:
        first = int(wrong[0])
        window = plan[first]
        targets = f"targets {window.start + window.skip:,} to {window.stop - 1:,}"
        raise VerificationError(
            f"the model's loss is {losses[first]} in sequence {first:,} ({targets}), and not finite in "
            f"{wrong.size:,} of {len(losses):,} sequences; its weights are damaged or too large"
        )


def _batches(plan: Sequence[Window], size: int) -> Iterator[range]:
    """Window numbers in runs of at most `size` windows of one length."""
    first = 0
    for number in range(1, len(plan) + 1):
        length = plan[first].stop - plan[first].start
        if number == len(plan) or number - first == size or plan[number].stop - plan[number].start != length:
            yield range(first, number)
            first = number


def _window_losses(
    model: LanguageModel,
    ids: np.ndarray,
    plan: Sequence[Window],
    size: int,
    threads: int,
    progress: StageProgress | None,
) -> np.ndarray:
    """Nats of each window's scored targets, float64 [windows]."""
    losses = np.empty(len(plan), dtype=np.float64)

    def run(numbers: range) -> int:
        inputs = np.stack([ids[plan[number].start : plan[number].stop + 1] for number in numbers]).astype(np.int64)
        with np.errstate(over="ignore", invalid="ignore"):  # a loss that is not finite is found in the sums
            nats = np.asarray(model.token_losses(inputs), dtype=np.float64)
        for number, row in zip(numbers, nats, strict=True):
            losses[number] = row[plan[number].skip :].sum()
        return len(numbers)

    with threadpool_limits(limits=1, user_api="blas"):
        done = 0
        for count in _completed(run, _batches(plan, size), threads):
            done += count
            if progress is not None:
                progress(done, len(plan))
    return losses


def _completed(run: Callable[[range], int], batches: Iterator[range], threads: int) -> Iterator[int]:
    """Results of `run` on each batch as they come; only a few batches are under way, so an interrupt ends it soon."""
    with ThreadPoolExecutor(threads, thread_name_prefix="score") as pool:
        pending: set[Future[int]] = {pool.submit(run, batch) for batch in islice(batches, 2 * threads)}
        try:
            while pending:
                finished, pending = wait(pending, return_when=FIRST_COMPLETED)
                pending |= {pool.submit(run, batch) for batch in islice(batches, len(finished))}
                for future in finished:
                    yield future.result()
        finally:
            for future in pending:
                future.cancel()


def paired_gap(reference: Score, other: Score) -> Gap:
    """How much worse `other` is than `reference` on the same targets, with its standard error over sequences, or over
    documents where these are read one by one.

    With d_i = other's nats minus the reference's in sequence i and b_i its bytes, the gap is the
    ratio R = sum(d) / sum(b) in nats per byte; its standard error is that of a ratio estimator
    (Cochran, Sampling Techniques, 6.4): sqrt(n / (n - 1) * sum((d_i - R b_i)^2)) / sum(b). Both
    times 1000 / ln 2.

    Raises DataError when the two scores are not of the same sequences, or are of fewer than two.
    """
    if not reference.bytes:
        raise DataError("a gap in bits per byte needs the bytes of the tokens; give the tokenizer")
    same = (reference.sequence_length, reference.stride, reference.tokens) == (
        other.sequence_length,
        other.stride,
        other.tokens,
    )
    if not same or not np.array_equal(reference.sequence_bytes, other.sequence_bytes):
        raise DataError(
            "the two scores are not of the same tokens in the same sequences; score both with the same data and options"
        )
    scale = MILLI / math.log(2)
    difference = other.sequence_losses - reference.sequence_losses
    error = _ratio_error(difference, reference, scale)
    if error is None:
        raise DataError(
            "the standard error of a gap needs at least two sequences; "
            "score more tokens or use a shorter sequence length"
        )
    return Gap(math.fsum(difference.tolist()) / reference.bytes * scale, error)


def _ratio_error(nats: np.ndarray, score: Score, scale: float) -> float | None:
    """Standard error of sum(nats) / sum(bytes), times `scale`, over the units that are drawn independently: documents
    that are read one by one, where there are two, else windows; None of fewer than two.
    """
    sizes, within = score.sequence_bytes.astype(np.float64), score.sequence_documents
    if within is not None and len(np.unique(within)) > 1:
        _, within = np.unique(within, return_inverse=True)
        nats = np.bincount(within, weights=nats).astype(np.float64)
        sizes = np.bincount(within, weights=sizes).astype(np.float64)
    count = len(nats)
    if count < 2:
        return None
    residual = nats - math.fsum(nats.tolist()) / score.bytes * sizes
    return scale * math.sqrt(count / (count - 1) * float(residual @ residual)) / score.bytes
