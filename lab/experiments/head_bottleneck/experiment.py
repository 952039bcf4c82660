"""head-bottleneck: does a head of low rank hold back the trunk by what it lets through of the gradient, or only by what it can say?

Strategy: the same trunk is trained under heads of several ranks. The share of the logits' gradient that reaches the trunk is measured
on the way (arXiv:2603.10145); heads refitted on frozen trunks part what the trunk failed to learn from what the head fails to express.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from ..document_scores import over_seeds, paired_difference
from ..findings import FALSIFIES, SUPPORTS, UNDECIDED, Chart, Estimate, Findings, Observation, Table
from ..inputs import Inputs
from .study import BottleneckOptions, BottleneckStudy, HeadResult, nats_of

LEAST_LOSS = 0.01  # bits a token: a trunk that loses no more than that is not held back
# From full rank to the least, of the share at full rank. At first this was 0.05 of the whole gradient, which no head of less than
# 0.05 of the vocabulary's rank can fall by; it was made relative after the first run had shown that.
LEAST_FALL = 0.5
TRUNK_PART = 0.5  # of what a narrow head costs, from which on the trunk's part is the greater


class HeadBottleneck:
    """The third thesis: the head as a bottleneck of optimization, not only of expression."""

    name = "head-bottleneck"
    thesis = (
        "A head of low rank suppresses part of the training signal, so that the trunk behind it learns less from the same tokens: "
        "the head is a bottleneck of the gradient, not only of what can be expressed."
    )
    supports = (
        f"the share of the gradient's squared norm that survives the head falls with its rank, by more than {LEAST_FALL} of itself from full rank to the least",
        f"with a fresh head of full rank on each frozen trunk, the trunk of the least rank stays behind by more than {LEAST_LOSS} bits a token",
        "trunks stay the further behind the less of the gradient survived",
    )
    falsifies = (
        f"the surviving share falls by less than {LEAST_FALL} of itself: its whole interval is below that",
        f"the trunk of the least rank stays behind by less than {LEAST_LOSS} bits a token: its whole interval is below that",
        "trunks stay behind in another order than that of the surviving shares",
    )

    def run(self, inputs: Inputs) -> Findings:
        """Train and measure every arm. DataError for missing inputs, unknown options, text that is too small or overlaps."""
        inputs.require(self.name, "training", "evaluation")
        options = BottleneckOptions(**inputs.chosen(**asdict(BottleneckOptions())))
        study = BottleneckStudy(inputs, options)
        results = {result.arm.name: result for result in study.measure()}
        settings = asdict(options) | {
            "steps": study.steps, "tokens_a_training": study.steps * options.batch_sequences * options.length, "evaluated_tokens": len(study.evaluation),
        }  # fmt: skip
        ranked = {rank: results[f"rank {rank}"] for rank in (*study.ranks, options.width)}
        return Findings(_observations(ranked, results), _tables(ranked, results), _charts(ranked), settings)


def behind(first: Sequence, second: Sequence) -> Estimate:
    """Loss of the second scores less that of the first, in bits a token."""
    found = paired_difference(nats_of(first), nats_of(second), first[0].tokens)
    return Estimate(found.mean / math.log(2), found.standard_error / math.log(2))


def _observations(ranked: Mapping[int, HeadResult], results: Mapping[str, HeadResult]) -> list[Observation]:
    full, least = ranked[max(ranked)], ranked[min(ranked)]
    found = [_share_falls(full, least), _trunk_behind(full, least), _same_order(ranked)]
    found += [
        _parts(ranked),
        _narrow_heads(full, least),
        _equal_weights(full, least, results),
        _factors(full, results),
        _over_training(ranked),
    ]
    return found


def _above(estimate: Estimate, least: float) -> str:
    """Whether a fall or a lag is there: the whole interval above 0 and its middle above `least`, or the whole interval below `least`."""
    return SUPPORTS if estimate.low > 0 and estimate.mean > least else FALSIFIES if estimate.high < least else UNDECIDED


def _written(estimate: Estimate) -> str:
    return f"{estimate.mean:+.4f} ({estimate.low:+.4f} to {estimate.high:+.4f})"


def _share_falls(full: HeadResult, least: HeadResult) -> Observation:
    fall = over_seeds(1 - least.final("projected") / full.final("projected"))
    return Observation(
        "Does the share of the gradient that survives the head fall with its rank?",
        f"{full.final('projected').mean():.4f} at rank {full.arm.rank}, {least.final('projected').mean():.4f} at rank {least.arm.rank}: a fall by "
        f"{_written(fall)} of itself; a random subspace would keep {full.final('random').mean():.4f} and {least.final('random').mean():.4f}",
        _above(fall, LEAST_FALL),
    )


def _trunk_behind(full: HeadResult, least: HeadResult) -> Observation:
    lag = behind(full.refitted, least.refitted)
    return Observation(
        "With a fresh head of full rank on the frozen trunk, does the trunk that was trained through the least rank stay behind?",
        f"by {_written(lag)} bits a token, at rank {least.arm.rank} against {full.arm.rank}", _above(lag, LEAST_LOSS),
    )  # fmt: skip


def _same_order(ranked: Mapping[int, HeadResult]) -> Observation:
    shares = [result.final("projected").mean() for result in ranked.values()]
    losses = [nats_of(result.refitted).sum() for result in ranked.values()]
    agreement = rank_correlation(shares, [-loss for loss in losses])
    outcome = SUPPORTS if agreement >= 0.8 else FALSIFIES if agreement <= 0 else UNDECIDED
    return Observation(
        "Do trunks stay the further behind the less of the gradient survived?",
        f"rank correlation of the surviving share with what the trunk learned over {len(ranked)} ranks: {agreement:+.2f} "
        "(at least 0.8 supports, at most 0 falsifies)",
        outcome,
    )


def rank_correlation(first: Sequence[float], second: Sequence[float]) -> float:
    """Spearman's, of values that are all different."""
    count = len(first)
    if count < 2:
        return 0.0
    places = [[sorted(values).index(value) for value in values] for values in (first, second)]
    return 1 - 6 * sum((a - b) ** 2 for a, b in zip(*places, strict=True)) / (count * (count**2 - 1))


def _parts(ranked: Mapping[int, HeadResult]) -> Observation:
    """How much of a narrow head's cost lies in the trunk, rank by rank."""
    full, texts, parts = ranked[max(ranked)], [], []
    for rank, result in list(ranked.items())[:-1]:
        whole, trunk = behind(full.scores, result.scores).mean, behind(full.refitted, result.refitted).mean
        parts.append(trunk / whole if whole > 0 else math.nan)
        texts.append(f"rank {rank}: {trunk:+.4f} of {whole:+.4f} bits a token")
    outcome = (
        SUPPORTS
        if parts and parts[0] >= TRUNK_PART
        else FALSIFIES
        if parts and parts[0] < 1 - TRUNK_PART
        else UNDECIDED
    )
    return Observation(
        "How much of what a narrow head costs stays with the trunk under a fresh full head?",
        "; ".join(texts),
        outcome,
        decisive=False,
    )


def _narrow_heads(full: HeadResult, least: HeadResult) -> Observation:
    """The limit of expression alone: a narrow head on the trunk of the full one."""
    limit = behind(full.refitted, full.narrow[least.arm.rank])
    whole = behind(full.scores, least.scores)
    return Observation(
        "What does a head of the least rank cost on the trunk that learned through the full one?",
        f"{_written(limit)} bits a token; training through it cost {_written(whole)}", SUPPORTS if whole.mean > limit.mean else FALSIFIES, decisive=False,
    )  # fmt: skip


def _equal_weights(full: HeadResult, least: HeadResult, results: Mapping[str, HeadResult]) -> Observation:
    wider = results[f"{least.arm.name}, wider MLP"]
    rest, won = behind(full.scores, wider.scores), behind(least.scores, wider.scores)
    return Observation(
        "Do as many weights in the MLP make up for the least rank?",
        f"{wider.weights:,} against {full.weights:,} weights: {_written(rest)} bits a token behind the full rank; the wider MLP wins {_written(won)}",
        _above(rest, LEAST_LOSS), decisive=False,
    )  # fmt: skip


def _factors(full: HeadResult, results: Mapping[str, HeadResult]) -> Observation:
    difference = behind(results["plain head"].scores, full.scores)
    return Observation(
        "Do two factors of full rank learn otherwise than one matrix?", f"{_written(difference)} bits a token",
        FALSIFIES if difference.side() == 0 else UNDECIDED, decisive=False,
    )  # fmt: skip


def _over_training(ranked: Mapping[int, HeadResult]) -> Observation:
    first, last = (
        {rank: sum(c[k]["projected"] for c in r.curves) / len(r.curves) for rank, r in ranked.items()} for k in (0, -1)
    )
    texts = [f"rank {rank}: {first[rank]:.4f} to {last[rank]:.4f}" for rank in ranked]
    rises = all(last[rank] > first[rank] for rank in ranked)
    return Observation(
        "How does the surviving share move over training?",
        "; ".join(texts),
        SUPPORTS if rises else UNDECIDED,
        decisive=False,
    )


def _tables(ranked: Mapping[int, HeadResult], results: Mapping[str, HeadResult]) -> list[Table]:
    full = ranked[max(ranked)]
    rows = []
    for name, result in results.items():
        final = {figure: float(result.final(figure).mean()) for figure in result.curves[0][-1]}
        lag, trunk = behind(full.scores, result.scores), behind(full.refitted, result.refitted)
        rows.append([
            name, result.weights, round(final["projected"], 4), round(final["random"], 4), round(final["head_effective_rank"], 1),
            f"{final['head_condition']:.3g}", round(final["hidden_effective_rank"], 1), round(final["gradient_effective_rank"], 1),
            round(final["loss"] / math.log(2), 4), _written(lag), _written(trunk),
        ])  # fmt: skip
    columns = [
        "head", ">weights", ">surviving share", ">of a random subspace", ">effective rank of the head", ">its condition", ">of the hidden states",
        ">of their gradients", ">bits a token", "behind full rank", "behind it with a fresh full head",
    ]  # fmt: skip
    return [
        Table(
            "Heads at the end of training", columns, rows, "means over seeds; lags in bits a token with 95 % intervals"
        ),
        _curve_table(ranked),
    ]


def _curve_table(ranked: Mapping[int, HeadResult]) -> Table:
    rows = [
        [rank, c["tokens"], round(_mean(r, k, "loss") / math.log(2), 4), round(_mean(r, k, "projected"), 4),
         round(_mean(r, k, "projected") / _mean(r, k, "random"), 2), round(_mean(r, k, "head_effective_rank"), 1)]
        for rank, r in ranked.items()
        for k, c in enumerate(r.curves[0])
    ]  # fmt: skip
    columns = [
        ">rank",
        ">tokens",
        ">bits a token",
        ">surviving share",
        ">times a random subspace's",
        ">effective rank of the head",
    ]
    return Table("On the way", columns, rows)


def _mean(result: HeadResult, checkpoint: int, figure: str) -> float:
    return sum(curve[checkpoint][figure] for curve in result.curves) / len(result.curves)


def _charts(ranked: Mapping[int, HeadResult]) -> list[Chart]:
    def lines(figure: str, scale: float = 1.0) -> dict[str, list[tuple[float, float]]]:
        return {
            f"rank {rank}": [(c["tokens"], _mean(r, k, figure) * scale) for k, c in enumerate(r.curves[0])]
            for rank, r in ranked.items()
        }

    return [
        Chart("Share of the gradient's squared norm that survives the head", ("tokens", "share"), lines("projected")),
        Chart("Loss on held-out documents", ("tokens", "bits a token"), lines("loss", 1 / math.log(2))),
    ]
