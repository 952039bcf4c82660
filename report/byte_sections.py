"""The parts of a compile's page that say where the bytes went: a treemap, layers by roles, bars and the tables.

Strategy: the pictures first, then one short table, and the long tables by tensor folded away. Each table adds up to
the file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..files.numbers import decimals, integer, percent
from ..format.byte_account import Inspection
from .amounts import MOST_ROWS
from .bars import Row, bar_chart
from .byte_tree import artifact_tree, role_name
from .layer_map import layer_map, map_table
from .markup import Html, element, folded, paragraph, section, table
from .treemap import treemap

Data = Mapping[str, Any]


def byte_section(explanation: Data, found: Inspection) -> Html:
    """Pictures of `found`, the artifact, and the tables of the explanation."""
    data = explanation["bytes"]
    file, weights = data["file"], data["weights"]
    shared = [(row["name"], row["bytes"]) for row in data["shared"]]
    chart = bar_chart(
        [
            Row(r["role"], r["bytes"], f"{percent(r['bytes'], file)}, {decimals(r['bits_per_weight'], 2)} b/w")
            for r in data["roles"][:MOST_ROWS]
        ],
        "bytes of coded integers",
        "Bytes by role",
    )
    layers = [("all layers together" if r["layer"] is None else f"layer {r['layer']}", r) for r in data["layers"]]
    return section(
        "Where the bytes went",
        paragraph("Areas are bytes; ", element("code", "bytecap inspect --html"), " makes a page to look around in."),
        treemap(artifact_tree(found, role_name), "Treemap of the file"),
        element("h3", "Layers by roles, bits a weight"),
        map_table(layer_map(found.tensors)),
        element("h3", "By role"),
        paragraph(
            "A role is the tensors of one name in all layers. b/w are coded bits a weight. Each table adds up to the "
            "file."
        ),
        chart,
        _share_table("role", [(r["role"], r) for r in data["roles"]], shared, file, weights),
        folded("By layer", _share_table("layer", layers, shared, file, weights)),
        folded("By tensor", _share_table("tensor", [(r["name"], r) for r in data["tensors"]], shared, file, weights)),
        folded("By section of the file", _plain_table("section", data["sections"], file)),
        folded("By stream", _plain_table("part", data["streams"], file)),
        folded("Metadata, which the tables above count too", _metadata_table(data["metadata"], file))
        if data["metadata"]
        else None,
    )


def _share_table(
    title: str, rows: Sequence[tuple[str, Data]], shared: Sequence[tuple[str, int]], file: int, weights: int
) -> Html:
    cells = [
        [name, integer(r["elements"]), integer(r["bytes"]), percent(r["bytes"], file), decimals(r["bits_per_weight"])]
        for name, r in rows
    ]
    cells += [
        [element("span", name, class_="muted"), "", integer(size), percent(size, file), ""] for name, size in shared
    ]
    total = sum(r["bytes"] for _, r in rows) + sum(size for _, size in shared)
    columns = [title, ">weights", ">bytes", ">share", ">bits a weight"]
    return table(
        columns, cells, ["file", integer(weights), integer(total), percent(total, file), decimals(8 * total / weights)]
    )


def _plain_table(title: str, rows: Sequence[Data], file: int) -> Html:
    total = sum(row["bytes"] for row in rows)
    cells = [[row["name"], integer(row["bytes"]), percent(row["bytes"], file)] for row in rows]
    return table([title, ">bytes", ">share"], cells, ["file", integer(total), percent(total, file)])


def _metadata_table(rows: Sequence[Data], file: int) -> Html:
    """Bytes that say where and how finely values stand."""
    return table(
        ["what", ">bytes", ">share of the file"],
        [[row["name"], integer(row["bytes"]), percent(row["bytes"], file)] for row in rows],
    )
