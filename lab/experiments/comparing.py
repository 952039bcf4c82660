"""How two measured artifacts are compared, and how the reports of experiments show it.

Strategy: every difference is paired by sequence and comes with its 95 % interval; which outcome a difference
has follows from thresholds that were fixed beforehand. The experiments that compare artifacts of equal bytes
share the sentences of their answers, the columns of their tables and the points of their charts.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from ...runtime.scoring import MILLI
from ..measure.estimate import Estimate
from .findings import FALSIFIES, SUPPORTS, UNDECIDED, ChartPoint, Observation
from .measured_artifact import CHANGES, MeasuredArtifact

CHANGE_COLUMNS = (">change, mbit", ">low", ">high", ">KL, mbit")
CHANGE_INTERVAL = (0, 1, 2)  # value, low and high among CHANGE_COLUMNS
BARS = "Bars are 95 % intervals of the mean over sequences; changes in the table are paired, and surer."
ARTIFACT_BYTES, KL_AXIS = "bytes of the artifact", "KL, mbit a token"


def divergence_change(first: MeasuredArtifact, second: MeasuredArtifact) -> Estimate:
    """second - first, millibits a token, paired by sequence."""
    return Estimate.of_pairs(MILLI * np.array(first.divergence), MILLI * np.array(second.divergence))


def score_change(first: MeasuredArtifact, second: MeasuredArtifact) -> Estimate:
    """second - first in thousandths of a bit per byte (a token, where no tokenizer is known), paired by sequence.

    Every sequence counts in proportion to its bits over the mean number of bytes of a sequence.
    """
    scale = MILLI / np.mean(first.counted)
    return Estimate.of_pairs(scale * np.array(first.bits), scale * np.array(second.bits))


def gain(first: MeasuredArtifact, second: MeasuredArtifact) -> float:
    """ln of how many times less the second diverges from the float model; below 0 when it diverges more."""
    return math.log(first.mean_divergence / second.mean_divergence)


def divided(value: float) -> str:
    """What a gain (ln of divergence) divides the divergence by."""
    return f"{math.exp(value):.3g}"


def outcome_of_change(change: Estimate) -> str:
    """Of a change that the thesis predicts to be a fall: an interval below 0 supports, one above 0 falsifies."""
    return {-1: SUPPORTS, 0: UNDECIDED, 1: FALSIFIES}[change.side()]


def outcome_of_share(value: float, least: float, too_little: float) -> str:
    """A share of at least `least` supports, one below `too_little` falsifies."""
    return SUPPORTS if value >= least else FALSIFIES if value < too_little else UNDECIDED


def outcome_by_budget(changes: Sequence[Estimate], *, everywhere: bool) -> str:
    """Of changes by budget: one below 0 (or all, `everywhere`) supports, all above 0 falsify."""
    sides = [change.side() for change in changes]
    if not sides:
        return UNDECIDED
    if all(side > 0 for side in sides):
        return FALSIFIES
    return SUPPORTS if (all if everywhere else any)(side < 0 for side in sides) else UNDECIDED


def interval(estimate: Estimate, unit: str) -> str:
    """`-1.23 [-1.50, -0.96] mbit`."""
    return f"{estimate.mean:+.3g} [{estimate.low:+.3g}, {estimate.high:+.3g}] {unit}"


def divergence_text(first: MeasuredArtifact, second: MeasuredArtifact) -> str:
    """The change of divergence with its interval, and the divergence that it is a change of."""
    return f"{interval(divergence_change(first, second), 'mbit a token')} of {MILLI * first.mean_divergence:.3g}"


def score_text(first: MeasuredArtifact, second: MeasuredArtifact) -> str:
    """The change of the score with its interval."""
    return interval(score_change(first, second), CHANGES[first.unit])


def divergence_observation(
    question: str, answer: str, first: MeasuredArtifact, second: MeasuredArtifact, *, decisive: bool = False
) -> Observation:
    """The answer, judged by whether the second artifact diverges less than the first."""
    return Observation(question, answer, outcome_of_change(divergence_change(first, second)), decisive)


def change_cells(artifact: MeasuredArtifact, base: MeasuredArtifact) -> list[object]:
    """The cells under CHANGE_COLUMNS."""
    change = divergence_change(base, artifact)
    return [change.mean, change.low, change.high, MILLI * artifact.mean_divergence]


def change_interval(first: int) -> tuple[int, int, int]:
    """The columns of the change and its ends in a table whose column `first` is the first of CHANGE_COLUMNS."""
    value, low, high = (first + k for k in CHANGE_INTERVAL)
    return value, low, high


def chart_line(artifacts: Iterable[tuple[float, MeasuredArtifact]]) -> list[ChartPoint]:
    """Divergence in millibits a token of artifacts by any x, with the interval of its mean over sequences."""
    return [_chart_point(x, artifact) for x, artifact in artifacts]


def _chart_point(x: float, artifact: MeasuredArtifact) -> ChartPoint:
    by_sequence = MILLI * np.array(artifact.divergence)
    mean = Estimate.of_pairs(np.zeros(len(by_sequence)), by_sequence)
    return ChartPoint(x, mean.mean, mean.low, mean.high)
