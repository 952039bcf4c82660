"""Whether a scorer measures what it says: somebody else's in Python, or our own interpreter.

Strategy: a list of checks, each a question of its own. A distribution must sum to one over the whole vocabulary; no
earlier number may change with a later token, with the other rows of a batch, or with what was asked before; each target
counts once; and the sum is what our own windows give with the scorer's losses.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError
from .check import Check, judged, skipped
from .interpreter import Interpreter
from .scorer_evaluations import check_evaluated_distribution, check_later_tokens, check_targets, check_total
from .scorer_protocol import ScorerView, log_softmax
from .scorer_questions import check_batches, check_causality, check_distribution, check_state, distance, make_sample
from .tokenizers import load_tokenizer
from .tokens import NO_TOKEN, read_tokens

HELD_LOGITS = 1 << 24  # of one sequence that a scorer gives logits of
OWN_TOKENS, OWN_LOGITS = 256, 1 << 22  # of one sequence of our own interpreter
OWN_TOLERANCE = 1e-4  # nats; its losses are within 1e-5 of exact arithmetic on its logits


def check_scorer(
    scorer: Any,
    data: str | Path | Sequence[str | Path] | np.ndarray,
    *,
    tokenizer: str | Path | None = None,
    sequence_length: int,
    stride: int | None = None,
    max_tokens: int = 1 << 14,
    positions: int = 8,
    tolerance: float = 1e-3,
    seed: int = 0,
) -> list[Check]:
    """Check a scorer of the protocol `scorer_protocol.Scorer` on the first tokens of `data`.

    data                      token ids [n], or token shards or texts as for `evaluate`
    tokenizer                 for texts
    sequence_length, stride   of the windows that its own `evaluate` is said to have
    positions                 places that are sampled; tolerance: nats that two answers may differ by

    In this order: "distribution", "causality", "batches", "state", and of a scorer with `evaluate` also "each target
    once", "total", "evaluated distribution" and "later tokens". Each is passed, failed, or skipped where the scorer
    lacks what it needs. What a scorer that adapts while it reads keeps between calls is no fault if it has `reset`.

    Raises DataError for data that cannot be read or are too few, for a scorer without the needed methods, and for
    results of other shapes. What the scorer itself raises is passed on.
    """
    view = ScorerView(scorer)
    ids = _ids(view, data, tokenizer, max_tokens)
    most = len(ids) - 1 if view.has[0] == "token_losses" else max(2, HELD_LOGITS // view.vocabulary_size)
    sample = make_sample(ids, min(sequence_length, len(ids) - 1, most), positions, seed, tolerance)
    checks = [check_distribution(view, sample, positions), check_causality(view, sample), check_batches(view, sample)]
    checks.append(check_state(view, sample))
    names = ("each target once", "total", "evaluated distribution", "later tokens")
    if not view.evaluates:
        return [*checks, *(skipped(name, "the scorer has no evaluate") for name in names)]
    stride = sequence_length if stride is None else stride
    own = view.evaluate(ids)
    checks += [
        check_targets(own, len(ids) - 1, sequence_length, stride),
        check_total(view, own, ids, sequence_length, stride),
    ]
    return [*checks, check_evaluated_distribution(view, own, ids), check_later_tokens(view, own, sample)]


def _ids(view: ScorerView, data: Any, tokenizer: str | Path | None, max_tokens: int) -> np.ndarray:
    if isinstance(data, np.ndarray):
        found = data
    else:
        loaded = None if tokenizer is None else load_tokenizer(tokenizer)
        found = read_tokens(data, loaded, view.vocabulary_size, NO_TOKEN, max_tokens=max_tokens).ids
    found = np.asarray(found[: max_tokens + 1]).astype(np.int64)
    if found.ndim != 1 or len(found) < 4 or found.min() < 0 or found.max() >= view.vocabulary_size:
        raise DataError(f"a scorer is checked on at least 4 tokens from 0 to {view.vocabulary_size - 1}, in one row")
    return found


class _ProgramScorer:
    """Our interpreter as a scorer."""

    def __init__(self, model: Interpreter) -> None:
        self.vocabulary_size = model.program.vocabulary_size
        self.logits = model.logits


def check_interpreter(model: Interpreter, ids: np.ndarray, positions: int = 4) -> Check:
    """The check "softmax and causality" of our own interpreter on the first of some tokens, int [n].

    Its losses must be those of a softmax over the whole vocabulary of its logits, and no logit may change by a bit with
    the tokens behind sampled places.
    """
    view = ScorerView(_ProgramScorer(model))
    most = max(2, OWN_LOGITS // view.vocabulary_size)
    length = min(model.program.sequence_length, len(ids) - 1, OWN_TOKENS, most)
    if length < 2:
        return skipped("softmax and causality", "there are too few tokens")
    sample = make_sample(np.asarray(ids[: length + 1]).astype(np.int64), length, positions, 0, 0.0)
    logits = log_softmax(np.asarray(model.logits(sample.row[None, :-1]), dtype=np.float64))[0]
    losses = model.token_losses(sample.row[None])[0]
    differing = distance(-logits[np.arange(length), sample.row[1:]], losses)
    causal = check_causality(view, sample, cut_off=False)
    kept = differing <= OWN_TOLERANCE
    values = {"largest_loss_difference": differing, **causal.values}
    softmax = f"softmax over all {view.vocabulary_size:,} tokens"
    if kept and causal.passed:
        return judged("softmax and causality", True, f"{softmax}, causal at {len(sample.cuts)} places", values)
    word = "are" if kept else "are not"
    detail = f"losses {word} those of a {softmax}, within {differing:.1e} nats; {causal.detail}"
    return judged("softmax and causality", False, detail, values)
