"""The charts of byte-return curves: what exceptions bring against the two controls, and divergence over file bytes.

Strategy: the charts of the report page, with every measured interval drawn; as a plot they are stacked in one SVG file
that carries their style sheet and needs nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...report.bars import Row, interval_chart
from ...report.figure import Figure, svg_document
from ...report.heading import Origin
from ...report.plots import Point, Series, curve_chart
from .byte_returns import Control, ReturnPoint
from .curves import ByteReturns

TITLE = "What exceptions return for their bytes"
CONTROLS = {"finer": "all steps finer", "widened": "the allocator's steps"}
NOTE = (
    "Bars are 95 % intervals, paired by sequence: of exceptions against the base, of the controls against the "
    "exceptions of as many bytes."
)


def plot_curves(found: ByteReturns, origin: Origin) -> str:
    """An SVG document; kinds of which no budget holds one are left out."""
    return svg_document(curve_charts(found), origin.heading(TITLE, NOTE))


def curve_charts(found: ByteReturns) -> list[Figure]:
    """Of each kind the differences from the controls, and divergence over bytes."""
    charts = []
    for unit in found.units:
        points = [point for point in found.of(unit) if point.protected_bytes]
        if points:
            charts += [_over_bytes(found, unit, points), _differences(unit, points)]
    return charts


def _over_bytes(found: ByteReturns, unit: str, points: Sequence[ReturnPoint]) -> Figure:
    base = Point(found.base.bytes, 1000 * found.base.divergence, name="the base")
    series = [
        Series(f"{unit} on {found.inputs.settings.steps} steps", [base, *map(_protected, points)]),
        Series("all steps finer", [base, *(_control(point.finer) for point in points if point.finer)]),
        Series("the allocator's steps", [_control(point.widened) for point in points if point.widened]),
    ]
    labels = "bytes of the file", "divergence, mbit a token"
    return curve_chart([each for each in series if each.points], labels, f"{unit}: divergence over bytes")


def _protected(point: ReturnPoint) -> Point:
    value, half = 1000 * (point.divergence or 0.0), 1000 * (point.recovered_reach or 0.0)
    each = f", {1e6 * (point.recovered_per_byte or 0.0):.3f} mbit recovered a KB"
    return Point(point.bytes or 0, value, value - half, value + half, tip=f"{point.bytes:,} bytes, {value:.4g}{each}")


def _control(control: Control) -> Point:
    value, half = 1000 * control.divergence, 1000 * control.advantage_reach
    return Point(control.bytes, value, value - half, value + half, tip=f"{control.bytes:,} bytes, {value:.4g}")


def _differences(unit: str, points: Sequence[ReturnPoint]) -> Figure:
    """The exceptions less each control at every budget: below 0 the exceptions are better."""
    rows = [
        _difference(f"{words}, {point.protected_bytes:,} bytes", control)
        for name, words in CONTROLS.items()
        for point in points
        if (control := getattr(point, name)) is not None
    ]
    label = "divergence less that of the control, mbit a token; below 0 the exceptions are better"
    return interval_chart(rows, label, f"{unit}: against as many bytes spent otherwise")


def _difference(label: str, control: Control) -> Row:
    mean, half = -1000 * control.advantage, 1000 * control.advantage_reach
    return Row(label, mean, f"{mean:+.3f} ± {half:.3f}", mean - half, mean + half)
