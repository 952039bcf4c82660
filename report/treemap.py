"""Treemaps: areas in proportion to bytes, as square as they can be made, as a drawing that needs no script.

Strategy: the squarified layout of Bruls, Huizing and van Wijk (2000): rows of boxes are filled along the shorter side
as long as that makes their worst aspect ratio better. A group has its name on a strip above its parts where there is
room. The page of `inspect` lays out the same tree in the browser, where it can be entered.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..files.numbers import percent
from ..files.printable import printable
from .byte_tree import Node
from .figure import Figure, Layout, drawn, lettering
from .lettering import shortened, text_width
from .markup import Html, element

HEIGHT, NARROW_HEIGHT = 520, 440
STRIP = 17
PADDING = 2
LEAST_LABEL = 7  # characters; of a longer name less would say nothing
LINE = 16
WEIGHT = ".weight"  # what most names end with, left off where room is short
COLOURS = ("a", "b", "c", "d", "e", "f")


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle."""

    x: float
    y: float
    width: float
    height: float


def squarified(sizes: Sequence[float], box: Box) -> list[Box]:
    """A box for each size (descending, above 0), of proportional area, that together cover `box`."""
    boxes: list[Box] = []
    scale = box.width * box.height / sum(sizes) if sizes else 0.0
    areas, start = [size * scale for size in sizes], 0
    while start < len(areas):
        side = min(box.width, box.height)
        stop = start + 1
        while stop < len(areas) and _worst(areas[start : stop + 1], side) <= _worst(areas[start:stop], side):
            stop += 1
        row, box = _cut(areas[start:stop], box)
        boxes += row
        start = stop
    return boxes


def _worst(areas: Sequence[float], side: float) -> float:
    """The worst aspect ratio of a row of these areas along a side."""
    total = sum(areas)
    if not total or not side:
        return float("inf")
    return max(side * side * areas[0] / total**2, total**2 / (side * side * areas[-1]))


def _cut(areas: Sequence[float], box: Box) -> tuple[list[Box], Box]:
    """A row of areas along the shorter side of `box`, and what is left of it."""
    upright = box.width >= box.height
    side = box.height if upright else box.width
    depth = sum(areas) / side if side else 0.0
    boxes, place = [], box.y if upright else box.x
    for area in areas:
        length = area / depth if depth else 0.0
        boxes.append(Box(box.x, place, depth, length) if upright else Box(place, box.y, length, depth))
        place += length
    rest = (
        Box(box.x + depth, box.y, max(box.width - depth, 0.0), box.height)
        if upright
        else Box(box.x, box.y + depth, box.width, max(box.height - depth, 0.0))
    )
    return boxes, rest


def treemap(root: Node, title: str) -> Figure:
    """A figure of the whole tree; each box says its name and bytes on hovering."""

    def draw(layout: Layout) -> tuple[float, list[Html]]:
        height = NARROW_HEIGHT if layout.narrow else HEIGHT
        return height, list(_marks(root, Box(0, 0, layout.width, height), root.bytes, "f", {}))

    return drawn(title, draw)


def _marks(node: Node, box: Box, total: int, colour: str, colours: dict[str, str]) -> Iterator[Html]:
    if min(box.width, box.height) < 1:
        return
    tip = element("title", f"{printable(node.name)}: {node.bytes:,} bytes, {percent(node.bytes, total, 2)}")
    place = {"x": f"{box.x:.1f}", "y": f"{box.y:.1f}", "width": f"{box.width:.1f}", "height": f"{box.height:.1f}"}
    yield element("rect", tip, **place, class_=f"{colour} box" + (" group" if node.children else ""))
    strip = node.children and box.height > 3 * STRIP and box.width > 60
    if strip or (not node.children and box.height > LINE):
        yield from _label(node.name, box)
    if not node.children:
        return
    top = STRIP if strip else 0
    inner = Box(
        box.x + PADDING, box.y + PADDING + top, max(box.width - 2 * PADDING, 0), max(box.height - 2 * PADDING - top, 0)
    )
    for child, place_of in zip(node.children, squarified([c.bytes for c in node.children], inner), strict=True):
        grouped = child.children and any(leaf.tensor is not None for leaf in child.children)
        shade = colours.setdefault(child.name, COLOURS[len(colours) % len(COLOURS)]) if grouped else colour
        yield from _marks(child, place_of, total, shade, colours)


def _label(name: str, box: Box) -> Iterator[Html]:
    """A name as long as its box is wide: the end of it, which tells tensors apart; nothing where there is no room."""
    room, name = box.width - 8, printable(name)
    if text_width(name) > room:
        name = name.removesuffix(WEIGHT)
    shown = shortened(name, room)
    if len(shown) >= min(len(name), LEAST_LABEL):
        yield lettering(box.x + 5, box.y + 13, shown, "start", "box")
