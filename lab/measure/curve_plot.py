"""The plot of byte-return curves: what the first bytes of each kind bring, then divergence over file
bytes, a chart a kind.

Strategy: the charts of the report page, stacked in one SVG file that carries their style sheet and needs nothing else.
"""

from __future__ import annotations

from ...report.charts import bar_chart, curve_chart, stacked_svg
from .curves import ByteReturns

TITLE = "What exceptions return for their bytes"


def plot_curves(found: ByteReturns) -> str:
    """An SVG document; kinds of which no budget holds one are left out."""
    kinds = {unit: [point for point in found.of(unit) if point.protected_bytes] for unit in found.units}
    kinds = {unit: points for unit, points in kinds.items() if points}
    rows = [
        (
            f"{unit}, {points[0].protected_bytes:,} bytes",
            max(0.0, 1e6 * points[0].recovered_per_byte),
            f"{1e6 * points[0].recovered_per_byte:.3f}",
        )
        for unit, points in kinds.items()
    ]
    label = "recovered by the smallest budget, mbit a token for each KB"
    charts = [bar_chart(rows, label, TITLE)] if rows else []
    base = found.base.bytes, 1000 * found.base.divergence
    for unit, points in kinds.items():
        series = {
            f"{unit} on {found.inputs.settings.steps} steps": [base, *((p.bytes, 1000 * p.divergence) for p in points)],
            "all steps finer": [base, *((p.finer.bytes, 1000 * p.finer.divergence) for p in points)],
            "the allocator's steps": [(p.widened.bytes, 1000 * p.widened.divergence) for p in points],
        }
        charts.append(
            curve_chart(series, None, None, ("bytes of the file", "mbit a token"), f"{unit}: divergence over bytes")
        )
    return stacked_svg(charts, TITLE)
