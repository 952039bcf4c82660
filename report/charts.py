"""Charts as inline SVG: bars, spans between two values, points and lines on plain or logarithmic axes.

Strategy: each chart is a fixed drawing of 920 units' width that the page scales. Colors come from the page's
style sheet by class, so that one drawing serves light and dark; each mark has a title that browsers show on
hovering.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from .markup import Html, element, joined
from .style import STYLE

WIDTH = 920
ROW = 24
LABELS = 250  # room for row labels
RIGHT = 130  # room for what is written behind a bar
LEGEND_LINE = 18
CHARACTER = 6.7  # width of one at the size of row labels
CURVES = ("b", "a", "c", "d", "e", "f")  # classes of the curves of one chart, which has no more than these


@dataclass(frozen=True, slots=True)
class Axis:
    """A scale from values to positions: `place(value)`; `ticks` are (value, text)."""

    place: Callable[[float], float]
    ticks: tuple[tuple[float, str], ...]


def linear_axis(greatest: float, start: float, stop: float, least: float = 0.0) -> Axis:
    """From `least`, with about five round ticks."""
    span = (greatest - least) or 1.0
    return Axis(lambda value: start + (value - least) / span * (stop - start), _round_ticks(least, least + span))


def log_axis(least: float, greatest: float, start: float, stop: float) -> Axis:
    """Logarithmic, with a little room on either side.

    Ticks are decades, with their 2 and 5 where there are few, or round numbers where there is less than one decade.
    """
    low, high = math.log10(least), math.log10(greatest)
    margin = max(0.04 * (high - low), 0.02)
    low, high = low - margin, high + margin
    factors = (1, 2, 5) if high - low < 2.5 else (1,)
    values = [f * 10.0**e for e in range(math.floor(low), math.ceil(high) + 1) for f in factors]
    ticks = tuple((v, f"{v:g}") for v in values if low <= math.log10(v) <= high)
    if len(ticks) < 3:
        ticks = _round_ticks(10.0**low, 10.0**high)
    return Axis(lambda value: start + (math.log10(value) - low) / (high - low) * (stop - start), ticks)


def _round_ticks(least: float, greatest: float) -> tuple[tuple[float, str], ...]:
    raw = (greatest - least) / 5
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw * 0.999)
    first, last = math.ceil(least / step - 1e-9), math.floor(greatest / step + 1e-9)
    places = max(0, -math.floor(math.log10(step)))
    return tuple((k * step, f"{k * step:,.{places}f}") for k in range(first, last + 1))


def bar_chart(rows: Sequence[tuple[str, float, str]], axis_label: str, title: str) -> Html:
    """Horizontal bars of (label, value, text behind the bar)."""
    axis = linear_axis(max((value for _, value, _ in rows), default=1.0), LABELS, WIDTH - RIGHT)
    bottom = ROW * len(rows) + 8
    marks = [_x_grid(axis, bottom, axis_label)]
    for k, (label, value, behind) in enumerate(rows):
        y, end = ROW * k + 6, axis.place(value)
        bar = element(
            "rect",
            element("title", f"{label}: {behind}"),
            x=LABELS,
            y=y,
            width=f"{max(end - LABELS, 1):.1f}",
            height=ROW - 8,
            rx=2,
            class_="a",
        )
        marks += [_label(label, k), bar, _text(end + 6, y + 12, behind, "start", "behind")]
    return _drawing(bottom + 44, title, marks)


def span_chart(
    rows: Sequence[tuple[str, float, float, str]], names: tuple[str, str], axis_label: str, title: str
) -> Html:
    """Two values a row, joined: (label, first, second, text behind).

    The axis starts at a whole number below them all.
    """
    values = [value for _, first, second, _ in rows for value in (first, second)]
    axis = linear_axis(max(values), LABELS, WIDTH - RIGHT, math.floor(min(values)))
    top, bottom = 22, ROW * len(rows) + 30
    marks = [_legend(names, ("b", "a")), _x_grid(axis, bottom, axis_label, top)]
    for k, (label, first, second, behind) in enumerate(rows):
        y, left, right = ROW * k + 14 + top, axis.place(first), axis.place(second)
        tip = element("title", f"{label}: {names[0]} {first:.3f}, {names[1]} {second:.3f}")
        marks += [
            _label(label, k, top),
            element("line", x1=f"{left:.1f}", x2=f"{right:.1f}", y1=y, y2=y, class_="join"),
            element("circle", tip, cx=f"{left:.1f}", cy=y, r=5, class_="b"),
            element("circle", tip, cx=f"{right:.1f}", cy=y, r=5, class_="a"),
            _text(max(left, right) + 12, y + 4, behind, "start", "behind"),
        ]
    return _drawing(bottom + 44, title, marks)


def point_chart(
    points: Sequence[tuple[str, float, float, str]], names: Mapping[str, str], labels: tuple[str, str], title: str
) -> Html:
    """Points (label, x, y, class) on logarithmic axes of equal range, with the line x = y.

    `names` says what each class is.
    """
    values = [v for _, x, y, _ in points for v in (x, y)]
    left, right, top, bottom = 92, 880, 28, 440
    across, up = log_axis(min(values), max(values), left, right), log_axis(min(values), max(values), bottom, top)
    ends = min(values), max(values)
    marks = [
        _legend(tuple(names.values()), tuple(names), left),
        _frame(across, up, (left, right, top, bottom), labels),
        element(
            "line",
            x1=f"{across.place(ends[0]):.1f}",
            y1=f"{up.place(ends[0]):.1f}",
            x2=f"{across.place(ends[1]):.1f}",
            y2=f"{up.place(ends[1]):.1f}",
            class_="equal",
        ),
    ]
    for label, x, y, kind in points:
        tip = element("title", f"{label}: {labels[0]} {x:.3g}, {labels[1]} {y:.3g}")
        marks.append(
            element("circle", tip, cx=f"{across.place(x):.1f}", cy=f"{up.place(y):.1f}", r=5, class_=f"{kind} point")
        )
    return _drawing(bottom + 50, title, marks)


def curve_chart(
    series: Mapping[str, Sequence[tuple[float, float]]],
    chosen: tuple[float, float] | None,
    limit: float | None,
    labels: tuple[str, str],
    title: str,
    *,
    logarithmic: bool = True,
) -> Html:
    """Lines through (x, y) points, the chosen point ringed and a limit on x drawn.

    logarithmic : of y, whose axis otherwise starts at 0, or below where a point lies below
    """
    xs = [x for points in series.values() for x, _ in points] + ([limit] if limit is not None else [])
    ys = [y for points in series.values() for _, y in points]
    lower = _legend_places(tuple(series)[: len(CURVES)], 92)[-1][1] - 9
    left, right, top, bottom = 92, 880, 28 + lower, 360 + lower
    room = 0.05 * (max(xs) - min(xs)) or 0.01 * max(xs)
    across = linear_axis(max(xs) + room, left, right, min(xs) - room)
    up = (
        log_axis(min(ys), max(ys), bottom, top)
        if logarithmic
        else linear_axis(max(*ys, 0.0), bottom, top, min(*ys, 0.0))
    )
    marks = [_legend(tuple(series), CURVES, left), _frame(across, up, (left, right, top, bottom), labels)]
    if limit is not None:
        x = f"{across.place(limit):.1f}"
        marks += [
            element("line", x1=x, x2=x, y1=top, y2=bottom, class_="limit"),
            _text(float(x) - 6, top + 14, "budget", "end", "behind"),
        ]
    for kind, points in zip(CURVES, series.values(), strict=False):
        places = [(f"{across.place(x):.1f}", f"{up.place(y):.1f}", x, y) for x, y in sorted(points)]
        marks.append(element("polyline", points=" ".join(f"{x},{y}" for x, y, _, _ in places), class_=f"{kind} curve"))
        for px, py, x, y in places:
            marks.append(element("circle", element("title", f"{x:,.6g}, {y:.4g}"), cx=px, cy=py, r=4, class_=kind))
    if chosen is not None:
        px, py = across.place(chosen[0]), up.place(chosen[1])
        marks += [
            element("circle", cx=f"{px:.1f}", cy=f"{py:.1f}", r=9, class_="ring"),
            _text(px - 14, py + 20, "chosen", "end", "strong"),
        ]
    return _drawing(bottom + 50, title, marks)


def _x_grid(axis: Axis, bottom: float, label: str, top: float = 0) -> Html:
    """Vertical grid lines with numbers under them, and the axis label."""
    parts = []
    for value, text in axis.ticks:
        x = f"{axis.place(value):.1f}"
        parts += [
            element("line", x1=x, x2=x, y1=top, y2=bottom, class_="grid"),
            _text(float(x), bottom + 16, text, "middle", "tick"),
        ]
    return joined([*parts, _text((LABELS + WIDTH - RIGHT) / 2, bottom + 36, label, "middle", "axis")])


def _frame(across: Axis, up: Axis, box: tuple[float, float, float, float], labels: tuple[str, str]) -> Html:
    """Grid, numbers and labels of a chart with two axes."""
    left, right, top, bottom = box
    parts = []
    for value, text in across.ticks:
        x = f"{across.place(value):.1f}"
        parts += [
            element("line", x1=x, x2=x, y1=top, y2=bottom, class_="grid"),
            _text(float(x), bottom + 18, text, "middle", "tick"),
        ]
    for value, text in up.ticks:
        y = f"{up.place(value):.1f}"
        parts += [
            element("line", x1=left, x2=right, y1=y, y2=y, class_="grid"),
            _text(left - 8, float(y) + 4, text, "end", "tick"),
        ]
    middle = (top + bottom) / 2
    turned = element(
        "text", labels[1], x=22, y=middle, text_anchor="middle", transform=f"rotate(-90 22 {middle})", class_="axis"
    )
    return joined([*parts, _text((left + right) / 2, bottom + 42, labels[0], "middle", "axis"), turned])


def _legend(names: Sequence[str], kinds: Sequence[str], left: float = LABELS) -> Html:
    return joined(
        joined([element("circle", cx=x + 5, cy=y, r=5, class_=kind), _text(x + 16, y + 4, name, "start", "behind")])
        for name, kind, (x, y) in zip(names, kinds, _legend_places(names, left), strict=False)
    )


def _legend_places(names: Sequence[str], left: float) -> list[tuple[float, float]]:
    """Where each name of a legend begins, (x, y), in as many lines as they need."""
    places, x, y = [], left, 9.0
    for name in names:
        width = 40 + 7 * len(name)
        if x > left and x + width > WIDTH:
            x, y = left, y + LEGEND_LINE
        places.append((x, y))
        x += width
    return places


def _label(text: str, row: int, top: float = 0) -> Html:
    """A row's label; one that is too long keeps its end, which tells tensors apart."""
    room = int((LABELS - 14) / CHARACTER)
    shown = text if len(text) <= room else "…" + text[-room + 1 :]
    return _text(LABELS - 10, ROW * row + 18 + top, shown, "end", "label")


def _text(x: float, y: float, content: str, anchor: str, kind: str) -> Html:
    return element("text", content, x=f"{x:.1f}", y=f"{y:.1f}", text_anchor=anchor, class_=kind)


def _drawing(height: float, title: str, marks: Sequence[Html]) -> Html:
    return element(
        "figure", element("svg", element("title", title), *marks, viewBox=f"0 0 {WIDTH} {height:.0f}", role="img")
    )


def stacked_svg(charts: Sequence[Html], title: str, style: str = STYLE) -> str:
    """Drawings, one below the other, as an SVG document of its own with a style sheet."""
    parts, width, top = [], 0, 0
    for chart in charts:
        found = re.fullmatch(r'<figure><svg [^>]*?viewBox="0 0 (\d+) (\d+)"[^>]*>(.*)</svg></figure>', chart, re.DOTALL)
        if found is None:
            raise ValueError("a chart that is no figure with one drawing")
        parts.append(element("g", Html(found[3]), transform=f"translate(0 {top})"))
        width, top = max(width, int(found[1])), top + int(found[2]) + ROW
    background = element("rect", width="100%", height="100%", style="fill: var(--paper)")
    content = (element("title", title), element("style", Html(style)), background, *parts)
    size = {"width": width, "height": top, "viewBox": f"0 0 {width} {top}"}
    return (
        element("svg", *content, xmlns="http://www.w3.org/2000/svg", font_family="system-ui, sans-serif", **size) + "\n"
    )
