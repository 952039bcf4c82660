"""The parts of a page on which a file is explored: treemap, one tensor, layer-by-role map, tables, and their script.

Strategy: everything stands in the page as text and tables; the same facts, as JSON in an inert script element, feed the
script. `</script>` cannot end that element early, since every `<` in it is escaped.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..files.numbers import decimals, integer, percent
from ..files.printable import printable
from ..format.byte_account import TOGETHER, GroupRow, TensorRow
from .byte_tree import Node
from .explorer_style import SCRIPT
from .layer_map import layer_map, map_table
from .markup import Html, breakable, element, joined, paragraph, section
from .treemap import treemap

MOST_BARS = 400  # of a histogram; more codes are put together


@dataclass(frozen=True, slots=True)
class Histogram:
    """How often each code of one matrix occurs."""

    title: str
    counts: Sequence[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Explored:
    """One tensor: its row of the tables, sentences about it, and its histograms."""

    row: TensorRow
    facts: Sequence[str]
    histograms: Sequence[Histogram]


def explorer_sections(tensors: Sequence[Explored], trees: Mapping[str, Node]) -> list[Html]:
    """Treemap with one tensor below it, and the layer-by-role map; `trees` by what they group tensors by."""
    options = [element("option", name, value=name) for name in trees]
    choice = element("label", "grouped by", element("select", *options, id="grouping"))
    tools = element("div", choice, element("div", id="crumbs"), class_="tools")
    numbers = element("select", *(element("option", n, value=n) for n in ("bits", "bytes")), data_map="")
    rows = [each.row for each in tensors]
    return [
        section(
            "Treemap",
            paragraph("Areas are bytes. A click on a group enters it, one on a tensor shows it below."),
            tools,
            element("div", id="tree"),
            element("noscript", treemap(next(iter(trees.values())), "Treemap of the file")),
            element("div", paragraph("The histogram of a tensor's codes needs scripts."), id="detail"),
        ),
        section(
            "Layers by roles",
            element("div", element("label", "numbers are", numbers, "(bits a weight, or bytes)"), class_="tools"),
            map_table(layer_map(rows)),
        ),
    ]


def tensor_section(tensors: Sequence[Explored], file_bytes: int) -> Html:
    """The table of all tensors, to be sorted and filtered."""
    columns = ["tensor", ">bytes", ">share", *BITS, "role", "layer", "shape", ">weights", "stored as"]
    order = sorted(range(len(tensors)), key=lambda k: (-tensors[k].row.bytes, tensors[k].row.name))
    rows = []
    for k in order:
        row = tensors[k].row
        name = element("button", breakable(printable(row.name)), data_tensor=k, type="button")
        shape = "x".join(map(str, row.shape)) or "scalar"
        layer = ("", "") if row.layer is None else (str(row.layer), row.layer)
        rows.append(
            [
                (name, None),
                *_amounts(row.bytes, file_bytes),
                *_bits(*(() if row.is_alias else (row.bits_per_weight, row.entropy_bits, row.raw_bits))),
                (row.role, None),
                layer,
                (shape, None),
                (integer(row.elements), row.elements),
                (row.description, None),
            ]
        )
    tools = element(
        "div",
        element("label", "filter by name, role or shape", element("input", id="filter", type="search")),
        element("span", f"{integer(len(rows))} of {integer(len(rows))}", id="shown", class_="muted"),
        class_="tools",
    )
    return section("Tensors", tools, sortable_table(columns, rows, id_="tensors"))


BITS = (">coded", ">entropy", ">raw")


def group_section(title: str, column: str, groups: Sequence[GroupRow], shared: int, file_bytes: int) -> Html:
    """Sums by role or layer; what serves all tensors is the row before the total."""
    rows = [
        [
            (printable(row.name), None),
            *_amounts(row.bytes, file_bytes),
            *_bits(row.bits_per_weight, row.entropy_bits, row.raw_bits),
            (integer(row.tensors), row.tensors),
            (integer(row.elements), row.elements),
        ]
        for row in groups
    ]
    if shared:
        rows.append([(TOGETHER, None), *_amounts(shared, file_bytes), *_bits(), ("", ""), ("", "")])
    total = sum(row.bytes for row in groups) + shared
    elements = sum(row.elements for row in groups)
    foot = ["total", integer(total), percent(total, file_bytes), decimals(8 * total / elements) if elements else ""]
    foot += ["", "", integer(sum(row.tensors for row in groups)), integer(elements)]
    return section(title, sortable_table([column, ">bytes", ">share", *BITS, ">tensors", ">weights"], rows, foot))


def _amounts(size: int, whole: int) -> list[tuple[str, object]]:
    return [(integer(size), size), (percent(size, whole), size)]


def _bits(*values: float | None) -> list[tuple[str, object]]:
    """Coded, entropy and raw bits a weight; empty where they are not given."""
    padded = [*values, None, None, None][:3]
    texts = ["" if value is None else decimals(value) for value in padded[:2]]
    texts.append("" if padded[2] is None else f"{padded[2]:.3g}")
    return [(text, "" if value is None else f"{value:.9g}") for text, value in zip(texts, padded, strict=True)]


def sortable_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[tuple[object, object]]],
    totals: Sequence[object] | None = None,
    id_: str | None = None,
) -> Html:
    """A table whose column titles are buttons. Cells are (content, number to sort by or None for the content)."""
    sides = ["number" if column.startswith(">") else None for column in columns]
    head = element(
        "tr",
        *(
            element("th", element("button", c.removeprefix(">"), type="button"), class_=side, scope="col")
            for c, side in zip(columns, sides, strict=True)
        ),
    )
    body = joined(
        element(
            "tr",
            *(
                element("td", content, class_=side, data_value=value)
                for (content, value), side in zip(row, sides, strict=True)
            ),
        )
        for row in rows
    )
    foot = Html("")
    if totals is not None:
        cells = (element("td", cell, class_=side) for cell, side in zip(totals, sides, strict=True))
        foot = element("tfoot", element("tr", *cells))
    whole = element("table", element("thead", head), element("tbody", body), foot, class_="sortable", id=id_)
    return element("div", whole, class_="scroll")


def explorer_data(tensors: Sequence[Explored], trees: Mapping[str, Node], file_bytes: int) -> Html:
    """The facts for the script, and the script."""
    data: dict[str, Any] = {
        "bytes": file_bytes,
        "largest": max(range(len(tensors)), key=lambda k: tensors[k].row.bytes, default=0),
        "trees": {name: _node(tree) for name, tree in trees.items()},
        "tensors": [
            {
                "name": printable(each.row.name),
                "facts": [printable(fact) for fact in each.facts],
                "histograms": [_bars(histogram) for histogram in each.histograms],
            }
            for each in tensors
        ],
    }
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return joined(
        [element("script", Html(text), type="application/json", id="data"), element("script", Html(SCRIPT))], "\n"
    )


def _node(node: Node) -> list:
    children = [_node(child) for child in node.children]
    return [printable(node.name), node.bytes, children or None, node.tensor]


def _bars(histogram: Histogram) -> dict[str, Any]:
    """Codes and counts; where they are too many, neighbouring codes together under the first of them."""
    counts = list(histogram.counts)
    width = -(-len(counts) // MOST_BARS)
    joint = [counts[k : k + width] for k in range(0, len(counts), width)]
    note = f", {width} codes a bar" if width > 1 else ""
    return {
        "title": printable(histogram.title + note),
        "codes": [bar[0][0] for bar in joint],
        "counts": [sum(count for _, count in bar) for bar in joint],
    }
