"""Columns of a table that hold a mean and its 95 % interval, drawn as a bar beside the numbers.

Strategy: the three columns of an estimate (its value, the low and the high end) become two: the value, and a bar with
the ends in words. All bars of one column have one scale, with a line at 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .bars import Row, error_bar, side_of
from .markup import Html, element

WIDTH, HEIGHT, INSET = 132.0, 18.0, 12.0
OPPOSITE = {"better": "worse", "worse": "better"}
FAR = 5.0  # times the third quartile of all ends, beyond which a bar is an arrow out of the scale


@dataclass(frozen=True, slots=True)
class Interval:
    """Which columns of a table hold a value and the ends of its interval; `gain` where more is better."""

    value: int
    low: int
    high: int
    gain: bool = False


Cells = Sequence[Sequence[object]]


def with_bars(
    columns: Sequence[str], rows: Cells, intervals: Sequence[Interval], texts: Cells
) -> tuple[list[str], list[list[object]]]:
    """The columns and rows with a bar for each interval behind its value, and without its ends.

    texts : the cells of the rows in words
    """
    ends = {end for each in intervals for end in (each.low, each.high)}
    shown = [k for k in range(len(columns)) if k not in ends]
    by_value = {each.value: _bars(rows, each, texts) for each in intervals}
    titles = [title for k in shown for title in ([columns[k], "95 % interval"] if k in by_value else [columns[k]])]
    cells = [
        [cell for k in shown for cell in ([text[k], by_value[k][number]] if k in by_value else [text[k]])]
        for number, text in enumerate(texts)
    ]
    return titles, cells


def _bars(rows: Cells, each: Interval, texts: Cells) -> list[Html]:
    """The bar of every row, on one scale."""
    found = [_row(row, each) for row in rows]
    scale = _scale(found)
    words = [f"{text[each.low]} to {text[each.high]}" for text in texts]
    return [_bar(row, scale, text, each.gain) for row, text in zip(found, words, strict=True)]


def _row(cells: Sequence[object], each: Interval) -> Row | None:
    value, low, high = (cells[k] for k in (each.value, each.low, each.high))
    if not all(isinstance(end, int | float) for end in (value, low, high)):
        return None
    return Row("", float(value), "", float(low), float(high))  # type: ignore[arg-type]


def _scale(rows: Sequence[Row | None]) -> tuple[float, float]:
    """From the least to the greatest end, 0 between them; ends far beyond most others are left outside."""
    ends = [end for row in rows if row for end in (row.low, row.high) if end is not None]
    usual = sorted(map(abs, ends))[(3 * len(ends)) // 4 :] or [0.0]
    kept = [end for end in ends if abs(end) <= FAR * usual[0]]
    return min([0.0, *kept]), max([0.0, *kept])


def _bar(row: Row | None, scale: tuple[float, float], text: str, gain: bool) -> Html:
    if row is None or row.low is None or row.high is None or scale[0] == scale[1] or row.low == row.high == 0:
        return Html("")
    least, greatest = scale

    def place(value: float) -> float:
        return INSET + (min(max(value, least), greatest) - least) / (greatest - least) * (WIDTH - 2 * INSET)

    kind, middle, zero = side_of(row), HEIGHT / 2, f"{place(0.0):.1f}"
    kind = OPPOSITE.get(kind, kind) if gain else kind
    marks = [element("title", text), element("line", x1=zero, x2=zero, y1=0, y2=HEIGHT, class_="zero")]
    if least <= row.value <= greatest:
        marks.append(error_bar(place(row.low), place(row.high), middle, f"range {kind}"))
        marks.append(element("circle", cx=f"{place(row.value):.1f}", cy=middle, r=3.5, class_=kind))
    else:  # an arrow out of the scale
        tip, back = (WIDTH - 1, -9) if row.value > greatest else (1, 9)
        marks.append(element("path", d=f"M{tip} {middle:g}l{back} -4v8z", class_=kind))
    svg = element("svg", *marks, viewBox=f"0 0 {WIDTH:g} {HEIGHT:g}", role="img", class_="interval")
    return element("span", svg, element("span", text), class_="estimate")
