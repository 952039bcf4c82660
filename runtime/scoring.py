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
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing, nullcontext
from dataclasses import replace

import numpy as np

from ..errors import DataError, VerificationError
from ..format.parallel import usable_cores
from ..progress import StageProgress
from .interpreter import Interpreter
from .kept_losses import KeptLosses
from .overflow_place import overflow_place
from .score import Gap, Score, drawn_units, ratio_error
from .token_text import TokenText
from .tokens import Tokens
from .window_runs import LanguageModel, OnThreads, WindowRunner
from .windows import Window, windows_by_document

MILLI = 1000.0

Keep = Callable[[np.ndarray, Sequence[Window]], KeptLosses]


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
    *,
    text: TokenText | None,
    sequence_length: int,
    stride: int | None = None,
    max_tokens: int | None = None,
    documents: np.ndarray | None = None,
    batch_sequences: int | None = None,
    threads: int | None = None,
    progress: StageProgress | None = None,
    run: WindowRunner | None = None,
    keep: Keep | None = None,
) -> Score:
    """Score `model` on the first targets of `tokens`, each exactly once.

    text : what each token stands for; None to count no bytes
    documents : int [d]     where documents begin: each is then read from its own beginning; by default they run on
                            into each other

    By default windows do not overlap; with `stride` < `sequence_length` each target after the first
    window sees at least `sequence_length - stride` tokens of context. `progress(done, total)` counts
    windows, in the calling thread. BLAS is held to one thread meanwhile; `threads` (default: the cores
    this process may use) run batches of `batch_sequences` windows. The result is the same for any
    `threads`, and for any `batch_sequences` as far as the model's losses are. `run` runs windows elsewhere
    instead. With `keep`, called with the tokens and the windows, losses that are known are not computed again.

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
    sums = _sums_of(plan, None if text is None else text.bytes)
    if not plan or (text is not None and not sums.any()):
        raise DataError(f"{tokens.source}: the {targets:,} scored tokens stand for no text at all; give other data")
    began = time.perf_counter()
    run, ids = run or OnThreads(threads or usable_cores(), batch_sequences), tokens.ids[: targets + 1]
    with nullcontext() if keep is None else keep(ids, plan) as kept:
        losses = _losses_by(run, model, ids, plan, kept, progress)
    seconds = time.perf_counter() - began
    before = 0 if kept is None else _scored(plan[i] for i in np.flatnonzero(~np.isnan(kept.known)))
    _check_finite(losses, plan, ids, model)
    limit = len(tokens.ids) - 1 if max_tokens is None else min(max_tokens, len(tokens.ids) - 1)
    within = None if documents is None else np.searchsorted(starts, [w.start for w in plan], side="right") - 1
    found = Score(limit, 0, 0, sequence_length, stride, seconds, losses, sums, sequence_documents=within)
    found = replace(found, kept_tokens=before)
    return _summed(plan, text, found)


def _losses_by(
    run: WindowRunner,
    model: LanguageModel,
    ids: np.ndarray,
    plan: Sequence[Window],
    kept: KeptLosses | None,
    progress: StageProgress | None,
) -> np.ndarray:
    """Nats of each window's scored targets, float64 [windows]."""
    losses = np.full(len(plan), np.nan) if kept is None else kept.known.copy()
    missing = range(len(plan)) if kept is None else np.flatnonzero(np.isnan(losses)).tolist()
    done = len(plan) - len(missing)
    with closing(run(model, ids, plan, missing)) as found:  # at an interrupt, too, so that no work goes on
        for numbers, nats in found:
            losses[numbers] = nats
            if kept is not None:
                kept.add(numbers, nats)
            done += len(numbers)
            if progress is not None:
                progress(done, len(plan))
    return losses


def _summed(plan: Sequence[Window], text: TokenText | None, found: Score) -> Score:
    """A score of as many tokens as could be scored, with the sums over the windows that were."""
    scored = _scored(plan)
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


def _scored(windows: Iterable[Window]) -> int:
    """Targets that windows score."""
    return sum(window.stop - window.start - window.skip for window in windows)


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


def _check_finite(losses: np.ndarray, plan: Sequence[Window], ids: np.ndarray, model: LanguageModel) -> None:
    wrong = np.flatnonzero(~np.isfinite(losses))
    if wrong.size:
        first = int(wrong[0])
        window = plan[first]
        targets = f"targets {window.start + window.skip:,} to {window.stop - 1:,}"
        place = ""
        if isinstance(model, Interpreter):
            place = f": {overflow_place(model, ids[window.start : window.stop])}"
        raise VerificationError(
            f"the model's loss is {losses[first]} in sequence {first:,} ({targets}), and not finite in "
            f"{wrong.size:,} of {len(losses):,} sequences{place}; its weights are damaged or too large"
        )


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
    error = ratio_error(difference, reference, scale)
    if error is None:
        raise DataError(
            "the standard error of a gap needs at least two sequences; "
            "score more tokens or use a shorter sequence length"
        )
    mean = math.fsum(difference.tolist()) / reference.bytes * scale
    return Gap(mean, error, len(np.unique(drawn_units(reference))))
