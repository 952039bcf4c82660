"""What the artifacts of byte-allocation come to: observations by thresholds fixed beforehand, tables, charts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..comparing import (
    ARTIFACT_BYTES,
    BARS,
    CHANGE_COLUMNS,
    KL_AXIS,
    MILLI,
    change_cells,
    change_interval,
    chart_line,
    divergence_change,
    divergence_observation,
    divergence_text,
    divided,
    gain,
    interval,
    outcome_of_change,
    outcome_of_share,
    score_text,
)
from ..findings import FALSIFIES, SUPPORTS, UNDECIDED, Chart, Observation, Table
from ..finer_members import COLUMNS, ROWS, WEIGHTS
from ..measured_artifact import SCORES, MeasuredArtifact
from ..protected_sets import CONCENTRATION
from .artifacts import AllocationArtifacts

DOMINANT, DIFFUSE = 0.5, 0.25  # share of the expected loss that the strongest 10 % hold
EARLY_SHARE, EARLY_GAIN, LATE_GAIN = 0.02, 0.5, 0.2  # share of the greatest gain that the first 2 % bring
SATURATED = 1.1  # greatest share's gain over the one before
STABLE, UNSTABLE = 0.5, 0.25  # overlap of the top 5 % of rows
KEPT, ERASED = 0.5, 0.25  # share of the nominal gain that is left in coded bytes
QUICK, SLOW = 1.25, 2.0  # decoding time over that of the uniform base


def observations(found: AllocationArtifacts, about: Mapping[str, Any]) -> list[Observation]:
    """Those that decide first."""
    return [
        _beats_uniform(found),
        _steepness(found),
        _structure(found),
        _diffuseness(about["concentration"]),
        _stability(about["stability"]),
        _coder(found),
        _execution(about["decoding"]),
        _families(found),
        _continuous(found),
        _rescue_of_allocator(found),
    ]


def _beats_uniform(found: AllocationArtifacts) -> Observation:
    return divergence_observation(
        "Does protecting the strongest rows or columns beat finer steps everywhere at equal final bytes?",
        f"{found.best_axis}, {found.best_share:.1%} of the weights, at {found.budget:,} bytes: divergence "
        f"{divergence_text(found.plain, found.best)}, score {score_text(found.plain, found.best)}",
        found.plain,
        found.best,
        decisive=True,
    )


def judge_steepness(gains: Mapping[float, float], *, certain: bool = True) -> str:
    """Of gains by share: supports when early and saturating, falsifies when late or when there is none.

    certain : whether the greatest is a gain (its whole interval); one that is not has no shape, nor has a curve without
        a share on either side of EARLY_SHARE
    """
    shares = sorted(gains)
    greatest = max(gains.values())
    if greatest <= 0:
        return FALSIFIES
    if not certain or not shares[0] <= EARLY_SHARE < shares[-1]:
        return UNDECIDED
    early = max(gains[x] for x in shares if x <= EARLY_SHARE) / greatest
    saturated = gains[shares[-1]] <= SATURATED * gains[shares[-2]]
    return FALSIFIES if early < LATE_GAIN else SUPPORTS if early >= EARLY_GAIN and saturated else UNDECIDED


def _steepness(found: AllocationArtifacts) -> Observation:
    by_share = found.by_share[found.best_axis]
    gains = {x: gain(found.plain, each) for x, each in by_share.items()}
    certain = divergence_change(found.plain, by_share[max(gains, key=lambda x: gains[x])]).high < 0
    shown = ", ".join(f"{x:.1%}: {divided(value)}" for x, value in sorted(gains.items()))
    return Observation(
        "Is the gain steep at first, and does it then saturate?",
        f"{found.best_axis}, divergence divided by: {shown}",
        judge_steepness(gains, certain=certain),
    )


def _structure(found: AllocationArtifacts) -> Observation:
    single = found.by_share[WEIGHTS][found.best_share]
    change, extra = divergence_change(single, found.best), single.extra
    return Observation(
        "Do structured exceptions beat single weights of the same share after coding?",
        f"{found.best_axis} against single weights at {found.best_share:.1%}: divergence "
        f"{interval(change, 'mbit a token')}; places of the single weights take {extra['place_bytes']:,} bytes, their "
        f"residuals {extra['residual_bytes']:,}",
        SUPPORTS if outcome_of_change(change) == SUPPORTS else UNDECIDED,
    )


def _diffuseness(shares: Mapping[str, list[float]]) -> Observation:
    tenth = CONCENTRATION.index(0.1)
    axis = max((ROWS, COLUMNS), key=lambda each: shares[each][tenth])
    held = ", ".join(f"{shares[each][tenth]:.1%} as {each}" for each in (ROWS, COLUMNS, WEIGHTS))
    return Observation(
        "Is sensitivity concentrated enough for a small set to dominate?",
        f"the strongest 10 % of the weights hold {held} of the expected loss",
        outcome_of_share(shares[axis][tenth], DOMINANT, DIFFUSE),
    )


def _stability(found: Mapping[str, Mapping[str, float]]) -> Observation:
    shown = "; ".join(
        f"{name}: overlap of the top 5 % of rows {each['overlap']:.2f} (least {each['least_overlap']:.2f}), rank "
        f"correlation {each['correlation']:.3f}"
        for name, each in found.items()
    )
    return Observation(
        "Is the protected set the same on other slices of data and with other seeds?",
        shown,
        outcome_of_share(min(each["overlap"] for each in found.values()), STABLE, UNSTABLE),
    )


def judge_coder(nominal: float, coded: float) -> str:
    """Of gains (ln of divergence) at equal nominal bits and at equal coded bytes."""
    return FALSIFIES if nominal <= 0 or coded <= 0 else outcome_of_share(coded / nominal, KEPT, ERASED)


def _coder(found: AllocationArtifacts) -> Observation:
    def gains(axis: str) -> tuple[float, float]:
        return gain(found.plain, found.nominal[axis]), gain(found.plain, found.by_share[axis][found.best_share])

    nominal, coded = gains(found.best_axis)
    single = gains(WEIGHTS)
    return Observation(
        "Does the win survive the coder?",
        f"{found.best_axis} at {found.best_share:.1%}: divergence divided by {divided(nominal)} at equal nominal "
        f"bits, by {divided(coded)} at equal coded bytes; single weights by {divided(single[0])} and "
        f"{divided(single[1])}",
        judge_coder(nominal, coded),
    )


def judge_execution(ratio: float) -> str:
    """Of decoding time over that of the base."""
    return SUPPORTS if ratio <= QUICK else FALSIFIES if ratio > SLOW else UNDECIDED


def _execution(seconds: Sequence[float]) -> Observation:
    ratio = seconds[1] / seconds[0]
    answer = f"decoding takes {ratio:.2f} times the uniform base's {1000 * seconds[0]:.1f} ms"
    return Observation("Is the better format as quick to decode?", answer, judge_execution(ratio))


def _families(found: AllocationArtifacts) -> Observation:
    gains = {name: gain(found.plain, each) for name, each in found.families.items()}
    shown = ", ".join(f"{name} {divided(value)}" for name, value in sorted(gains.items(), key=lambda item: -item[1]))
    return Observation(
        "Where do the same protected bytes (rows with 1 % of the weights) belong?",
        f"divergence divided by: {shown}",
        UNDECIDED,
        decisive=False,
    )


def _continuous(found: AllocationArtifacts) -> Observation:
    allocated = found.allocated[found.budget]
    by_set, by_steps = (divided(gain(found.plain, each)) for each in (found.best, allocated))
    return divergence_observation(
        "Does the best protected set reach the allocator's continuous steps?",
        f"protected set against continuous steps: divergence {divergence_text(allocated, found.best)}; the set "
        f"divides that of the uniform base by {by_set}, continuous steps by {by_steps}",
        allocated,
        found.best,
    )


def _rescue_of_allocator(found: AllocationArtifacts) -> Observation:
    allocated = found.allocated[found.budget]
    share, best = min(found.on_allocator.items(), key=lambda item: item[1].predicted_loss)
    return divergence_observation(
        "Does protecting the same rows still pay on continuous steps?",
        f"{share:.1%} of the weights: divergence {divergence_text(allocated, best)}",
        allocated,
        best,
    )


def tables(found: AllocationArtifacts, about: Mapping[str, Any]) -> list[Table]:
    """Every artifact, and how concentrated the expected loss is."""
    titles = ["by", *(f">top {share:.0%}" for share in CONCENTRATION)]
    shares = [[axis, *(100 * share for share in shares)] for axis, shares in about["concentration"].items()]
    return [
        _artifact_table(found),
        Table(
            "Expected loss held by the strongest, %",
            titles,
            shares,
            "Under the uniform base, by share of the weights.",
        ),
    ]


def _artifact_table(found: AllocationArtifacts) -> Table:
    columns = [
        *("exceptions", ">% of weights", *CHANGE_COLUMNS, f">{SCORES[found.plain.unit]}", ">predicted, mnat"),
        *(">bytes", ">of residuals", ">of their places"),
    ]
    shown = [("none: uniform", 0.0, found.plain)]
    shown += [(kind, x, each) for kind, by_share in found.by_share.items() for x, each in sorted(by_share.items())]
    shown += [("allocator", 0.0, found.allocated[found.budget])]
    shown += [("allocator, rows", x, each) for x, each in sorted(found.on_allocator.items())]
    shown += [(f"rows of {name}", 0.01, each) for name, each in found.families.items()]
    note = "Changes are against the uniform base, paired by sequence, with their 95 % intervals."
    rows = [_row(*each, found.plain) for each in shown]
    return Table("Artifacts of equal bytes", columns, rows, note, [change_interval(2)])


def _row(kind: str, share: float, artifact: MeasuredArtifact, plain: MeasuredArtifact) -> list[object]:
    measured = [*change_cells(artifact, plain), f"{artifact.score:.5f}", MILLI * artifact.predicted_loss]
    exceptions = artifact.extra.get("residual_bytes"), artifact.extra.get("place_bytes")
    return [kind, 100 * share, *measured, artifact.bytes, *exceptions]


def charts(found: AllocationArtifacts) -> list[Chart]:
    """Divergence by the share of the weights that is protected, and by bytes."""
    allocated = found.allocated[found.budget]
    shares = {
        kind: chart_line([(0.0, found.plain), *((100 * x, each) for x, each in by_share.items())])
        for kind, by_share in found.by_share.items()
        if len(by_share) > 2
    }
    shares["rows on continuous steps"] = chart_line(
        [(0.0, allocated), *((100 * x, each) for x, each in found.on_allocator.items())]
    )
    by_bytes = {"uniform": found.uniform.values(), "allocator": found.allocated.values()}
    by_bytes["best protected set"] = [found.best]
    curves = {name: chart_line((each.bytes, each) for each in line) for name, line in by_bytes.items()}
    note, axes = BARS, ("% of the weights protected", KL_AXIS)
    return [
        Chart("Divergence at equal bytes by share protected", axes, shares, note=note),
        Chart("Divergence against bytes", (ARTIFACT_BYTES, KL_AXIS), curves, logarithmic=True, note=note),
    ]
