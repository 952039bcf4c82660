"""Treemaps: boxes tile their room in proportion to bytes; the tree keeps every byte; labels stay within their boxes."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bytecap.report.byte_tree import Node, parent
from bytecap.report.figure import NARROW, WIDE
from bytecap.report.lettering import text_width
from bytecap.report.treemap import Box, squarified, treemap


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=40), st.integers(10, 900), st.integers(10, 900))
def test_boxes_tile_the_room(sizes, width, height):
    sizes = sorted(sizes, reverse=True)
    boxes = squarified(sizes, Box(5, 7, width, height))
    assert len(boxes) == len(sizes)
    for size, box in zip(sizes, boxes, strict=True):
        assert box.width * box.height == pytest.approx(size / sum(sizes) * width * height, rel=1e-6)
        assert box.x >= 5 - 1e-6 and box.x + box.width <= 5 + width + 1e-6
        assert box.y >= 7 - 1e-6 and box.y + box.height <= 7 + height + 1e-6
    for k, one in enumerate(boxes):
        for two in boxes[k + 1 :]:
            across = min(one.x + one.width, two.x + two.width) - max(one.x, two.x)
            down = min(one.y + one.height, two.y + two.height) - max(one.y, two.y)
            assert across <= 1e-6 or down <= 1e-6


def test_equal_sizes_make_squares():
    assert {(round(box.width), round(box.height)) for box in squarified([1.0] * 4, Box(0, 0, 100, 100))} == {(50, 50)}


def test_a_parent_keeps_what_has_bytes_in_order():
    node = parent("all", [Node("a", 1), Node("none", 0), Node("b", 5)])
    assert (node.bytes, [child.name for child in node.children]) == (6, ["b", "a"])


def test_labels_stay_within_their_boxes():
    leaves = [Node(f"blocks.{k}.attention.query.weight", 10 + 3 * k, tensor=k) for k in range(30)]
    drawing = treemap(parent("file", [parent("codes", leaves), Node("digest", 32)]), "title")
    for layout, sheet in ((WIDE, drawing.wide), (NARROW, drawing.narrow)):
        assert sheet.width == layout.width
        boxes = re.findall(
            r'<rect x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="([\d.]+)"[^>]*>.*?</rect>(?:<text x="([\d.]+)" '
            r'y="([\d.]+)"[^>]*>([^<]*)</text>)?',
            sheet.marks,
        )
        assert len(boxes) > 30
        assert max(float(x) + float(width) for x, _, width, *_ in boxes) <= sheet.width
        for x, y, width, height, at, base, label in boxes:
            if label:
                assert float(at) + text_width(label) <= float(x) + float(width)
                assert float(y) < float(base) <= float(y) + float(height)
