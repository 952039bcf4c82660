"""What the points of byte-allocation come to: observations by thresholds fixed beforehand, tables, charts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..findings import FALSIFIES, SUPPORTS, UNDECIDED, Chart, Observation, Table
from ..measuring import (
    MILLI,
    Point,
    divergence_change,
    gain,
    interval,
    outcome_of_change,
    outcome_of_share,
    score_change,
)
from ..protected_sets import CONCENTRATION
from ..steps import COLUMNS, ROWS, WEIGHTS

DOMINANT, DIFFUSE = 0.5, 0.25  # share of the expected loss that the strongest 10 % hold
EARLY_SHARE, EARLY_GAIN, LATE_GAIN = 0.02, 0.5, 0.2  # share of the greatest gain that the first 2 % bring
SATURATED = 1.1  # greatest share's gain over the one before
STABLE, UNSTABLE = 0.5, 0.25  # overlap of the top 5 % of rows
KEPT, ERASED = 0.5, 0.25  # share of the nominal gain that is left in coded bytes
QUICK, SLOW = 1.25, 2.0  # decoding time over that of the uniform base
Shares = Mapping[float, Point]


@dataclass(frozen=True, slots=True)
class AllocationPoints:
    """Every artifact of the experiment.

    uniform, allocated : by budget; by_share : by kind of exception and share; on_allocator : rows on continuous steps, by share
    best_axis, best_share : structured exceptions of least predicted loss; nominal : those and single weights at equal nominal bits
    """

    budget: int
    uniform: Mapping[int, Point]
    allocated: Mapping[int, Point]
    by_share: Mapping[str, Shares]
    on_allocator: Shares
    best_axis: str
    best_share: float
    nominal: Mapping[str, Point]
    families: Mapping[str, Point]

    @property
    def plain(self) -> Point:
        return self.uniform[self.budget]

    @property
    def best(self) -> Point:
        return self.by_share[self.best_axis][self.best_share]


def observations(found: AllocationPoints, about: Mapping[str, Any]) -> list[Observation]:
    """Those that decide first."""
    return [
        _beats_uniform(found), _steepness(found), _structure(found), _diffuseness(about["concentration"]), _stability(about["stability"]),
        _coder(found), _execution(about["decoding"]), _families(found), _continuous(found), _rescue_of_allocator(found),
    ]  # fmt: skip


def _beats_uniform(found: AllocationPoints) -> Observation:
    change = divergence_change(found.plain, found.best)
    return Observation(
        "Does protecting the strongest rows or columns beat finer steps everywhere at equal final bytes?",
        f"{found.best_axis}, {found.best_share:.1%} of the weights, at {found.budget:,} bytes: divergence {interval(change, 'mbit a token')} of "
        f"{MILLI * found.plain.mean_divergence:.3g}, score {interval(score_change(found.plain, found.best), 'mBPB')}",
        outcome_of_change(change),
    )


def judge_steepness(gains: Mapping[float, float]) -> str:
    """Of gains by share: supports when early and saturating, falsifies when late or when there is none."""
    shares = sorted(gains)
    greatest = max(gains.values())
    if greatest <= 0:
        return FALSIFIES
    early = max((gains[x] for x in shares if x <= EARLY_SHARE), default=0.0) / greatest
    saturated = len(shares) < 2 or gains[shares[-1]] <= SATURATED * gains[shares[-2]]
    return FALSIFIES if early < LATE_GAIN else SUPPORTS if early >= EARLY_GAIN and saturated else UNDECIDED


def divided(value: float) -> str:
    """What a gain (ln of divergence) divides the divergence by."""
    return f"{math.exp(value):.3g}"


def _steepness(found: AllocationPoints) -> Observation:
    gains = {x: gain(found.plain, point) for x, point in found.by_share[found.best_axis].items()}
    shown = ", ".join(f"{x:.1%}: {divided(value)}" for x, value in sorted(gains.items()))
    return Observation(
        "Is the gain steep at first, and does it then saturate?",
        f"{found.best_axis}, divergence divided by: {shown}",
        judge_steepness(gains),
    )


def _structure(found: AllocationPoints) -> Observation:
    single = found.by_share[WEIGHTS][found.best_share]
    change = divergence_change(single, found.best)
    side = outcome_of_change(change)
    extra = single.extra
    return Observation(
        "Do structured exceptions beat single weights of the same share after coding?",
        f"{found.best_axis} against single weights at {found.best_share:.1%}: divergence {interval(change, 'mbit a token')}; "
        f"places of the single weights take {extra['told_bytes']:,} bytes, their residuals {extra['residual_bytes']:,}",
        SUPPORTS if side == SUPPORTS else UNDECIDED,
    )


def _diffuseness(shares: Mapping[str, list[float]]) -> Observation:
    tenth = CONCENTRATION.index(0.1)
    axis = max((ROWS, COLUMNS), key=lambda each: shares[each][tenth])
    return Observation(
        "Is sensitivity concentrated enough for a small set to dominate?",
        "the strongest 10 % of the weights hold " + ", ".join(f"{shares[each][tenth]:.1%} as {each}" for each in (ROWS, COLUMNS, WEIGHTS))
        + " of the expected loss",
        outcome_of_share(shares[axis][tenth], DOMINANT, DIFFUSE),
    )  # fmt: skip


def _stability(found: Mapping[str, Mapping[str, float]]) -> Observation:
    return Observation(
        "Is the protected set the same on other slices of data and with other seeds?",
        "; ".join(
            f"{name}: overlap of the top 5 % of rows {each['overlap']:.2f} (least {each['least_overlap']:.2f}), rank correlation {each['correlation']:.3f}"
            for name, each in found.items()
        ),
        outcome_of_share(min(each["overlap"] for each in found.values()), STABLE, UNSTABLE),
    )


def judge_coder(nominal: float, coded: float) -> str:
    """Of gains (ln of divergence) at equal nominal bits and at equal coded bytes."""
    return FALSIFIES if nominal <= 0 or coded <= 0 else outcome_of_share(coded / nominal, KEPT, ERASED)


def _coder(found: AllocationPoints) -> Observation:
    def gains(axis: str) -> tuple[float, float]:
        return gain(found.plain, found.nominal[axis]), gain(found.plain, found.by_share[axis][found.best_share])

    nominal, coded = gains(found.best_axis)
    single = gains(WEIGHTS)
    return Observation(
        "Does the win survive the coder?",
        f"{found.best_axis} at {found.best_share:.1%}: divergence divided by {divided(nominal)} at equal nominal bits, by {divided(coded)} at equal "
        f"coded bytes; single weights by {divided(single[0])} and {divided(single[1])}",
        judge_coder(nominal, coded),
    )


def judge_execution(ratio: float) -> str:
    """Of decoding time over that of the base."""
    return SUPPORTS if ratio <= QUICK else FALSIFIES if ratio > SLOW else UNDECIDED


def _execution(seconds: Sequence[float]) -> Observation:
    ratio = seconds[1] / seconds[0]
    answer = f"decoding takes {ratio:.2f} times the uniform base's {1000 * seconds[0]:.1f} ms"
    return Observation("Is the better format as quick to decode?", answer, judge_execution(ratio))


def _families(found: AllocationPoints) -> Observation:
    gains = {name: gain(found.plain, point) for name, point in found.families.items()}
    shown = ", ".join(f"{name} {divided(value)}" for name, value in sorted(gains.items(), key=lambda item: -item[1]))
    return Observation(
        "Where do the same protected bytes (rows with 1 % of the weights) belong?",
        f"divergence divided by: {shown}",
        UNDECIDED,
        decisive=False,
    )


def _continuous(found: AllocationPoints) -> Observation:
    allocated = found.allocated[found.budget]
    change = divergence_change(allocated, found.best)
    return Observation(
        "Does the best protected set reach the allocator's continuous steps?",
        f"protected set against continuous steps: divergence {interval(change, 'mbit a token')} of {MILLI * allocated.mean_divergence:.3g}; "
        f"the set divides that of the uniform base by {divided(gain(found.plain, found.best))}, continuous steps by {divided(gain(found.plain, allocated))}",
        outcome_of_change(change), decisive=False,
    )  # fmt: skip


def _rescue_of_allocator(found: AllocationPoints) -> Observation:
    allocated = found.allocated[found.budget]
    share, point = min(found.on_allocator.items(), key=lambda item: item[1].predicted_loss)
    change = divergence_change(allocated, point)
    return Observation(
        "Does protecting the same rows still pay on continuous steps?",
        f"{share:.1%} of the weights: divergence {interval(change, 'mbit a token')} of {MILLI * allocated.mean_divergence:.3g}",
        outcome_of_change(change), decisive=False,
    )  # fmt: skip


def tables(found: AllocationPoints, about: Mapping[str, Any]) -> list[Table]:
    columns = [
        "exceptions", ">% of weights", ">bytes", ">KL, mbit", ">change, mbit", ">low", ">high", ">predicted, mnat", ">BPB",
        ">bytes of residuals", ">of their places",
    ]  # fmt: skip
    rows = [_row("none: uniform", 0.0, found.plain, found.plain)]
    rows += [
        _row(kind, share, point, found.plain)
        for kind, points in found.by_share.items()
        for share, point in sorted(points.items())
    ]
    allocated = found.allocated[found.budget]
    rows += [_row("allocator", 0.0, allocated, found.plain)]
    rows += [_row("allocator, rows", share, point, found.plain) for share, point in sorted(found.on_allocator.items())]
    rows += [_row(f"rows of {name}", 0.01, point, found.plain) for name, point in found.families.items()]
    concentrated = [[axis, *(100 * share for share in shares)] for axis, shares in about["concentration"].items()]
    titles = ["by", *(f">top {share:.0%}" for share in CONCENTRATION)]
    return [
        Table(
            "Artifacts of equal bytes",
            columns,
            rows,
            "Changes are against the uniform base, paired by sequence, with their 95 % intervals.",
        ),
        Table(
            "Expected loss held by the strongest, %",
            titles,
            concentrated,
            "Under the uniform base, by share of the weights.",
        ),
    ]


def _row(kind: str, share: float, point: Point, plain: Point) -> list[object]:
    change = divergence_change(plain, point)
    told = point.extra.get("residual_bytes"), point.extra.get("told_bytes")
    return [
        kind, 100 * share, point.bytes, MILLI * point.mean_divergence, change.mean, change.low, change.high, MILLI * point.predicted_loss,
        f"{point.bits_per_byte:.5f}", *told,
    ]  # fmt: skip


def charts(found: AllocationPoints) -> list[Chart]:
    shares = {
        kind: [(0.0, MILLI * found.plain.mean_divergence), *((100 * x, MILLI * p.mean_divergence) for x, p in points.items())]
        for kind, points in found.by_share.items() if len(points) > 2
    }  # fmt: skip
    allocated = found.allocated[found.budget]
    shares["rows on continuous steps"] = [
        (0.0, MILLI * allocated.mean_divergence), *((100 * x, MILLI * p.mean_divergence) for x, p in found.on_allocator.items())
    ]  # fmt: skip
    curves = {
        name: [(p.bytes, MILLI * p.mean_divergence) for p in points.values()]
        for name, points in (("uniform", found.uniform), ("allocator", found.allocated))
    }
    curves["best protected set"] = [(found.best.bytes, MILLI * found.best.mean_divergence)]
    axes = "bytes of the artifact", "KL, mbit a token"
    return [
        Chart("Divergence at equal bytes by share protected", ("% of the weights protected", axes[1]), shares),
        Chart("Divergence against bytes", axes, curves, logarithmic=True),
    ]
