"""What the artifacts of row-rescue come to: observations by thresholds fixed beforehand, tables, charts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...measure.simple_steps import ALL_STEPS, COLUMN_STEPS, ONE_STEP, ROW_SCALE, ROW_STEPS
from ..comparing import (
    BARS,
    CHANGE_COLUMNS,
    KL_AXIS,
    MILLI,
    change_cells,
    change_interval,
    chart_line,
    divergence_observation,
    divergence_text,
    gain,
    outcome_of_change,
    outcome_of_share,
    score_change,
    score_text,
)
from ..findings import FALSIFIES, SUPPORTS, UNDECIDED, Chart, Observation, Table
from ..measured_artifact import CHANGES, MeasuredArtifact
from .artifacts import RescueArtifacts

CONCENTRATED, DIFFUSE = 0.5, 0.25  # share of the measured damage in the strongest 10 % of the rows
STABLE, UNSTABLE = 0.5, 0.25  # overlap of the top 5 % of rows
CHEAP = 0.5  # bookkeeping over the gain before it, both in bytes
TITLES = {
    COLUMN_STEPS: "neither: one step for all rows",
    ALL_STEPS: "continuous row steps (allocator)",
    ONE_STEP: "one step, columns alike",
    ROW_STEPS: "continuous row steps, columns alike",
    ROW_SCALE: "one step a row by its scale",
}


def observations(found: RescueArtifacts, about: Mapping[str, Any]) -> list[Observation]:
    """Those that decide first."""
    return [
        _concentration(about["concentration"]),
        _stability(about["stability"]),
        _bookkeeping(found),
        _score(found),
        _divergence(found),
        _continuous(found),
        _scaled(found),
    ]


def _concentration(shares: Mapping[str, list[float]]) -> Observation:
    measured, predicted = (
        ", ".join(f"{100 * each:.0f}" for each in shares[name]) for name in ("measured", "predicted")
    )
    return Observation(
        "Is the damage of the head concentrated in few rows?",
        f"the strongest 1, 5 and 10 % of the rows hold {measured} % of the divergence (measured by restoring them), "
        f"{predicted} % by the second-order model{_of_text(shares)}",
        outcome_of_share(shares["measured"][-1], CONCENTRATED, DIFFUSE),
    )


def _of_text(shares: Mapping[str, list[float]]) -> str:
    """What equal errors in all rows would come to: tokens that are used more often lose more often."""
    if "text" not in shares:  # kept by a version before
        return ""
    figures = ", ".join(f"{100 * each:.0f}" for each in shares["text"])
    return f"; the equally many most frequent tokens are {figures} % of the text"


def _stability(found: Mapping[str, float]) -> Observation:
    return Observation(
        "Are the selected rows the same on other slices of data?",
        f"overlap of the top 5 % {found['overlap']:.2f} (least {found['least_overlap']:.2f}), rank correlation "
        f"{found['correlation']:.3f}; {found['frequent']:.0%} of them are among the equally many most frequent tokens",
        outcome_of_share(found["overlap"], STABLE, UNSTABLE),
    )


def judge_bookkeeping(net: float, places: float) -> str:
    """Of bytes gained at equal divergence with everything counted, and of the bytes that say where the rows are."""
    if net <= 0:
        return FALSIFIES
    return SUPPORTS if places < CHEAP * (net + places) else UNDECIDED


def _bookkeeping(found: RescueArtifacts) -> Observation:
    (how, octaves, share), best = found.best
    net = gain(found.plain, best) / found.gain_of_a_byte
    places = best.extra["place_bytes"]
    return Observation(
        "Do sets and records cost less than the rescue gains?",
        f"{how} {octaves:g}, {share:.0%} of the rows: worth {net:,.0f} bytes at equal divergence with everything "
        f"counted; its places take {places:,} bytes",
        judge_bookkeeping(net, places),
    )


def _score(found: RescueArtifacts) -> Observation:
    (how, octaves, share), best = found.best
    lost = score_change(found.float_model, found.plain).mean
    return Observation(
        "Does the best rescue improve the final score at equal bytes?",
        f"{how} {octaves:g}, {share:.0%} of the rows against one step for all: {score_text(found.plain, best)}; the "
        f"base loses {lost:.3g}",
        outcome_of_change(score_change(found.plain, best)),
    )


def _divergence(found: RescueArtifacts) -> Observation:
    _, best = found.best
    question = "And the divergence from the float model, which is less noisy?"
    return divergence_observation(question, divergence_text(found.plain, best), found.plain, best)


def _continuous(found: RescueArtifacts) -> Observation:
    rows, (_, best) = found.bases[ALL_STEPS], found.best
    return divergence_observation(
        "Does discrete rescue beat continuous row steps?",
        f"rescue against row steps: divergence {divergence_text(rows, best)}, score {score_text(rows, best)}",
        rows,
        best,
    )


def _scaled(found: RescueArtifacts) -> Observation:
    scaled, (_, best) = found.bases[ROW_SCALE], found.best
    return divergence_observation(
        "Does it beat one step a row by its scale, which most published heads use?",
        f"rescue against those: divergence {divergence_text(scaled, best)}",
        scaled,
        best,
    )


def tables(found: RescueArtifacts) -> list[Table]:
    """Every artifact."""
    columns = [
        *("head", ">% of rows", *CHANGE_COLUMNS, f">gap, {CHANGES[found.plain.unit]}", ">predicted, mnat"),
        *(">bytes", ">of the head", ">rescued values", ">their places"),
    ]
    rows = [_row(TITLES[rule], None, base, found) for rule, base in found.bases.items()]
    rows += [_row(_title(how, octaves), 100 * x, each, found) for (how, octaves, x), each in found.rescued.items()]
    note = "Changes are against one step for all rows, paired by sequence, with 95 % intervals."
    return [Table("Artifacts of equal bytes", columns, rows, note, [change_interval(2)])]


def _title(how: str, octaves: float) -> str:
    return f"rescued, {how}" + (f" {octaves:g} octave{'s' if octaves > 1 else ''} finer" if octaves else "")


def _row(title: str, share: float | None, artifact: MeasuredArtifact, found: RescueArtifacts) -> list[object]:
    parts = [artifact.extra.get(f"{part}_bytes") for part in ("head", "residual", "place")]
    gap = score_change(found.float_model, artifact).mean
    measured = [*change_cells(artifact, found.plain), gap, MILLI * artifact.predicted_loss]
    return [title, share, *measured, artifact.bytes, *parts]


def charts(found: RescueArtifacts) -> list[Chart]:
    """Divergence by the share of the rows that is rescued."""
    lines: dict[str, list[tuple[float, MeasuredArtifact]]] = {}
    for (how, octaves, share), artifact in found.rescued.items():
        lines.setdefault(_title(how, octaves), [(0.0, found.plain)]).append((100 * share, artifact))
    greatest, rows = 100 * max(share for *_, share in found.rescued), found.bases[ALL_STEPS]
    lines[TITLES[ALL_STEPS]] = [(0.0, rows), (greatest, rows)]
    series = {name: chart_line(line) for name, line in lines.items()}
    title, note = "Divergence at equal bytes by share of rows rescued", BARS
    return [Chart(title, ("% of the rows", KL_AXIS), series, note=note)]
