"""The page of byte-return curves: one HTML file that stands by itself, with every measured interval drawn.

Strategy: what the base is stands on top, then the charts of the plot, then a table of all points that begins with what
they recovered. Nothing is computed here.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...files.numbers import decimals, integer
from ...report.heading import Origin, headed_page, tiles
from ...report.intervals import Interval, with_bars
from ...report.markup import Html, element, joined, paragraph, section, table
from .byte_returns import ReturnPoint
from .curve_plot import NOTE, TITLE, curve_charts
from .curves import ByteReturns

INTERVALS = [Interval(2, 3, 4, gain=True), Interval(6, 7, 8, gain=True), Interval(9, 10, 11, gain=True)]
COLUMNS = [
    *("unit", ">budget", ">recovered", ">low", ">high", ">a KB", ">against finer", ">low", ">high"),
    *(">against widened", ">low", ">high", ">mBPB a KB", ">items", ">protected", ">metadata"),
]
WORDS = (
    "Recovered and differences are of divergence, mbit a token, with 95 % intervals: above 0 the exceptions are "
    "better. Finer: all steps of the base by one factor; widened: the allocator's own steps, both of as many bytes."
)


def render_curves(found: ByteReturns, origin: Origin) -> str:
    """The page of everything measured."""
    settings, inputs = found.inputs.settings, found.inputs
    facts = {
        "calibration": str(inputs.calibration),
        "measured on": f"{integer(inputs.tokens)} tokens at most of "
        + str(inputs.evaluation or "the held-out end of the calibration text"),
        "exceptions": f"{settings.form}, octaves {settings.octaves:g}",
    }
    charts = [joined([element("h3", chart.title), chart]) for chart in curve_charts(found)]
    return headed_page(
        origin,
        f"{TITLE}, on a base of {settings.bits:g} bits a weight with {settings.steps} steps",
        facts,
        tiles(_tiles(found)),
        section("Divergence over bytes", *charts, element("figcaption", NOTE)),
        _points(found),
    )


def _tiles(found: ByteReturns) -> list[tuple[str, str, Html | None]]:
    base = found.base
    items: list[tuple[str, str, Html | None]] = []
    if base.bits_per_byte is not None:
        text = f"bits per byte of the base, {decimals(base.float_bits_per_byte, 4)} of the float model"
        items.append((decimals(base.bits_per_byte, 4), text, None))
    items.append((integer(base.bytes), "bytes of the base", None))
    items.append((f"{1000 * base.divergence:.3g} mbit", "a token of divergence of the base", None))
    for unit in found.units:
        points = [point for point in found.of(unit) if point.protected_bytes]
        ahead = sum(_wins(point) for point in points)
        items.append((f"{ahead} of {len(points)}", f"budgets at which {unit} beat both controls", None))
    return items


def _wins(point: ReturnPoint) -> bool:
    controls = [control for control in (point.finer, point.widened) if control is not None]
    return all(control.advantage - control.advantage_reach > 0 for control in controls)


def _points(found: ByteReturns) -> Html:
    rows = [_row(point) for point in found.points]
    texts = [[_text(value) for value in row] for row in rows]
    columns, cells = with_bars(COLUMNS, rows, INTERVALS, texts)
    return section("All points", paragraph(WORDS), table(columns, cells))


def _row(point: ReturnPoint) -> list[object]:
    """A point's cells under COLUMNS."""
    controls: list[object] = []
    for control in (point.finer, point.widened):
        controls += _ends(control and control.advantage, control and control.advantage_reach)
    scored = point.bits_per_byte_per_byte
    each = None if point.recovered_per_byte is None else 1e6 * point.recovered_per_byte
    recovered = _ends(point.recovered, point.recovered_reach)
    metadata = None if point.metadata is None else sum(point.metadata.values())
    first = [point.unit, point.budget, *recovered, each, *controls]
    return [*first, None if scored is None else 1e6 * scored, point.items, point.protected_bytes, metadata]


def _ends(mean: float | None, reach: float | None) -> Sequence[float | None]:
    """Mean, low and high end in thousandths."""
    if mean is None or reach is None:
        return (None, None, None)
    return tuple(1000 * (mean + side * reach) for side in (0, -1, 1))


def _text(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, int):
        return integer(value)
    return f"{value:.3f}" if isinstance(value, float) else str(value)
