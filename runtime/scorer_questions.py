"""Questions to a scorer that is read place by place: whole distributions, causality, batches, state.

Strategy: ask, change one thing, ask again. The sum of a distribution is found without trusting the scorer, by asking
for the loss of every token in the same place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from .check import Check, judged
from .scorer_protocol import ScorerView, log_softmax

CONTEXT = 32  # tokens before a sampled position
ROWS = 1024  # sequences of one call that asks for the loss of every token, at most
LOGITS = 1 << 26  # that a scorer may have to hold at once for one of our calls
QUESTIONS = 1 << 16  # losses asked for in all, to sum distributions
SUM_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """What a scorer is asked about.

    ids : int64 [n]           the tokens
    row : int64 [length + 1]  one stretch of them
    cuts : list of int        places in the row behind which tokens are changed
    random                    where the changes come from
    tolerance : float         nats that two answers may differ by
    """

    ids: np.ndarray
    row: np.ndarray
    cuts: Sequence[int]
    random: np.random.Generator
    tolerance: float


def make_sample(ids: np.ndarray, length: int, positions: int, seed: int, tolerance: float) -> Sample:
    random = np.random.default_rng(seed)
    start = int(random.integers(0, len(ids) - length))
    row = ids[start : start + length + 1]
    cuts = sorted(random.choice(np.arange(1, length), min(positions, length - 1), replace=False).tolist())
    return Sample(ids, row, cuts, random, tolerance)


def changed_behind(tokens: np.ndarray, cut: int, size: int, random: np.random.Generator) -> np.ndarray:
    """The tokens with every one behind `cut` another."""
    other = tokens.copy()
    other[cut + 1 :] = (other[cut + 1 :] + random.integers(1, size, len(other) - cut - 1)) % size
    return other


def check_distribution(view: ScorerView, sample: Sample, positions: int) -> Check:
    """Sums of probabilities over the whole vocabulary at some places."""
    size = view.vocabulary_size
    count = max(1, min(positions, QUESTIONS // size, len(sample.cuts)))
    cuts = np.asarray(sample.cuts)[np.linspace(0, len(sample.cuts) - 1, count).astype(int)].tolist()
    if view.has == ("logits",):
        return judged("distribution", True, "the scorer gives logits; the softmax over all of them is ours", {})
    sums = [_sum_at(view, sample.row[max(0, cut - CONTEXT) : cut + 1]) for cut in cuts]
    worst = max(sums, key=lambda found: abs(found - 1) if np.isfinite(found) else np.inf)
    values = {"positions": len(sums), "sum_farthest_from_one": worst}
    if not abs(worst - 1) <= SUM_TOLERANCE:
        detail = f"the probabilities of all {size:,} tokens sum to {worst:.6g} at one of {len(sums)} places, not to 1"
        return judged("distribution", False, detail, values)
    detail = f"the probabilities of all {size:,} tokens sum to 1 at {len(sums)} places, within {abs(worst - 1):.1e}"
    if "logits" not in view.has or "token_losses" not in view.has:
        return judged("distribution", True, detail, values)
    view.begin()
    losses = view.read("token_losses", sample.row[None])[0]
    view.begin()
    logits = log_softmax(view.read("logits", sample.row[None, :-1]))[0]
    differing = float(np.abs(losses + logits[np.arange(len(losses)), sample.row[1:]]).max())
    kept = differing <= sample.tolerance
    detail += f"; its losses {'are' if kept else 'are not'} those of its logits, within {differing:.1e} nats"
    return judged("distribution", kept, detail, {**values, "losses_and_logits": differing})


def _sum_at(view: ScorerView, context: np.ndarray) -> float:
    """Sum of the probabilities of every token behind a context."""
    view.begin()
    if "token_losses" not in view.has:
        return float(np.exp(view.read("log_probabilities", context[None])[0, -1]).sum())
    total, size = 0.0, view.vocabulary_size
    count = max(1, min(ROWS, LOGITS // (size * len(context))))
    for first in range(0, size, count):
        candidates = np.arange(first, min(first + count, size))
        rows = np.concatenate((np.broadcast_to(context, (len(candidates), len(context))), candidates[:, None]), axis=1)
        view.begin()
        total += float(np.exp(-view.read("token_losses", rows)[:, -1]).sum())
    return total


def check_causality(view: ScorerView, sample: Sample, cut_off: bool = True) -> Check:
    """No number at or before a place changes with the tokens behind it, nor (`cut_off`) with how many there are."""
    losses = view.has[0] == "token_losses"
    whole = view.outputs(sample.row[None])[0]
    worst, where, how = 0.0, 0, "others"
    for cut in sample.cuts:
        earlier = cut if losses else cut + 1
        rows = {"others": changed_behind(sample.row, cut, view.vocabulary_size, sample.random)}
        if cut_off:
            rows["cut off"] = sample.row[: cut + 1]
        for word, row in rows.items():
            answer = view.outputs(row[None])[0][:earlier]
            found = distance(whole[: len(answer)], answer)
            if found > worst:
                worst, where, how = found, cut, word
    kept = worst <= sample.tolerance
    values = {"positions": len(sample.cuts), "largest_change": worst}
    if kept:
        detail = f"no number changes with the tokens behind {len(sample.cuts)} places, within {worst:.1e} nats"
    else:
        place = f"the tokens behind place {where:,} of {len(sample.row):,}"
        detail = f"numbers at or before it change by up to {worst:.3g} nats when {place} are {how}"
    return judged("causality", kept, detail, values)


def distance(one: np.ndarray, other: np.ndarray) -> float:
    """Largest difference; infinite numbers that are equal differ by nothing, others and NaN by infinity."""
    with np.errstate(invalid="ignore"):
        found = np.where(one == other, 0.0, np.abs(one - other))
    return float(np.where(np.isnan(found), np.inf, found).max(initial=0.0))


def check_batches(view: ScorerView, sample: Sample) -> Check:
    """A row gives the same numbers alone, and first, in the middle and last among others."""
    alone = view.outputs(sample.row[None])[0]
    others = [changed_behind(sample.row, 0, view.vocabulary_size, sample.random) for _ in range(2)]
    worst = max(
        distance(alone, view.outputs(np.stack([*others[:place], sample.row, *others[place:]]))[place])
        for place in range(3)
    )
    kept = worst <= sample.tolerance
    word = "the same" if kept else "other numbers"
    detail = f"a row gives {word} alone and among others, {'within' if kept else 'by up to'} {worst:.1e} nats"
    return judged("batches", kept, detail, {"largest_change": worst})


def check_state(view: ScorerView, sample: Sample) -> Check:
    """The same question gives the same numbers again, also after another one."""
    other = changed_behind(sample.row, 0, view.vocabulary_size, sample.random)

    def again(begin: Callable[[], None]) -> float:
        name = view.has[0]
        view.begin()
        first = view.read(name, sample.row[None])
        begin()
        second = view.read(name, sample.row[None])
        begin()
        view.read(name, other[None])
        begin()
        return max(distance(first, second), distance(first, view.read(name, sample.row[None])))

    clean, kept_state = again(view.begin), again(lambda: None)
    values = {"largest_change": clean, "largest_change_without_reset": kept_state}
    if clean > sample.tolerance:
        word = "even after reset" if view.resets else "so it keeps state between calls, or draws numbers"
        return judged(
            "state", False, f"the same question gives other numbers, by up to {clean:.3g} nats; {word}", values
        )
    if kept_state > sample.tolerance:
        return judged("state", True, "it learns from what it reads, and reset makes it forget", values)
    return judged("state", True, f"the same question gives the same numbers, within {kept_state:.1e} nats", values)
