"""head-bottleneck: does a narrow head hold back the trunk by the gradient it lets through, or only by what it can say?

Strategy: the same trunk is trained under heads of several ranks. The share of the logits' gradient that reaches the
trunk is measured on the way (arXiv:2603.10145). Heads refitted on frozen trunks tell what the trunk failed to learn
from what the head fails to express.
"""

from __future__ import annotations

from dataclasses import asdict

from ..findings import Findings
from ..inputs import Inputs
from .arms import BottleneckOptions
from .findings import (
    LEAST_FALL,
    LEAST_LOSS,
    MOST_BY_CHANCE,
    bottleneck_charts,
    bottleneck_observations,
    bottleneck_tables,
)


class HeadBottleneck:
    """The third thesis: the head as a bottleneck of optimization, not only of expression."""

    name = "head-bottleneck"
    thesis = (
        "A head of low rank suppresses part of the training signal, so that the trunk behind it learns less from the "
        "same tokens: the head is a bottleneck of the gradient, not only of what can be expressed."
    )
    supports = (
        "the share of the gradient's squared norm that survives the head falls with its rank, by more than "
        f"{LEAST_FALL} of itself from full rank to the least, and by more than random subspaces of these ranks do",
        "with a fresh head of full rank on each frozen trunk, the trunk of the least rank stays behind by more than "
        f"{LEAST_LOSS} bits a token",
        "trunks stay the further behind the less of the gradient survived, in an order that chance gives to at most "
        f"{MOST_BY_CHANCE:.0%} of orders",
    )
    falsifies = (
        f"the surviving share falls by less than {LEAST_FALL} of itself: its whole interval is below that",
        f"the trunk of the least rank stays behind by less than {LEAST_LOSS} bits a token: its whole interval is "
        "below that",
        "trunks stay behind in another order than that of the surviving shares",
    )

    def run(self, inputs: Inputs) -> Findings:
        """Train and measure every arm.

        DataError for missing inputs, unknown options, text that is too small or overlaps.
        """
        inputs.require(self.name, "training", "evaluation")
        options = BottleneckOptions(**inputs.chosen(**asdict(BottleneckOptions())))
        from .study import BottleneckStudy

        study = BottleneckStudy(inputs, options)
        results = {result.arm.name: result for result in study.measure()}
        settings = asdict(options) | {
            "steps": study.updates,
            "tokens_a_training": study.updates * options.batch_sequences * options.length,
            "evaluated_tokens": len(study.evaluation),
        }
        ranked = {rank: results[f"rank {rank}"] for rank in (*study.ranks, options.width)}
        return Findings(
            bottleneck_observations(ranked, results),
            bottleneck_tables(ranked, results),
            bottleneck_charts(ranked),
            settings,
        )
