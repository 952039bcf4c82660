"""What head-bottleneck's figures say about its thesis: the questions asked beforehand, tables and charts.

Strategy: each question has a threshold as a constant; lags are in bits a token with 95 % intervals over documents and
seeds, positive where the second model is worse. What each is judged against is in docs/decisions/verdicts.md: a share
of the gradient against that of random subspaces, an order of ranks against all orders there are.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from ...measure.estimate import Estimate
from ..document_scores import DocumentScores, nats_of, over_seeds, paired_difference, seeds_note
from ..findings import FALSIFIES, SUPPORTS, UNDECIDED, Chart, ChartPoint, Observation, Table

if TYPE_CHECKING:
    from .study import HeadResult

LEAST_LOSS = 0.01  # bits a token: a trunk that loses no more than that is not held back
# From full rank to the least, of the share at full rank. At first this was 0.05 of the whole gradient, which no head of
# less than 0.05 of the vocabulary's rank can fall by; it was made relative after the first run had shown that.
LEAST_FALL = 0.5
MOST_BY_CHANCE = 0.05  # of all orders that agree at least as well
MOST_ENUMERATED = 7  # ranks of which all orders are counted
TRUNK_PART = 0.5  # of what a narrow head costs, from which on the trunk's part is the greater
LAGS = [(2, 3, 4), (5, 6, 7)]  # columns of the table of heads: each lag and the ends of its interval
SEEDS = "Bars are 95 % intervals of the mean over seeds, where there are several."

Ranked: TypeAlias = "Mapping[int, HeadResult]"  # by rank, ascending; the last is of full rank


def behind(first: Sequence[DocumentScores], second: Sequence[DocumentScores]) -> Estimate:
    """Loss of the second scores less that of the first, in bits a token."""
    found = paired_difference(nats_of(first), nats_of(second), first[0].tokens)
    return Estimate(found.mean / math.log(2), found.standard_error / math.log(2))


def bottleneck_observations(ranked: Ranked, results: Mapping[str, HeadResult]) -> list[Observation]:
    """Those that decide first; `results` are all arms by name."""
    full, least = ranked[max(ranked)], ranked[min(ranked)]
    found = [_share_falls(full, least), _trunk_behind(full, least), _same_order(ranked)]
    found += [
        _parts(ranked),
        _narrow_heads(full, least),
        _equal_weights(full, least, results),
        _factors(full, results),
        _over_training(ranked),
    ]
    note = seeds_note(len(full.scores))
    return [replace(each, answer=each.answer + note) for each in found]


def _above(estimate: Estimate, least: float) -> str:
    """Of a fall or a lag: above 0 with a mean above `least` supports, the whole interval below `least` falsifies."""
    if estimate.low > 0 and estimate.mean > least:
        return SUPPORTS
    return FALSIFIES if estimate.high < least else UNDECIDED


def _by_side(estimate: Estimate) -> str:
    """An interval above 0 supports, one below it falsifies."""
    return {1: SUPPORTS, 0: UNDECIDED, -1: FALSIFIES}[estimate.side()]


def _written(estimate: Estimate) -> str:
    return f"{estimate.mean:+.4f} ({estimate.low:+.4f} to {estimate.high:+.4f})"


def judge_fall(full: HeadResult, least: HeadResult) -> tuple[Estimate, Estimate, str]:
    """The fall of the surviving share from full rank to the least, in parts of itself; how many times a random
    subspace's share the least rank keeps, over how many the full one does, less 1; and what follows.

    Random subspaces fall by almost all of their share, so a fall alone says nothing of the head: it supports where it
    is beyond theirs, too. With one seed nothing follows.
    """
    fall = over_seeds(1 - least.final("projected") / full.final("projected"))
    times = [each.final("projected") / each.final("random") for each in (full, least)]
    against = over_seeds(times[1] / times[0] - 1)
    if len(times[0]) < 2:
        return fall, against, UNDECIDED
    if fall.high < LEAST_FALL:
        return fall, against, FALSIFIES
    falls = fall.low > 0 and fall.mean > LEAST_FALL
    return fall, against, SUPPORTS if falls and against.high < 0 else UNDECIDED


def _share_falls(full: HeadResult, least: HeadResult) -> Observation:
    fall, against, outcome = judge_fall(full, least)
    kept, random = (
        [f"{each.final(figure).mean():.4f}" for each in (full, least)] for figure in ("projected", "random")
    )
    return Observation(
        "Does the share of the gradient that survives the head fall with its rank, beyond what random subspaces do?",
        f"{kept[0]} at rank {full.arm.rank}, {kept[1]} at rank {least.arm.rank}: a fall by {_written(fall)} of "
        f"itself; a random subspace would keep {random[0]} and {random[1]}, and against it the share changes by "
        f"{_written(against)} of itself",
        outcome,
    )


def _trunk_behind(full: HeadResult, least: HeadResult) -> Observation:
    lag = behind(full.refitted, least.refitted)
    return Observation(
        "With a fresh head of full rank on the frozen trunk, does the trunk that was trained through the least rank "
        "stay behind?",
        f"by {_written(lag)} bits a token, at rank {least.arm.rank} against {full.arm.rank}",
        _above(lag, LEAST_LOSS),
    )


def _same_order(ranked: Ranked) -> Observation:
    shares = [result.final("projected").mean() for result in ranked.values()]
    losses = [nats_of(result.refitted).sum() for result in ranked.values()]
    agreement = rank_correlation(shares, [-loss for loss in losses])
    chance = share_of_orders(len(ranked), agreement)
    certain = agreement >= 0.8 and chance <= MOST_BY_CHANCE
    outcome = SUPPORTS if certain else FALSIFIES if agreement <= 0 else UNDECIDED
    return Observation(
        "Do trunks stay the further behind the less of the gradient survived?",
        f"rank correlation of the surviving share with what the trunk learned over {len(ranked)} ranks: "
        f"{agreement:+.2f} (at least 0.8 supports, at most 0 falsifies); {100 * chance:.1f} % of all orders agree as "
        f"well (at most {100 * MOST_BY_CHANCE:g} % supports)",
        outcome,
    )


def rank_correlation(first: Sequence[float], second: Sequence[float]) -> float:
    """Spearman's, of values that are all different."""
    count = len(first)
    if count < 2:
        return 0.0
    places = [[sorted(values).index(value) for value in values] for values in (first, second)]
    return 1 - 6 * sum((a - b) ** 2 for a, b in zip(*places, strict=True)) / (count * (count**2 - 1))


def share_of_orders(count: int, agreement: float) -> float:
    """Which share of all orders of so many values has at least this rank correlation with one of them."""
    if count > MOST_ENUMERATED:  # so many that the normal approximation holds
        return 0.5 * math.erfc(agreement * math.sqrt((count - 1) / 2))
    first = list(range(count))
    orders = [rank_correlation(first, order) for order in itertools.permutations(first)]
    return sum(each >= agreement - 1e-9 for each in orders) / len(orders)


def _parts(ranked: Ranked) -> Observation:
    """How much of a narrow head's cost lies in the trunk, rank by rank."""
    full, least, texts = ranked[max(ranked)], ranked[min(ranked)], []
    for rank, result in list(ranked.items())[:-1]:
        whole, trunk = behind(full.scores, result.scores).mean, behind(full.refitted, result.refitted).mean
        texts.append(f"rank {rank}: {trunk:+.4f} of {whole:+.4f} bits a token")
    left = [nats_of(each.refitted) - TRUNK_PART * nats_of(each.scores) for each in (full, least)]
    beyond = paired_difference(*left, full.scores[0].tokens)  # the trunk's part less TRUNK_PART of the whole cost
    outcome = _by_side(beyond) if behind(full.scores, least.scores).low > 0 else UNDECIDED
    question = "Does more than half of what a narrow head costs stay with the trunk under a fresh full head?"
    return Observation(question, "; ".join(texts), outcome, decisive=False)


def _narrow_heads(full: HeadResult, least: HeadResult) -> Observation:
    """The limit of expression alone: a narrow head on the trunk of the full one."""
    limit = behind(full.refitted, full.narrow[least.arm.rank])
    whole = behind(full.scores, least.scores)
    return Observation(
        "What does a head of the least rank cost on the trunk that learned through the full one?",
        f"{_written(limit)} bits a token; training through it cost {_written(whole)}",
        _by_side(behind(full.narrow[least.arm.rank], least.scores)),
        decisive=False,
    )


def _equal_weights(full: HeadResult, least: HeadResult, results: Mapping[str, HeadResult]) -> Observation:
    wider = results[f"{least.arm.name}, wider MLP"]
    rest, won = behind(full.scores, wider.scores), behind(least.scores, wider.scores)
    return Observation(
        "Do as many weights in the MLP make up for the least rank?",
        f"{wider.weights:,} against {full.weights:,} weights: {_written(rest)} bits a token behind the full rank; the "
        f"wider MLP wins {_written(won)}",
        _above(rest, LEAST_LOSS),
        decisive=False,
    )


def _factors(full: HeadResult, results: Mapping[str, HeadResult]) -> Observation:
    difference = behind(results["plain head"].scores, full.scores)
    same = -LEAST_LOSS < difference.low and difference.high < LEAST_LOSS  # not only not told apart
    return Observation(
        "Do two factors of full rank learn otherwise than one matrix?",
        f"{_written(difference)} bits a token",
        FALSIFIES if same else SUPPORTS if difference.side() else UNDECIDED,
        decisive=False,
    )


def _over_training(ranked: Ranked) -> Observation:
    first, last = ({rank: _mean(result, k, "projected") for rank, result in ranked.items()} for k in (0, -1))
    texts = [f"rank {rank}: {first[rank]:.4f} to {last[rank]:.4f}" for rank in ranked]
    rises, falls = (all(sign * (last[rank] - first[rank]) > 0 for rank in ranked) for sign in (1, -1))
    outcome = SUPPORTS if rises else FALSIFIES if falls else UNDECIDED
    return Observation("Does the surviving share rise over training?", "; ".join(texts), outcome, decisive=False)


def bottleneck_tables(ranked: Ranked, results: Mapping[str, HeadResult]) -> list[Table]:
    """Every head at the end of training, and every rank on the way there."""
    full = ranked[max(ranked)]
    rows = [_head_row(name, result, full) for name, result in results.items()]
    note = "means over seeds; lags in bits a token with 95 % intervals"
    columns = list(rows[0])
    return [
        Table("Heads at the end of training", columns, [list(row.values()) for row in rows], note, LAGS),
        _curve_table(ranked),
    ]


def _head_row(name: str, result: HeadResult, full: HeadResult) -> dict[str, object]:
    """Cells by their columns."""
    final = {figure: float(result.final(figure).mean()) for figure in result.curves[0][-1]}
    lag, refitted = (
        [round(value, 4) for value in (each.mean, each.low, each.high)]
        for each in (behind(full.scores, result.scores), behind(full.refitted, result.refitted))
    )
    return {
        "head": name,
        ">bits a token": round(final["loss"] / math.log(2), 4),
        **dict(zip((">behind full rank", ">low", ">high"), lag, strict=True)),
        **dict(zip((">with a fresh full head", ">its low", ">its high"), refitted, strict=True)),
        ">weights": result.weights,
        ">surviving share": round(final["projected"], 4),
        ">of a random subspace": round(final["random"], 4),
        ">effective rank of the head": round(final["head_effective_rank"], 1),
        ">its condition": f"{final['head_condition']:.3g}",
        ">of the hidden states": round(final["hidden_effective_rank"], 1),
        ">of their gradients": round(final["gradient_effective_rank"], 1),
    }


def _curve_table(ranked: Ranked) -> Table:
    rows = [_curve_row(rank, result, k) for rank, result in ranked.items() for k in range(len(result.curves[0]))]
    return Table("On the way", list(rows[0]), [list(row.values()) for row in rows])


def _curve_row(rank: int, result: HeadResult, checkpoint: int) -> dict[str, object]:
    """Cells by their columns."""
    mean = {figure: _mean(result, checkpoint, figure) for figure in result.curves[0][checkpoint]}
    return {
        ">rank": rank,
        ">tokens": result.curves[0][checkpoint]["tokens"],
        ">bits a token": round(mean["loss"] / math.log(2), 4),
        ">surviving share": round(mean["projected"], 4),
        ">times a random subspace's": round(mean["projected"] / mean["random"], 2),
        ">effective rank of the head": round(mean["head_effective_rank"], 1),
    }


def _mean(result: HeadResult, checkpoint: int, figure: str) -> float:
    """Over seeds."""
    return sum(curve[checkpoint][figure] for curve in result.curves) / len(result.curves)


def _over_seeds(result: HeadResult, checkpoint: int, figure: str, scale: float) -> ChartPoint:
    """A figure's mean over seeds, with its interval where there are several."""
    values = scale * np.array([curve[checkpoint][figure] for curve in result.curves])
    tokens = result.curves[0][checkpoint]["tokens"]
    if len(values) < 2:
        return ChartPoint(tokens, float(values[0]))
    mean = Estimate.of_pairs(np.zeros(len(values)), values)
    return ChartPoint(tokens, mean.mean, mean.low, mean.high)


def bottleneck_charts(ranked: Ranked) -> list[Chart]:
    """The surviving share and the loss over training, a line a rank."""

    def lines(figure: str, scale: float = 1.0) -> dict[str, list[ChartPoint]]:
        return {
            f"rank {rank}": [_over_seeds(r, k, figure, scale) for k in range(len(r.curves[0]))]
            for rank, r in ranked.items()
        }

    share, loss = lines("projected"), lines("loss", 1 / math.log(2))
    title = "Share of the gradient's squared norm that survives the head"
    return [
        Chart(title, ("tokens", "share"), share, note=SEEDS),
        Chart("Loss on held-out documents", ("tokens", "bits a token"), loss, note=SEEDS),
    ]
