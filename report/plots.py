"""Charts with two axes: curves through measured points with their intervals, and two measures of the same things.

Strategy: the points that matter have their names beside them, as many as find room without touching anything; every
other one says its name and values on hovering. The label of the upright axis stands above it, where it can be read.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from .axes import Axis, linear_axis, log_axis
from .bars import legend
from .figure import Figure, Layout, drawn, lettering
from .lettering import Place, place_names, text_width
from .markup import Html, element, joined

KINDS = ("b", "a", "c", "d", "e", "f")  # classes of the series of one chart, which has no more than these
POINT_KINDS = ("a", "b", "c")  # of a chart of points alone
RADIUS = 4.5
CAP = 4.0  # half width of the ends of an interval
LINE_PIECE = 6.0  # of a line that names stay clear of
RING = 9.0
MOST_NAMES = {False: 9, True: 5}  # by whether the layout is narrow


@dataclass(frozen=True, slots=True)
class Point:
    """A point, with the 95 % interval of y where one is known, and a name that is written where there is room."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None
    name: str = ""
    tip: str = ""


@dataclass(frozen=True, slots=True)
class Series:
    """Points of one colour; `joined` by a line where they belong together."""

    name: str
    points: Sequence[Point]
    joined: bool = True


@dataclass(frozen=True, slots=True)
class _Field:
    """The room of the points, and the axes in it."""

    box: Place
    across: Axis
    up: Axis
    logarithmic: bool

    def spot(self, point: Point) -> tuple[float, float]:
        return self.across.place(point.x), self.up.place(point.y)

    def height(self, value: float) -> float:
        """Where a value of y is, within the box; a logarithmic axis has no place for 0 and less."""
        if value <= 0 and self.logarithmic:
            return self.box.bottom
        return min(max(self.up.place(value), self.box.top), self.box.bottom)


def curve_chart(
    series: Sequence[Series],
    labels: tuple[str, str],
    title: str,
    *,
    logarithmic: bool = True,
    marked: Point | None = None,
    limit: tuple[float, str] | None = None,
) -> Figure:
    """Points and the lines through them; `marked` is ringed, `limit` is a value of x and what it is.

    logarithmic : of y, whose axis otherwise holds 0 unless it is far off
    """

    def draw(layout: Layout) -> tuple[float, list[Html]]:
        names, top = _legend(series, KINDS, layout)
        field = _curve_field(series, layout, top, logarithmic, limit)
        marks = [names, _frame(field, labels, layout)]
        taken: list[Place] = []
        if limit is not None:
            marks.append(_limit(field, *limit, taken))
        for each, kind in zip(series, KINDS, strict=False):
            marks += _series(field, each, kind, taken)
        points = [p for each in series for p in each.points if p.name]
        if marked is not None:
            x, y = field.spot(marked)
            marks.append(element("circle", cx=f"{x:.1f}", cy=f"{y:.1f}", r=RING, class_="ring"))
            taken.append(Place(x - RING, y - RING, x + RING, y + RING))
            points = [marked, *(p for p in points if (p.x, p.y) != (marked.x, marked.y))]
        marks += _names(field, points[: 2 * MOST_NAMES[layout.narrow]], taken)
        return field.box.bottom + 52, marks

    return drawn(title, draw)


def point_chart(series: Sequence[Series], labels: tuple[str, str], title: str, named: Sequence[Point] = ()) -> Figure:
    """Points on logarithmic axes of equal range, with the line x = y; the first of `named` have names beside them."""
    values = [value for each in series for point in each.points for value in (point.x, point.y)]

    def draw(layout: Layout) -> tuple[float, list[Html]]:
        names, top = _legend(series, POINT_KINDS, layout)
        box = _box(layout, top, [f"{value:g}" for value in (min(values), max(values))], 400, 320)
        across = log_axis(min(values), max(values), box.left, box.right)
        up = log_axis(min(values), max(values), box.bottom, box.top)
        field = _Field(box, across, up, True)
        first, last = (field.spot(Point(end, end)) for end in (min(values), max(values)))
        equal = {"x1": first[0], "y1": first[1], "x2": last[0], "y2": last[1]}
        line = element("line", **{name: f"{value:.1f}" for name, value in equal.items()}, class_="equal")
        marks, taken = [names, _frame(field, labels, layout), line], []
        for each, kind in zip(series, POINT_KINDS, strict=False):
            marks += _series(field, each, kind, taken)
        marks += _names(field, named[: MOST_NAMES[layout.narrow]], taken)
        return box.bottom + 52, marks

    return drawn(title, draw)


def _legend(series: Sequence[Series], kinds: Sequence[str], layout: Layout) -> tuple[Html, float]:
    if len(series) < 2:
        return joined(()), 4.0
    return legend([each.name for each in series], kinds, 2.0, layout.width)


def _curve_field(
    series: Sequence[Series],
    layout: Layout,
    top: float,
    logarithmic: bool,
    limit: tuple[float, str] | None,
) -> _Field:
    points = [point for each in series for point in each.points]
    xs = [point.x for point in points] + ([limit[0]] if limit is not None else [])
    ends = [value for p in points for value in (p.y, p.low, p.high) if value is not None]
    if logarithmic:
        ends = [value for value in ends if value > 0]
    texts = [text for _, text in (log_axis if logarithmic else _upright)(min(ends), max(ends), 300.0, 0.0).ticks]
    box = _box(layout, top, texts, 330, 290)
    room = 0.05 * (max(xs) - min(xs)) or 0.01 * max(xs) or 1.0
    across = linear_axis(max(xs) + room, box.left, box.right, min(xs) - room)
    up = (log_axis if logarithmic else _upright)(min(ends), max(ends), box.bottom, box.top)
    return _Field(box, across, up, logarithmic)


def _upright(least: float, greatest: float, start: float, stop: float) -> Axis:
    """A plain axis that holds 0, unless all values are farther from it than from each other."""
    if 0 < least < greatest < 2 * least:
        room = 0.1 * (greatest - least)
        return linear_axis(greatest + room, start, stop, least - room)
    least, greatest = min(least, 0.0), max(greatest, 0.0)
    room = 0.06 * (greatest - least)
    return linear_axis(greatest + room, start, stop, least - room if least < 0 else 0.0)


def _box(layout: Layout, top: float, texts: Sequence[str], wide: float, narrow: float) -> Place:
    """The room of the points: right of the numbers of the upright axis, below its label."""
    left = max(map(text_width, texts), default=0.0) + 14
    upper = top + 30
    return Place(left, upper, layout.width - 12, upper + (narrow if layout.narrow else wide))


def _frame(field: _Field, labels: tuple[str, str], layout: Layout) -> Html:
    """Grid, numbers and labels."""
    box, parts = field.box, []
    for value, text in field.across.ticks:
        x = f"{field.across.place(value):.1f}"
        at = min(max(float(x), text_width(text) / 2), layout.width - text_width(text) / 2)
        parts += [
            element("line", x1=x, x2=x, y1=f"{box.top:.1f}", y2=f"{box.bottom:.1f}", class_="grid"),
            lettering(at, box.bottom + 18, text, "middle", "tick"),
        ]
    for value, text in field.up.ticks:
        y = f"{field.up.place(value):.1f}"
        kind = "grid" if value else "zero"
        parts += [
            element("line", x1=f"{box.left:.1f}", x2=f"{box.right:.1f}", y1=y, y2=y, class_=kind),
            lettering(box.left - 8, float(y) + 4.5, text, "end", "tick"),
        ]
    across = lettering(box.right, box.bottom + 40, labels[0], "end", "axis")
    return joined([*parts, across, lettering(2, box.top - 13, labels[1], "start", "axis")])


def _limit(field: _Field, value: float, text: str, taken: list[Place]) -> Html:
    """An upright line at a value of x, with what it is at its upper end."""
    box, x, width = field.box, field.across.place(value), text_width(text)
    left = x - 6 - width
    anchor, at = ("end", x - 6) if left > box.left else ("start", x + 6)
    left = left if anchor == "end" else x + 6
    taken.append(Place(left, box.top + 2, left + width, box.top + 18))
    line = element("line", x1=f"{x:.1f}", x2=f"{x:.1f}", y1=f"{box.top:.1f}", y2=f"{box.bottom:.1f}", class_="limit")
    return joined([line, lettering(at, box.top + 14, text, anchor, "behind")])


def _series(field: _Field, series: Series, kind: str, taken: list[Place]) -> list[Html]:
    """The line and the points of a series, with their intervals; where they are is added to `taken`."""
    marks = []
    points = sorted(series.points, key=lambda point: (point.x, point.y)) if series.joined else series.points
    spots = [field.spot(point) for point in points]
    if series.joined and len(points) > 1:
        marks.append(element("polyline", points=" ".join(f"{x:.1f},{y:.1f}" for x, y in spots), class_=f"{kind} curve"))
        taken += _along(spots)
    for point, (x, y) in zip(points, spots, strict=True):
        tip = point.tip or f"{point.x:,.6g}, {point.y:.4g}"
        tip = f"{point.name or series.name}: {tip}"
        if point.low is not None and point.high is not None:
            marks.append(_interval(field, point.low, point.high, x, kind))
            taken.append(Place(x - CAP, field.height(point.high), x + CAP, field.height(point.low)))
        marks.append(
            element("circle", element("title", tip), cx=f"{x:.1f}", cy=f"{y:.1f}", r=RADIUS, class_=f"{kind} point")
        )
        taken.append(Place(x - RADIUS, y - RADIUS, x + RADIUS, y + RADIUS))
    return marks


def _along(spots: Sequence[tuple[float, float]]) -> list[Place]:
    """What a line takes, in small pieces."""
    places = []
    for (x, y), (right, lower) in pairwise(spots):
        count = max(1, round(math.hypot(right - x, lower - y) / LINE_PIECE))
        for k in range(count):
            at, up = x + (right - x) * (k + 0.5) / count, y + (lower - y) * (k + 0.5) / count
            places.append(Place(at - 1, up - 1, at + 1, up + 1))
    return places


def _interval(field: _Field, low: float, high: float, x: float, kind: str) -> Html:
    """An upright error bar; what the axis does not hold is cut off at the edge."""
    ends = [field.height(low), field.height(high)]
    path = "".join(f"M{x - CAP:.1f} {end:.1f}h{2 * CAP:g}" for end in ends)
    return element("path", d=f"{path}M{x:.1f} {ends[0]:.1f}V{ends[1]:.1f}", class_=f"{kind} error")


def _names(field: _Field, points: Sequence[Point], taken: Sequence[Place]) -> list[Html]:
    spots = [(point.name, *field.spot(point)) for point in points]
    found = place_names(spots, field.box, taken)
    marks = []
    for name in found:
        if name.leader is not None:
            ends = dict(zip(("x1", "y1", "x2", "y2"), (f"{end:.1f}" for end in name.leader), strict=True))
            marks.append(element("line", **ends, class_="leader"))
        marks.append(lettering(name.x, name.y, name.text, name.anchor, "name"))
    return marks
