"""What the points of row-rescue come to: observations by thresholds fixed beforehand, tables, charts."""

from __future__ import annotations

from collections.abc import Mapping
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
from ..steps import ALL_STEPS, COLUMN_STEPS, ONE_STEP, ROW_SCALE, ROW_STEPS

CONCENTRATED, DIFFUSE = 0.5, 0.25  # share of the measured damage in the strongest 10 % of the rows
STABLE, UNSTABLE = 0.5, 0.25  # overlap of the top 5 % of rows
CHEAP = 0.5  # bookkeeping over the gain before it, both in bytes
TITLES = {
    COLUMN_STEPS: "neither: one step for all rows", ALL_STEPS: "continuous row steps (allocator)", ONE_STEP: "one step, columns alike",
    ROW_STEPS: "continuous row steps, columns alike", ROW_SCALE: "one step a row by its scale",
}  # fmt: skip
Rescued = Mapping[tuple[str, float, float], Point]


@dataclass(frozen=True, slots=True)
class RescuePoints:
    """Every artifact: by the rule of the head's steps, the base with 2 % more bytes, and rescued by (how, octaves, share of rows)."""

    budget: int
    float_model: Point
    bases: Mapping[str, Point]
    more: Point
    rescued: Rescued

    @property
    def plain(self) -> Point:
        return self.bases[COLUMN_STEPS]

    @property
    def best(self) -> tuple[tuple[str, float, float], Point]:
        """The rescue of least predicted loss: the evaluation text has no say."""
        return min(self.rescued.items(), key=lambda item: item[1].predicted_loss)

    @property
    def gain_of_a_byte(self) -> float:
        """ln of divergence that one more byte gains on the base."""
        return gain(self.plain, self.more) / (self.more.bytes - self.plain.bytes)


def observations(found: RescuePoints, about: Mapping[str, Any]) -> list[Observation]:
    return [
        _concentration(about["concentration"]), _stability(about["stability"]), _bookkeeping(found), _score(found),
        _divergence(found), _continuous(found), _whole(found),
    ]  # fmt: skip


def _concentration(shares: Mapping[str, list[float]]) -> Observation:
    measured, predicted = ([f"{100 * each:.0f}" for each in shares[name]] for name in ("measured", "predicted"))
    return Observation(
        "Is the damage of the head concentrated in few rows?",
        f"the strongest 1, 5 and 10 % of the rows hold {', '.join(measured)} % of the divergence (measured by restoring them), "
        f"{', '.join(predicted)} % by the second-order model",
        outcome_of_share(shares["measured"][-1], CONCENTRATED, DIFFUSE),
    )


def _stability(found: Mapping[str, float]) -> Observation:
    return Observation(
        "Are the selected rows the same on other slices of data?",
        f"overlap of the top 5 % {found['overlap']:.2f} (least {found['least_overlap']:.2f}), rank correlation {found['correlation']:.3f}; "
        f"{found['frequent']:.0%} of them are among the equally many most frequent tokens",
        outcome_of_share(found["overlap"], STABLE, UNSTABLE),
    )


def judge_bookkeeping(net: float, told: float) -> str:
    """Of bytes gained at equal divergence with everything counted, and of bookkeeping bytes."""
    if net <= 0:
        return FALSIFIES
    return SUPPORTS if told < CHEAP * (net + told) else UNDECIDED


def _bookkeeping(found: RescuePoints) -> Observation:
    (how, octaves, share), best = found.best
    net = gain(found.plain, best) / found.gain_of_a_byte
    told = best.extra["told_bytes"]
    return Observation(
        "Do sets and records cost less than the rescue gains?",
        f"{how} {octaves:g}, {share:.0%} of the rows: worth {net:,.0f} bytes at equal divergence with everything counted; its places take {told:,} bytes",
        judge_bookkeeping(net, told),
    )


def _score(found: RescuePoints) -> Observation:
    (how, octaves, share), best = found.best
    change = score_change(found.plain, best)
    return Observation(
        "Does the best rescue improve final bits per byte at equal bytes?",
        f"{how} {octaves:g}, {share:.0%} of the rows against one step for all: {interval(change, 'mBPB')}; "
        f"the base loses {score_change(found.float_model, found.plain).mean:.3g}",
        outcome_of_change(change),
    )


def _divergence(found: RescuePoints) -> Observation:
    change = divergence_change(found.plain, found.best[1])
    return Observation(
        "And the divergence from the float model, which is less noisy?",
        f"{interval(change, 'mbit a token')} of {MILLI * found.plain.mean_divergence:.3g}", outcome_of_change(change), decisive=False,
    )  # fmt: skip


def _continuous(found: RescuePoints) -> Observation:
    rows = found.bases[ALL_STEPS]
    change = divergence_change(rows, found.best[1])
    return Observation(
        "Does discrete rescue beat continuous row steps?",
        f"rescue against row steps: divergence {interval(change, 'mbit a token')} of {MILLI * rows.mean_divergence:.3g}, "
        f"score {interval(score_change(rows, found.best[1]), 'mBPB')}",
        outcome_of_change(change), decisive=False,
    )  # fmt: skip


def _whole(found: RescuePoints) -> Observation:
    scale = found.bases[ROW_SCALE]
    change = divergence_change(scale, found.best[1])
    return Observation(
        "Does it beat one step a row by its scale, which most published heads use?",
        f"rescue against those: divergence {interval(change, 'mbit a token')} of {MILLI * scale.mean_divergence:.3g}",
        outcome_of_change(change), decisive=False,
    )  # fmt: skip


def tables(found: RescuePoints, about: Mapping[str, Any]) -> list[Table]:
    columns = [
        "head", ">% of rows", ">bytes", ">of the head", ">rescued values", ">their places", ">KL, mbit", ">change, mbit", ">low", ">high",
        ">gap, mBPB", ">predicted, mnat",
    ]  # fmt: skip
    rows = [_row(TITLES[rule], None, point, found) for rule, point in found.bases.items()]
    rows += [
        _row(_title(how, octaves), 100 * share, point, found) for (how, octaves, share), point in found.rescued.items()
    ]
    return [
        Table(
            "Artifacts of equal bytes",
            columns,
            rows,
            "Changes are against one step for all rows, paired by sequence, with 95 % intervals.",
        )
    ]


def _title(how: str, octaves: float) -> str:
    return f"rescued, {how}" + (f" {octaves:g} octave{'s' if octaves > 1 else ''} finer" if octaves else "")


def _row(title: str, share: float | None, point: Point, found: RescuePoints) -> list[object]:
    change = divergence_change(found.plain, point)
    extra = point.extra
    return [
        title, share, point.bytes, extra.get("head_bytes"), extra.get("residual_bytes"), extra.get("told_bytes"),
        MILLI * point.mean_divergence, change.mean, change.low, change.high, score_change(found.float_model, point).mean, MILLI * point.predicted_loss,
    ]  # fmt: skip


def charts(found: RescuePoints, about: Mapping[str, Any]) -> list[Chart]:
    series: dict[str, list[tuple[float, float]]] = {}
    for (how, octaves, share), point in found.rescued.items():
        series.setdefault(_title(how, octaves), [(0.0, MILLI * found.plain.mean_divergence)]).append(
            (100 * share, MILLI * point.mean_divergence)
        )
    greatest = 100 * max(share for *_, share in found.rescued)
    rows = MILLI * found.bases[ALL_STEPS].mean_divergence
    series[TITLES[ALL_STEPS]] = [(0.0, rows), (greatest, rows)]
    return [Chart("Divergence at equal bytes by share of rows rescued", ("% of the rows", "KL, mbit a token"), series)]
