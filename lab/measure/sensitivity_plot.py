"""The plot of a sensitivity measurement: the most sensitive units as bars, and every unit's sensitivity by rank.

Strategy: the charts of the report page, stacked in one SVG file that carries their style sheet and needs nothing else.
Where several slices of the data were compared, a bar has the 95 % interval of their mean.
"""

from __future__ import annotations

import numpy as np

from ...files.printable import printable
from ...report.bars import Row, bar_chart
from ...report.figure import svg_document
from ...report.heading import Origin
from ...report.plots import Point, Series, curve_chart
from .estimate import Estimate
from .sensitivity import ROW_ERROR, Sensitivity

MOST_BARS = 30
MOST_POINTS = 200
NAMED = 5  # of the points by rank


def plot_sensitivity(found: Sensitivity, top: int, origin: Origin) -> str:
    """An SVG document: bars of the `top` units (MOST_BARS at most), and sensitivity by rank where there
    is more than one rank.
    """
    order, sensitivities = found.order, found.sensitivities[found.by]
    unit = "squared error" if found.by == ROW_ERROR else "nats a token"
    shown = order[: min(top, MOST_BARS)].tolist()
    rows = [_row(found, u, float(sensitivities[order].sum())) for u in shown]
    charts = [bar_chart(rows, unit, f"The most sensitive of {len(order):,} {found.kind}")]
    positive = [u for u in order.tolist() if sensitivities[u] > 0]
    if len(positive) > 1:
        ranks = np.unique(np.geomspace(1, len(positive), MOST_POINTS).round().astype(int)).tolist()
        points = [
            Point(rank, float(sensitivities[u]), name=_name(found, u) if rank <= NAMED else "", tip=_name(found, u))
            for rank in ranks
            for u in [positive[rank - 1]]
        ]
        labels = f"rank among {len(order):,} {found.kind}", unit
        charts.append(curve_chart([Series(found.by, points)], labels, "Sensitivity by rank"))
    slices = len(found.slice_sensitivities)
    notes = [f"Bars are 95 % intervals of the mean over {slices} slices of the data."] if slices > 1 else []
    data = f"{found.held_out_tokens or found.tokens:,} tokens"
    title = f"What each of the {found.kind} costs alone, {found.change}, by {found.by} on {data}"
    return svg_document(charts, origin.heading(title, *notes))


def _name(found: Sensitivity, unit: int) -> str:
    return printable(found.units[unit].name)


def _row(found: Sensitivity, unit: int, total: float) -> Row:
    value, slices = float(found.sensitivities[found.by][unit]), found.slice_sensitivities[:, unit]
    behind = f"{value:.3g} ({100 * value / total if total else 0:.1f} %)"
    if len(slices) < 2 or not np.isfinite(slices).all():
        return Row(_name(found, unit), value, behind)
    mean = Estimate.of_pairs(np.zeros(len(slices)), slices)
    return Row(_name(found, unit), value, behind, max(mean.low, 0.0), mean.high)
