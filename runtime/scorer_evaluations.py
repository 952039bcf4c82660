"""Checks of how a scorer itself evaluates a stretch of tokens: its targets, its sum, and what its caches add.

Strategy: our own windows over the scorer's losses give the sum that its windows should; a cache that the scorer fills
while it evaluates is asked through `evaluate` alone.
"""

from __future__ import annotations

import math

import numpy as np

from .check import Check, judged, skipped
from .scorer_protocol import OwnScore, ScorerView
from .scorer_questions import SUM_TOLERANCE, Sample, changed_behind, distance
from .target_coverage import check_each_target_once, check_target_count, whole_windows
from .windows import windows

EVALUATED = 1 << 19  # tokens that `evaluate` is asked for in all, to sum one distribution
EVALUATIONS = 1 << 14  # and how often, at most
TOTAL_TOLERANCE = 1e-4  # nats a target


def check_evaluated_distribution(view: ScorerView, own: OwnScore, ids: np.ndarray) -> Check:
    """Sum of the probabilities of every token as the last one of a stretch that `evaluate` reads, where it gives losses
    by target: what a cache adds while it reads is in them.
    """
    size = view.vocabulary_size
    count = min(len(ids) - 1, EVALUATED // size)
    if size > EVALUATIONS:
        return skipped("evaluated distribution", f"{size:,} tokens are more than evaluate is asked one by one")
    if own.losses is None or own.positions is not None or count < 2:
        return skipped("evaluated distribution", "evaluate gives no losses in the order of the targets")
    stretch, total = ids[: count + 1].copy(), 0.0
    for token in range(size):
        stretch[-1] = token
        found = view.evaluate(stretch).losses
        if found is None or len(found) != count:
            return skipped("evaluated distribution", f"evaluate does not score all targets of {count + 1:,} tokens")
        total += math.exp(-found[-1])
    kept = abs(total - 1) <= SUM_TOLERANCE
    detail = f"behind {count:,} tokens that it evaluates the probabilities of all {size:,} tokens sum to {total:.6g}"
    return judged("evaluated distribution", kept, detail, {"sum": total, "context": count})


def check_targets(own: OwnScore, targets: int, sequence_length: int, stride: int) -> Check:
    if own.positions is not None:
        return check_each_target_once(own.positions - 1, targets)
    if own.targets is None:
        return skipped("each target once", "evaluate says neither how many targets it scored nor which")
    return check_target_count(own.targets, targets, sequence_length, stride)


def check_total(view: ScorerView, own: OwnScore, ids: np.ndarray, sequence_length: int, stride: int) -> Check:
    """The scorer's own sum against that of our windows over its losses."""
    if own.nats is None:
        return skipped("total", "evaluate says no sum")
    targets = len(ids) - 1
    if own.targets == whole_windows(targets, sequence_length):
        targets = own.targets
    ours = _sum_of_windows(view, ids, targets, sequence_length, stride)
    difference = (own.nats - ours) / targets
    values = {"nats": own.nats, "ours": ours, "difference_per_target": difference}
    detail = (
        f"its sum is {own.nats:,.4f} nats and our windows of {sequence_length:,} tokens, {stride:,} scored in each, "
    )
    detail += f"give {ours:,.4f} with its losses: {difference:+.2e} a target"
    return judged("total", abs(difference) <= TOTAL_TOLERANCE, detail, values)


def _sum_of_windows(view: ScorerView, ids: np.ndarray, targets: int, sequence_length: int, stride: int) -> float:
    """Nats of the first `targets` targets by our windows, one after the other."""
    view.begin()
    parts = [
        float(view.token_losses(ids[None, window.start : window.stop + 1])[0, window.skip :].sum())
        for window in windows(targets, sequence_length, stride)
    ]
    return math.fsum(parts)


def check_later_tokens(view: ScorerView, own: OwnScore, sample: Sample) -> Check:
    """Of the scorer's own evaluation: no loss changes with later tokens, across its windows."""
    if own.losses is None:
        return skipped("later tokens", "evaluate gives no losses by target")
    positions = np.arange(1, len(own.losses) + 1) if own.positions is None else own.positions
    cut = len(sample.ids) // 2
    changed = view.evaluate(changed_behind(sample.ids, cut, view.vocabulary_size, sample.random))
    earlier = positions <= cut
    if changed.losses is None or changed.losses.shape != own.losses.shape:
        return judged("later tokens", False, "with other tokens at the end it gives another number of losses", {})
    worst = distance(own.losses[earlier], changed.losses[earlier])
    kept = worst <= sample.tolerance
    detail = f"{int(earlier.sum()):,} losses stay the same when the second half of the tokens is others"
    if not kept:
        detail = (
            f"losses of earlier targets change by up to {worst:.3g} nats when the second half of the tokens is others"
        )
    return judged("later tokens", kept, detail, {"targets": int(earlier.sum()), "largest_change": worst})
