"""Charts: names touch nothing, numbers of axes have room, intervals are drawn where they are, both layouts hold all."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bytecap.report.axes import linear_axis, log_axis
from bytecap.report.bars import Row, bar_chart, interval_chart, side_of, span_chart
from bytecap.report.intervals import Interval, with_bars
from bytecap.report.lettering import Place, place_names, shortened, text_width
from bytecap.report.plots import Point, Series, curve_chart, point_chart

coordinates = st.tuples(st.floats(0, 600), st.floats(0, 300))
amounts = st.floats(1e-3, 1e9)


@settings(max_examples=40, deadline=None)
@given(st.lists(coordinates, max_size=25))
def test_names_touch_neither_each_other_nor_points_nor_the_edge(spots):
    room = Place(0, 0, 600, 300)
    taken = [Place(x - 4, y - 4, x + 4, y + 4) for x, y in spots]
    names = place_names([(f"blocks.{k}.weight", x, y) for k, (x, y) in enumerate(spots)], room, taken)
    boxes = []
    for name in names:
        width = text_width(name.text)
        left = {"start": name.x, "end": name.x - width, "middle": name.x - width / 2}[name.anchor]
        boxes.append(Place(left, name.y - 12, left + width, name.y + 3))
    for k, box in enumerate(boxes):
        assert room.holds(box)
        assert not any(box.touches(other, 0) for other in boxes[k + 1 :])
        assert not any(box.touches(other, 0) for other in taken)
    assert len(names) >= min(len(spots), 1) or any(x < 130 for x, _ in spots)


def test_what_matters_is_named_first_and_the_rest_where_there_is_room():
    crowd = [(f"tensor {k}", 300.0 + k / 10, 150.0) for k in range(60)]
    names = place_names(crowd, Place(0, 0, 600, 300), [])
    assert names[0].text == "tensor 0" and 3 < len(names) < 60
    assert names[0].leader is None and names[-1].leader is not None


def test_a_long_name_keeps_its_end():
    name = "model.layers.17.self_attn.q_proj.weight"
    short = shortened(name, 120)
    assert (
        short.startswith("…")
        and name.endswith(short[1:])
        and text_width(short) <= 120
        and not short[1:].startswith(".")
    )
    assert shortened(name, 1000) == name and shortened(name, 3) == ""


@settings(max_examples=60, deadline=None)
@given(amounts, amounts, st.sampled_from([120.0, 300.0, 800.0]), st.booleans())
@example(6.0, 999999999.0, 120.0, True)  # of its decades hardly two have room
@example(1e-3, 1e9, 800.0, True)  # 13 decades have
@example(0.0019918176981545254, 230447164.42409247, 800.0, True)
@example(1247.0, 42786032.0, 120.0, False)  # no round number that fits stands alone
@example(36.46541534674621, 36.465415346746234, 800.0, False)  # two that a chart does not tell apart
def test_numbers_of_an_axis_do_not_touch(first, second, length, logarithmic):
    least, greatest = sorted((first, second))
    axis = log_axis(least, greatest, 0, length) if logarithmic else linear_axis(greatest, 0, length, least)
    places = [(axis.place(value), text_width(text)) for value, text in axis.ticks]
    for (x, width), (right, other) in pairwise(places):
        assert right - x >= (width + other) / 2
    assert 0 < len(axis.ticks) <= 13 and len({text for _, text in axis.ticks}) == len(axis.ticks)


def texts_within(sheet) -> None:
    """No text of a drawing leaves it, by the widths that are assumed of letters."""
    marks = re.findall(r"<text([^>]*)>([^<]*)</text>", sheet.marks)
    assert marks
    for attributes, text in marks:
        x, anchor = float(re.search(r' x="([-\d.]+)"', attributes)[1]), re.search(r'text-anchor="(\w+)"', attributes)[1]
        left = x - text_width(text) * {"start": 0, "middle": 0.5, "end": 1}[anchor]
        assert left >= -1 and left + text_width(text) <= sheet.width + 1, text
        assert 0 < float(re.search(r' y="([-\d.]+)"', attributes)[1]) <= sheet.height


ROWS = [Row("blocks.0.attention.query.weight", 1234567.0, "24.6 %, 2.00 b/w", 1.1e6, 1.3e6), Row("a", 3.0, "0.0 %")]
POINTS = [
    Point(1e5, 3.0, 2.5, 3.5, "the smallest of all artifacts"),
    Point(1.2e6, 0.5),
    Point(2.4e6, 0.02, -0.01, 0.05),
]
PAIRS = [("x" * 60, 1.5, 2.25, "+0.750"), ("y", 3.0, 3.5, "+0.500")]
CHARTS = {
    "bars": bar_chart(ROWS, "bytes", "title"),
    "spans": span_chart(PAIRS, ("bound", "coded"), "bits", "title"),
    "intervals": interval_chart(ROWS, "mbit a token; below 0 is better", "title"),
    "curve": curve_chart([Series("one kind", POINTS), Series("another", POINTS[:2])], ("bytes", "loss"), "title"),
    "plain curve": curve_chart([Series("one", POINTS, joined=False)], ("x", "y"), "title", logarithmic=False),
    "marked": curve_chart(
        [Series("trials", POINTS)], ("bytes", "loss"), "title", marked=POINTS[0], limit=(1.2e5, "cap")
    ),
    "points": point_chart([Series("matrices", POINTS, joined=False)], ("x", "y"), "title", POINTS),
}


@pytest.mark.parametrize("name", CHARTS)
def test_both_layouts_hold_all_their_texts(name):
    chart = CHARTS[name]
    assert chart.wide.width == 920 and chart.narrow.width == 360
    texts_within(chart.wide)
    texts_within(chart.narrow)
    page = chart.__html__()
    assert page.count("<svg") == 2 and 'class="wide"' in page and 'class="narrow"' in page


def test_intervals_are_drawn_where_they_are_known():
    assert CHARTS["bars"].wide.marks.count('class="range"') == 1
    assert CHARTS["curve"].wide.marks.count(" error") == 3  # two of the first series, one of the second
    assert (
        CHARTS["plain curve"].narrow.marks.count(" error") == 2 and "polyline" not in CHARTS["plain curve"].wide.marks
    )
    low = re.search(r'<path d="M[\d.]+ ([\d.]+)h8', CHARTS["marked"].wide.marks)
    assert low and float(low[1]) > 0


def test_a_change_is_better_worse_or_open():
    assert side_of(Row("", -2.0, "", -3.0, -1.0)) == "better" and side_of(Row("", 2.0, "", 1.0, 3.0)) == "worse"
    assert side_of(Row("", 2.0, "", -1.0, 5.0)) == "open" and side_of(Row("", -2.0)) == "better"


def test_the_ends_of_an_interval_become_a_bar():
    columns = ["head", ">change", ">low", ">high", ">bytes"]
    rows = [
        ["base", 0.0, 0.0, 0.0, 10],
        ["a", -1.5, -2.0, -1.0, 11],
        ["b", 90.0, 89.0, 91.0, 12],
        ["c", None, None, None, 13],
    ]
    rows += [[f"d{k}", 1.0, 0.5, 1.5, 14] for k in range(5)]
    texts = [[str(cell) for cell in row] for row in rows]
    titles, cells = with_bars(columns, rows, [Interval(1, 2, 3)], texts)
    assert titles == ["head", ">change", "95 % interval", ">bytes"] and {len(row) for row in cells} == {4}
    bars = [row[2] for row in cells]
    assert bars[0] == bars[3] == "" and "range better" in bars[1] and "-2.0 to -1.0" in bars[1]
    assert "range" not in bars[2] and 'class="worse"' in bars[2]  # far out of the scale: an arrow
    assert "range worse" in bars[4]


@pytest.mark.parametrize("joined", [True, False])
@pytest.mark.parametrize("chart", [curve_chart, point_chart])
def test_the_legend_has_the_colours_of_the_points(chart, joined):
    series = [Series("first", [Point(1, 2, tip="one")], joined), Series("second", [Point(3, 4, tip="two")], joined)]
    marks = chart(series, ("x", "y"), "title").narrow.marks
    points = dict(re.findall(r'<circle[^>]*class="(\w)[^"]*"[^>]*><title>(\w+): \w+</title>', marks))
    legend = re.findall(r'<circle[^>]*class="(\w)"></circle><text[^>]*>(\w+)</text>', marks)
    assert len(legend) == 2 and legend == [(kind, name) for kind, name in points.items()]
