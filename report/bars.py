"""Charts with a row for each thing: bars, two values joined, and means with their intervals.

Strategy: in the wide layout a row's name stands left of it, in the narrow one above it; the text behind a mark never
leaves the drawing. Every mark says its values on hovering.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from .axes import Axis, linear_axis
from .figure import Figure, Layout, drawn, lettering
from .lettering import broken, shortened, text_width
from .markup import Html, element, joined

MOST_LABEL = 270.0  # room for row labels
AXIS_HEIGHT = 46.0
LEGEND_HEIGHT = 24.0
INSET = 10.0  # of what a narrow drawing shows
CAP = 4.0  # half height of the ends of an interval


@dataclass(frozen=True, slots=True)
class Row:
    """One bar: its label, value, the text behind it, and the 95 % interval of the value where one is known."""

    label: str
    value: float
    behind: str = ""
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class _Rows:
    """Where rows stand: label column, the span of the axis, pitch and the place of a mark within its row."""

    layout: Layout
    left: float
    right: float
    top: float
    pitch: float
    mark: float

    @classmethod
    def of(cls, layout: Layout, labels: Sequence[str], behind: Sequence[str], top: float = 0.0) -> _Rows:
        after = max(map(text_width, behind), default=0.0) + 14
        if layout.narrow:
            return cls(layout, INSET, layout.width - max(after, 24.0), top, 40.0, 30.0)
        left = min(max(map(text_width, labels), default=0.0), MOST_LABEL) + 12
        return cls(layout, left, layout.width - max(after, 40.0), top, 25.0, 13.0)

    def middle(self, k: int) -> float:
        return self.top + self.pitch * k + self.mark

    def bottom(self, count: int) -> float:
        return self.top + self.pitch * count + 6

    def label(self, text: str, k: int) -> Html:
        """A row's label; one that is too long keeps its end, which tells tensors apart."""
        if self.layout.narrow:
            shown = shortened(text, self.layout.width - INSET)
            return lettering(INSET, self.middle(k) - 13, shown, "start", "label")
        return lettering(self.left - 10, self.middle(k) + 4.5, shortened(text, self.left - 10), "end", "label")

    def grid(self, axis: Axis, bottom: float, label: str) -> tuple[Html, float]:
        """Vertical lines with numbers under them, and the axis label; and where the drawing ends."""
        parts = []
        for value, text in axis.ticks:
            x = f"{axis.place(value):.1f}"
            parts += [
                element("line", x1=x, x2=x, y1=f"{self.top:.0f}", y2=f"{bottom:.0f}", class_="grid"),
                lettering(*_within(float(x), text, self.layout.width, bottom + 17), "tick"),
            ]
        lines = broken(label, self.layout.width - 2 * INSET)
        half = max(map(text_width, lines)) / 2
        middle = min(max((self.left + self.right) / 2, half + 2), self.layout.width - half - 2)
        for k, line in enumerate(lines):
            parts.append(lettering(middle, bottom + 37 + 16 * k, line, "middle", "axis"))
        return joined(parts), bottom + AXIS_HEIGHT + 16 * (len(lines) - 1)


def _within(x: float, text: str, width: float, y: float) -> tuple[float, float, str, str]:
    """Place, text and anchor of a number under an axis that would leave the drawing in the middle of its place."""
    half = text_width(text) / 2
    if x + half > width:
        return width, y, text, "end"
    return (0.0, y, text, "start") if x < half else (x, y, text, "middle")


def bar_chart(rows: Sequence[Row], axis_label: str, title: str) -> Figure:
    """Horizontal bars, with error bars where intervals are known."""

    def draw(layout: Layout) -> tuple[float, list[Html]]:
        place = _Rows.of(layout, [r.label for r in rows], [r.behind for r in rows])
        ends = [value for r in rows for value in (r.value, r.high) if value is not None]
        axis = linear_axis(max(ends, default=1.0), place.left, place.right, min([0.0, *(r.value for r in rows)]))
        bottom = place.bottom(len(rows))
        grid, height = place.grid(axis, bottom, axis_label)
        marks = [grid]
        for k, row in enumerate(rows):
            marks += _bar(place, axis, row, k)
        return height, marks

    return drawn(title, draw)


def _bar(place: _Rows, axis: Axis, row: Row, k: int) -> list[Html]:
    middle, zero, end = place.middle(k), axis.place(0.0), axis.place(row.value)
    left, height = min(zero, end), 16 if not place.layout.narrow else 14
    size = {"width": f"{max(abs(end - zero), 1):.1f}", "height": height, "rx": 2}
    tip = element("title", f"{row.label}: {row.behind}")
    marks = [
        place.label(row.label, k),
        element("rect", tip, x=f"{left:.1f}", y=f"{middle - height / 2:.1f}", **size, class_="a"),
    ]
    last = max(zero, end)
    if row.low is not None and row.high is not None:
        marks.append(error_bar(axis.place(row.low), axis.place(row.high), middle, "range"))
        last = max(last, axis.place(row.high))
    return [*marks, lettering(last + 7, middle + 4.5, row.behind, "start", "behind")]


def error_bar(left: float, right: float, y: float, kind: str) -> Html:
    """A horizontal line with ends."""
    path = f"M{left:.1f} {y - CAP:.1f}v{2 * CAP:g}M{left:.1f} {y:.1f}H{right:.1f}M{right:.1f} {y - CAP:.1f}v{2 * CAP:g}"
    return element("path", d=path, class_=kind)


def span_chart(
    rows: Sequence[tuple[str, float, float, str]], names: tuple[str, str], axis_label: str, title: str
) -> Figure:
    """Two values a row, joined: (label, first, second, text behind).

    The axis starts at a whole number below them all.
    """
    values = [value for _, first, second, _ in rows for value in (first, second)]

    def draw(layout: Layout) -> tuple[float, list[Html]]:
        place = _Rows.of(layout, [r[0] for r in rows], [r[3] for r in rows], LEGEND_HEIGHT)
        axis = linear_axis(max(values), place.left + 6, place.right - 6, math.floor(min(values)))
        bottom = place.bottom(len(rows))
        grid, height = place.grid(axis, bottom, axis_label)
        marks = [legend(names, ("b", "a"), place.left)[0], grid]
        for k, (label, first, second, behind) in enumerate(rows):
            y, left, right = place.middle(k), axis.place(first), axis.place(second)
            tip = element("title", f"{label}: {names[0]} {first:.3f}, {names[1]} {second:.3f}")
            marks += [
                place.label(label, k),
                element("line", x1=f"{left:.1f}", x2=f"{right:.1f}", y1=y, y2=y, class_="join"),
                element("circle", tip, cx=f"{left:.1f}", cy=y, r=5, class_="b"),
                element("circle", tip, cx=f"{right:.1f}", cy=y, r=5, class_="a"),
                lettering(max(left, right) + 11, y + 4.5, behind, "start", "behind"),
            ]
        return height, marks

    return drawn(title, draw)


def interval_chart(rows: Sequence[Row], axis_label: str, title: str) -> Figure:
    """Means as points with their 95 % intervals as bars, and a line at 0; lower is better.

    An interval that is wholly below 0 is shown as better, one wholly above as worse, the others as neither.
    """
    low = min([0.0, *(value for r in rows for value in (r.value, r.low) if value is not None)])
    high = max([0.0, *(value for r in rows for value in (r.value, r.high) if value is not None)])

    def draw(layout: Layout) -> tuple[float, list[Html]]:
        place = _Rows.of(layout, [r.label for r in rows], [r.behind for r in rows])
        axis = linear_axis(high, place.left + 6, place.right - 6, low)
        bottom, zero = place.bottom(len(rows)), f"{axis.place(0.0):.1f}"
        grid, height = place.grid(axis, bottom, axis_label)
        marks = [grid, element("line", x1=zero, x2=zero, y1=0, y2=f"{bottom:.0f}", class_="zero")]
        for k, row in enumerate(rows):
            y, x, kind = place.middle(k), axis.place(row.value), side_of(row)
            tip = element("title", f"{row.label}: {row.behind}")
            if row.low is not None and row.high is not None:
                marks.append(error_bar(axis.place(row.low), axis.place(row.high), y, f"range {kind}"))
            marks += [
                place.label(row.label, k),
                element("circle", tip, cx=f"{x:.1f}", cy=y, r=4.5, class_=kind),
                lettering(place.right + 8, y + 4.5, row.behind, "start", "behind"),
            ]
        return height, marks

    return drawn(title, draw)


def side_of(row: Row) -> str:
    """The class of a change and its interval: `better` below 0, `worse` above, `open` where 0 lies within."""
    low, high = (row.value if end is None else end for end in (row.low, row.high))
    return "better" if high < 0 else "worse" if low > 0 else "open"


def legend(names: Sequence[str], kinds: Sequence[str], left: float, width: float = 0.0) -> tuple[Html, float]:
    """Names with the colours of their classes, and the height that they take; no line is wider than `width`."""
    parts, x, y = [], left, 10.0
    for name, kind in zip(names, kinds, strict=False):
        room = 34 + text_width(name)
        if x > left and width and x + room > width:
            x, y = left, y + 20
        dot = element("circle", cx=f"{x + 5:.1f}", cy=y, r=5, class_=kind)
        parts.append(joined([dot, lettering(x + 16, y + 4.5, name, "start", "behind")]))
        x += room
    return joined(parts), y + 14
