"""The layer-by-role map: of every layer and role the bytes and the bits a weight, shaded by how many they are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ..files.numbers import decimals, integer
from ..format.byte_account import TensorRow
from .byte_tree import layer_name
from .figure import Figure, Sheet, lettering
from .lettering import broken, shortened, text_width
from .markup import Html, element, joined

DEEPEST = 45  # percent of the colour in the darkest cell: text on it stays readable
LARGE = 0.02  # of the bytes of the largest cell: one that has fewer does not set the scale of bits
CELL, MOST_CELL, ROW, LINE = 66, 150, 24, 15  # of the drawing: widths of a cell, heights of a row and of a line


@dataclass(frozen=True, slots=True)
class Cell:
    """The tensors of one layer and role together."""

    bytes: int
    elements: int

    @property
    def bits(self) -> float:
        return 8 * self.bytes / self.elements if self.elements else 0.0  # a checkpoint's tensor may be empty


@dataclass(frozen=True, slots=True)
class LayerMap:
    """Cells by (layer, role); the layers in order, those of none first, and the roles by their bytes."""

    layers: tuple[str, ...]
    roles: tuple[str, ...]
    cells: dict[tuple[str, str], Cell]


def layer_map(rows: Sequence[TensorRow]) -> LayerMap:
    """The map of tensors; weights that are stored with another tensor count there."""
    sums: dict[tuple[str, str], list[int]] = {}
    stored = sorted((row for row in rows if not row.is_alias), key=lambda row: -1 if row.layer is None else row.layer)
    for row in stored:
        cell = sums.setdefault((layer_name(row), row.role), [0, 0])
        cell[0] += row.bytes
        cell[1] += row.elements
    by_role: dict[str, int] = {}
    for (_, role), (size, _) in sums.items():
        by_role[role] = by_role.get(role, 0) + size
    layers = tuple(dict.fromkeys(layer_name(row) for row in stored))
    roles = tuple(sorted(by_role, key=lambda role: (-by_role[role], role)))
    return LayerMap(layers, roles, {key: Cell(*cell) for key, cell in sums.items()})


def map_table(found: LayerMap) -> Html:
    """The map as a table; each cell has both numbers, of which the page shows one."""
    most_bits, most_bytes = _greatest(found)
    head = element("tr", element("th", "layer", scope="col"), *(element("th", r, scope="col") for r in found.roles))
    body = []
    for layer in found.layers:
        cells = [element("th", layer, scope="row")]
        for role in found.roles:
            cell = found.cells.get((layer, role))
            if cell is None:
                cells.append(element("td"))
                continue
            style = f"--bits:{_depth(cell.bits, most_bits)}%;--bytes:{_depth(cell.bytes, most_bytes)}%"
            numbers = element("b", decimals(cell.bits, 2)), element("i", integer(cell.bytes))
            tip = f"{layer}, {role}: {integer(cell.bytes)} bytes, {decimals(cell.bits)} bits a weight"
            cells.append(element("td", *numbers, style=style, title=tip))
        body.append(element("tr", *cells))
    table = element("table", element("thead", head), element("tbody", *body), class_="map bits", id="map")
    return element("div", table, class_="scroll")


def change_table(first: LayerMap, second: LayerMap) -> Html:
    """Bits a weight of the second map less those of the first, as a table; a cell that only one has is named so."""
    layers = tuple(dict.fromkeys([*first.layers, *second.layers]))
    roles = tuple(dict.fromkeys([*first.roles, *second.roles]))
    changes = {
        place: second.cells[place].bits - first.cells[place].bits for place in first.cells if place in second.cells
    }
    sizes = {place: max(first.cells[place].bytes, second.cells[place].bytes) for place in changes}
    most = max(sizes.values(), default=0)
    greatest = max((abs(change) for place, change in changes.items() if sizes[place] >= LARGE * most), default=0.0)
    head = element("tr", element("th", "layer", scope="col"), *(element("th", role, scope="col") for role in roles))
    body = []
    for layer in layers:
        cells = [element("th", layer, scope="row")]
        for role in roles:
            cells.append(_change_cell(first.cells.get((layer, role)), second.cells.get((layer, role)), greatest))
        body.append(element("tr", *cells))
    table = element("table", element("thead", head), element("tbody", *body), class_="map change")
    return element("div", table, class_="scroll")


def _change_cell(first: Cell | None, second: Cell | None, greatest: float) -> Html:
    if first is None and second is None:
        return element("td")
    if first is None or second is None:
        return element("td", "new" if first is None else "gone")
    change = second.bits - first.bits
    kind = "fewer" if change < -0.005 else "more" if change > 0.005 else None
    tip = f"{decimals(first.bits)}, then {decimals(second.bits)} bits a weight"
    style = f"--depth:{_depth(abs(change), greatest)}%"
    return element("td", f"{change:+.2f}" if kind else "0", class_=kind, style=style, title=tip)


def map_chart(found: LayerMap, title: str) -> Figure:
    """The map as a drawing: bits a weight, and bytes on hovering; names of roles are broken at spaces, not turned."""
    most_bits, _ = _greatest(found)
    words = [word for role in found.roles for word in role.split(" ")]
    cell_width = min(max(CELL, math.ceil(max(map(text_width, words), default=0.0)) + 8), MOST_CELL)
    labels = math.ceil(max(map(text_width, found.layers), default=0.0)) + 14
    names = [[shortened(line, cell_width - 6) for line in broken(role, cell_width - 6)] for role in found.roles]
    header = LINE * max(map(len, names), default=1) + 8
    marks = []
    for j, lines in enumerate(names):
        middle = labels + cell_width * j + cell_width / 2 - 1
        for k, line in enumerate(reversed(lines)):
            marks.append(lettering(middle, header - 8 - LINE * k, line, "middle", "tick"))
    for k, layer in enumerate(found.layers):
        y = header + ROW * k
        marks.append(lettering(labels - 10, y + 16, layer, "end", "label"))
        for j, role in enumerate(found.roles):
            cell = found.cells.get((layer, role))
            if cell is not None:
                depth = _depth(cell.bits, most_bits) / 100
                marks.append(_drawn_cell(cell, f"{layer}, {role}", labels + cell_width * j, y, cell_width, depth))
    width, height = labels + cell_width * len(found.roles), header + ROW * len(found.layers) + 6
    return Figure(title, Sheet(width, height, joined(marks)))


def _drawn_cell(cell: Cell, name: str, x: float, y: float, width: float, depth: float) -> Html:
    tip = element("title", f"{name}: {integer(cell.bytes)} bytes, {decimals(cell.bits)} bits a weight")
    size = {"width": f"{width - 2:.0f}", "height": ROW - 2}
    box = element("rect", tip, x=f"{x:.0f}", y=y, **size, class_="a", fill_opacity=f"{depth:.3f}")
    return joined([box, lettering(x + width / 2 - 1, y + 15, decimals(cell.bits, 2), "middle", "label")])


def _greatest(found: LayerMap) -> tuple[float, int]:
    """The bits and the bytes of the darkest cell; small vectors, which cost many bits, do not set the scale."""
    cells = found.cells.values()
    most = max((cell.bytes for cell in cells), default=1)
    return max((cell.bits for cell in cells if cell.bytes >= most * LARGE), default=1.0), most


def _depth(value: float, greatest: float) -> int:
    return round(DEEPEST * min(value / greatest, 1)) if greatest else 0
