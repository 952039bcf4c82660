"""The plot of a sensitivity measurement: the most sensitive units as bars, and every unit's sensitivity by rank.

Strategy: the charts of the report page, stacked in one SVG file that carries their style sheet and needs nothing else.
"""

from __future__ import annotations

import numpy as np

from ...report.charts import bar_chart, curve_chart, stacked_svg
from .sensitivity import ROW_ERROR, Sensitivity

MOST_BARS = 30
MOST_POINTS = 200


def plot_sensitivity(found: Sensitivity, top: int) -> str:
    """An SVG document: bars of the `top` units (MOST_BARS at most), and sensitivity by rank where there
    is more than one rank.
    """
    order, sensitivities = found.order, found.sensitivities[found.by]
    total = float(sensitivities[order].sum())
    unit = "squared error" if found.by == ROW_ERROR else "nats a token"
    change = f"{found.bits} bits" if found.bits else "removal"
    title = f"{found.by} sensitivity of {found.kind} at {change}, {unit}"
    shown = order[: min(top, MOST_BARS)]
    rows = [
        (
            found.units[u].name,
            float(sensitivities[u]),
            f"{sensitivities[u]:.3g} ({100 * sensitivities[u] / total if total else 0:.1f} %)",
        )
        for u in shown
    ]
    charts = [bar_chart(rows, title, title)]
    positive = sensitivities[order][sensitivities[order] > 0]
    if len(positive) > 1:
        ranks = np.unique(np.geomspace(1, len(positive), MOST_POINTS).round().astype(int))
        points = {found.by: [(float(rank), float(positive[rank - 1])) for rank in ranks]}
        charts.append(
            curve_chart(points, None, None, (f"rank among {len(order):,} {found.kind}", unit), "sensitivity by rank")
        )
    return stacked_svg(charts, title)
